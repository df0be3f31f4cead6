"""The focal length by which a camera turns: how the edges of a picture move against its middle.

A rotation moves what is off the middle farther, by how wide the lens is. Corners are followed over
frames until they have moved by a good part of the picture. Each such pair of frames has, for every
focal length, a rotation that explains it best, and the focal length that explains all pairs best
is that of the clip. A camera that is carried has none: pairs that no rotation explains have no say,
and those that have one have to agree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Float64, UInt8

from kinflow.checks import number, numbers_of, positive, share, whole
from kinflow.evidence.corners import corners, flow, grey_of, inside
from kinflow.evidence.ray_fit import RayFit
from kinflow.geometry.pinhole import Camera

_LEAST_POINTS = 40
_KEPT = 0.5
"""Share of the corners that has to be followed on, or the pair ends here."""
_WINDOW_PX, _LEVELS = (21, 21), 3
_MOST = 9.0
"""What a corner that no rotation explains adds to an error, in squares of `agreeing_px`."""

Pair = tuple[Float64[np.ndarray, "n 2"], Float64[np.ndarray, "n 2"]]
"""Corners in a frame, and where they are in a later one."""


@dataclass(frozen=True)
class TurningFocalConfig:
    """Which frames tell a focal length, and when it is believed."""

    side_px: int = 480
    """Pictures are reduced to this longer side."""
    corners: int = 200
    moved: float = 0.2
    """Share of the longer side that corners move between the frames of a pair."""
    least_moved: float = 0.1
    """The same where corners are lost before."""
    fov_deg: tuple[float, float] = (12.0, 110.0)
    """Fields of view of the longer side that are tried."""
    tried: int = 40
    agreeing_px: float = 1.0
    """Corners whose error is smaller agree with a rotation."""
    agreeing: float = 0.4
    """Share of the corners of a pair that has to agree with one, or the pair has no say."""
    pairs: int = 2
    """Least number of pairs that have a say."""
    near: float = 0.2
    """What pairs say on their own agrees within this share."""
    of_one_mind: float = 0.6
    """Share of the pairs that have to agree with what all of them say."""
    worse: float = 1.05
    """How many times the error focal lengths have that are off by `near`."""
    frames: int = 600
    """At most so many frames are looked at."""

    def __post_init__(self) -> None:
        whole(self, "side_px", at_least=64, at_most=8192)
        whole(self, "corners", at_least=_LEAST_POINTS, at_most=10_000)
        whole(self, "tried", at_least=8, at_most=1000)
        whole(self, "pairs", "frames", at_least=1)
        numbers_of(self, "fov_deg", count=2, at_least=1, at_most=170, ascending=True)
        share(self, "moved", "least_moved", "agreeing", "of_one_mind")
        positive(self, "agreeing_px", "near")
        number(self, "worse", at_least=1)


def turning_focal_px(
    frames: Iterable[UInt8[np.ndarray, "height width 3"]],
    size: tuple[int, int],
    config: TurningFocalConfig = TurningFocalConfig(),
) -> float | None:
    """The focal length of a clip in pixels; None where nothing tells it.

    Args:
        frames: of the clip, in order.
        size: (width, height) of the frames.
        config: which frames tell it.
    """
    scale = min(1.0, config.side_px / max(size))
    greys = (grey_of(image_rgb, scale) for image_rgb in islice(frames, config.frames))
    view = Camera.centred(size, 1.0).scaled(scale)
    widest, narrowest = (
        Camera.from_fov(view.image_size, fov).focal_px for fov in config.fov_deg[::-1]
    )
    focal_px = np.geomspace(widest, narrowest, config.tried)
    errors = []
    for pair in _pairs(greys, config):
        error, agreeing = _errors(pair, focal_px, view, config)
        if agreeing >= config.agreeing:
            errors.append(error)
    best = _agreed(focal_px, errors, config)
    return None if best is None else best / scale


def _pairs(greys: Iterable[UInt8[np.ndarray, "h w"]], config: TurningFocalConfig) -> Iterator[Pair]:
    """Corners of frames that are far apart."""
    before: np.ndarray | None = None
    start = now = np.zeros((0, 2))
    far = 0.0
    for grey in greys:
        off = np.ones(grey.shape, bool)
        if before is not None and len(now):
            found, there = flow(before, grey, now.astype(np.float32), _WINDOW_PX, _LEVELS)
            found &= inside(there, off)
            lost = found.sum() < max(_LEAST_POINTS, _KEPT * len(found))
            start, now = start[found], there[found].astype(np.float64)
            moved = np.linalg.norm(now - start, axis=1)
            far = float(np.median(moved)) / max(grey.shape) if len(now) >= _LEAST_POINTS else 0.0
            if far >= config.moved or lost:
                if far >= config.least_moved:
                    yield start, now
                start, now, far = start[:0], now[:0], 0.0
        if not len(now):
            start = now = corners(grey, off, config.corners)
        before = grey
    if far >= config.least_moved:
        yield start, now


def _errors(
    pair: Pair, focal_px: Float64[np.ndarray, " tried"], view: Camera, config: TurningFocalConfig
) -> tuple[Float64[np.ndarray, " tried"], float]:
    """How badly the best rotation by each focal length explains a pair, and the share of corners
    that the best of all explains."""
    start, now = pair
    errors, agreeing = [], []
    for focal in focal_px:
        lens = Camera.centred(view.image_size, float(focal))
        fit = RayFit(lens, config.agreeing_px, config.agreeing_px)
        rays = fit.rays(start)
        R = fit.by_pairs(rays, now)
        off = np.linalg.norm(fit.projected(rays @ R.T) - now, axis=1) / config.agreeing_px
        errors.append(np.minimum(off**2, _MOST).mean())
        agreeing.append((off < 1).mean())
    return np.array(errors), float(agreeing[int(np.argmin(errors))])


def _agreed(
    focal_px: Float64[np.ndarray, " tried"],
    errors: Sequence[Float64[np.ndarray, " tried"]],
    config: TurningFocalConfig,
) -> float | None:
    """The focal length that pairs agree on; None where they do not, or it is at an end."""
    if len(errors) < config.pairs:
        return None
    total = np.mean(errors, axis=0)
    best = int(total.argmin())
    step = math.log(focal_px[1] / focal_px[0])
    beside = max(1, round(math.log1p(config.near) / step))
    if not beside <= best < len(focal_px) - beside:
        return None
    if min(total[best - beside], total[best + beside]) < config.worse * total[best]:
        return None
    near = [abs(int(error.argmin()) - best) <= beside for error in errors]
    if np.mean(near) < config.of_one_mind:
        return None
    a, b, c = total[best - 1 : best + 2]
    shift = 0.5 * (a - c) / max(a - 2 * b + c, 1e-9)
    return float(focal_px[best] * math.exp(step * np.clip(shift, -0.5, 0.5)))
