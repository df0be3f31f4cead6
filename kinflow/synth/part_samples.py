"""Training samples of the part parser: a body of the pool, seen anew.

Each sample mirrors, turns, cuts and crops a body by one affine map onto the network's grid, then
dresses, hides and measures it (`kinflow.synth.observation`). The target are the parts of the naked
body; cells outside the image and under occluders do not count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from kinflow.body.parts import MIRROR_PARTS
from kinflow.checks import not_negative, numbers_of, share
from kinflow.evidence.part_network import GRID, PICTURE
from kinflow.synth.detections import MIRROR_ROWS
from kinflow.synth.observation import Observation, ObservationConfig, observe
from kinflow.synth.picture import View, paint
from kinflow.synth.rendering import RenderedBody

IGNORED = 255
"""Target of cells that do not count."""

_MIRROR_PARTS = np.array(MIRROR_PARTS, np.uint8)


@dataclass(frozen=True)
class CropConfig:
    """How bodies lie in the network's view. Shares are probabilities.

    Attributes:
        turn_std_deg: of the rotation in the image plane.
        any_turn_share: how often it is any angle at all.
        cut_share: how often the edge of the image may cut the person.
        cut_sides: then, how often it does so at the left, top, right and bottom.
        cut_depth: largest fraction of the body's extent that a cut takes away.
        edge_near_share: how often the image ends just beyond the person, per side.
        margin: range of the room around what is visible, relative to its longer side.
        shift: of the person's box in the crop, relative to the same.
        no_picture_share: how often there are no pixels, so that the network can do without.
    """

    turn_std_deg: float = 7.0
    any_turn_share: float = 0.04
    cut_share: float = 0.35
    cut_sides: tuple[float, float, float, float] = (0.15, 0.08, 0.15, 0.7)
    cut_depth: float = 0.5
    edge_near_share: float = 0.2
    margin: tuple[float, float] = (0.05, 0.16)
    shift: float = 0.03
    no_picture_share: float = 0.15

    def __post_init__(self) -> None:
        not_negative(self, "turn_std_deg", "shift")
        share(self, *(name for name in vars(self) if name.endswith("_share")), "cut_depth")
        numbers_of(self, "cut_sides", count=4, at_least=0, at_most=1)
        numbers_of(self, "margin", count=2, at_least=0, ascending=True)


@dataclass(frozen=True)
class PartBatch:
    """Inputs of `part_network.part_input`, and the target."""

    keypoints_cells: Float[Tensor, "batch 33 3"]
    depth_m: Float[Tensor, "batch 33"]
    mask: Float[Tensor, "batch 96 96"]
    inside: Float[Tensor, "batch 96 96"]
    pixels: UInt8[Tensor, "batch 192 192 3"]
    """Picture, black outside of the image; all black where there is none."""
    target: Int[Tensor, "batch 96 96"]
    """Labels, `IGNORED` where nothing is to be said."""


def draw_batch(
    bodies: list[RenderedBody],
    size: int,
    crop: CropConfig,
    observation: ObservationConfig,
    rng: np.random.Generator,
) -> PartBatch:
    """`size` random samples."""
    return collate([_sample(bodies, crop, observation, rng) for _ in range(size)])


def collate(samples: list[tuple[np.ndarray, ...]]) -> PartBatch:
    """Stack samples as `_sample` and its like make them."""
    keypoints, depth, mask, inside, pixels, target = (
        torch.from_numpy(np.stack(column)) for column in zip(*samples, strict=True)
    )
    return PartBatch(
        keypoints.float(), depth.float(), mask.float(), inside.float(), pixels, target.long()
    )


def _sample(
    bodies: list[RenderedBody],
    crop: CropConfig,
    observation: ObservationConfig,
    rng: np.random.Generator,
) -> tuple[np.ndarray, ...]:
    body = bodies[rng.integers(len(bodies))]
    other = bodies[rng.integers(len(bodies))].labels
    view, inside, matrix = cropped(body, crop, rng)
    seen = observe(view, inside, other, observation, rng)
    depth_m = seen.detections.depth_m
    return (
        seen.detections.keypoints,
        np.zeros(33) if depth_m is None else depth_m,
        seen.mask,
        inside,
        _picture(body, view, matrix, seen, inside, crop, rng),
        np.where(seen.known, view.labels, IGNORED),
    )


def _picture(
    body: RenderedBody,
    view: RenderedBody,
    matrix: Float[np.ndarray, "2 3"],
    seen: Observation,
    inside: Bool[np.ndarray, "96 96"],
    config: CropConfig,
    rng: np.random.Generator,
) -> UInt8[np.ndarray, "192 192 3"]:
    """What the network sees of the pixels, in `PICTURE` / `GRID` times as fine cells."""
    if rng.random() < config.no_picture_share:
        return np.zeros((PICTURE, PICTURE, 3), np.uint8)
    finer = PICTURE / GRID
    part = _warp_labels(body.labels, finer * matrix, PICTURE)
    mirrored = matrix[0, 0] * matrix[1, 1] < matrix[0, 1] * matrix[1, 0]
    # the lamp is anywhere, so normals need not turn with the picture
    normals = cv2.warpAffine(
        body.normals.astype(np.float32) / 127, _indexed(finer * matrix), (PICTURE, PICTURE)
    )
    picture = paint(
        View(
            part=_MIRROR_PARTS[part] if mirrored else part,
            normal=normals,
            dressed=_finer(seen.dressed) | (part > 0),
            hidden=_finer(inside & ~seen.known),
            neighbour=_finer(seen.neighbour),
            keypoints_px=finer * view.keypoints_cells,
            visible=view.keypoint_seen,
            height_px=finer * view.height_cells,
        ),
        rng,
    )
    picture[~_finer(inside)] = 0
    return picture


def _finer(cells: Bool[np.ndarray, "96 96"]) -> Bool[np.ndarray, "192 192"]:
    """Cells as pixels, with their steps smoothed."""
    return cv2.resize(cells.astype(np.float32), (PICTURE, PICTURE)) >= 0.5


def cropped(
    body: RenderedBody, config: CropConfig, rng: np.random.Generator
) -> tuple[RenderedBody, Bool[np.ndarray, "96 96"], Float[np.ndarray, "2 3"]]:
    """A body on the network's grid, which of the cells lie in the image, and the map of points."""
    linear = _mirror_and_turn(config, rng)
    mirrored = linear[0, 0] * linear[1, 1] - linear[0, 1] * linear[1, 0] < 0
    rows, columns = np.nonzero(body.labels[::2, ::2])
    points = (2 * np.column_stack((columns, rows)) + 1) @ linear.T
    low, high = points.min(0) - 1, points.max(0) + 1
    begin, end = _visible(low, high, config, rng)
    longest = float((end - begin).max())
    scale = GRID / (longest * (1 + 2 * rng.uniform(*config.margin)))
    centre = (begin + end) / 2 + rng.uniform(-config.shift, config.shift, 2) * longest
    matrix = np.column_stack((scale * linear, GRID / 2 - scale * centre))
    keypoints = body.keypoints_cells @ matrix[:, :2].T + matrix[:, 2]
    labels = _warp_labels(body.labels, matrix, GRID)
    if mirrored:
        labels, keypoints = _MIRROR_PARTS[labels], keypoints[MIRROR_ROWS]
    order = MIRROR_ROWS if mirrored else slice(None)
    view = RenderedBody(
        labels,
        np.zeros((GRID, GRID, 3), np.int8),
        keypoints,
        body.keypoint_depth_m[order],
        body.keypoint_seen[order],
        body.height_cells * scale,
    )
    edges = _image_edges(begin, end, begin > low, end < high, longest, config, rng)
    return view, _inside((edges - centre) * scale + GRID / 2), matrix


def _mirror_and_turn(config: CropConfig, rng: np.random.Generator) -> np.ndarray:
    angle = math.radians(rng.normal(0, config.turn_std_deg))
    if rng.random() < config.any_turn_share:
        angle = rng.uniform(-math.pi, math.pi)
    cosine, sine = math.cos(angle), math.sin(angle)
    sign = -1.0 if rng.random() < 0.5 else 1.0
    return np.array([[sign * cosine, -sine], [sign * sine, cosine]])


def _visible(
    low: np.ndarray, high: np.ndarray, config: CropConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The box of what the image shows of the body's box."""
    cuts = np.zeros(4)
    if rng.random() < config.cut_share:
        cuts = (rng.random(4) < config.cut_sides) * rng.uniform(0.02, config.cut_depth, 4)
    # opposite cuts must leave something
    cuts *= min(1.0, config.cut_depth / max(float((cuts[:2] + cuts[2:]).max()), 1e-6))
    return low + cuts[:2] * (high - low), high - cuts[2:] * (high - low)


def _image_edges(
    begin: np.ndarray,
    end: np.ndarray,
    cut_begin: np.ndarray,
    cut_end: np.ndarray,
    longest: float,
    config: CropConfig,
    rng: np.random.Generator,
) -> np.ndarray:
    """(2, 2): first and last coordinates in the image, just beyond the person or far away."""
    near = rng.random((2, 2)) < config.edge_near_share
    room = np.where(near, rng.uniform(0, 0.1, (2, 2)), 10.0) * longest
    first = begin - np.where(cut_begin, 0, room[0])
    last = end + np.where(cut_end, 0, room[1])
    return np.stack((first, last))


def _inside(edges: Float[np.ndarray, "2 2"]) -> Bool[np.ndarray, "96 96"]:
    centre = np.arange(GRID) + 0.5
    x, y = ((centre > edges[0, axis]) & (centre < edges[1, axis]) for axis in range(2))
    return y[:, None] & x


def _warp_labels(
    labels: np.ndarray, matrix: Float[np.ndarray, "2 3"], side: int
) -> UInt8[np.ndarray, "side side"]:
    """Nearest-neighbour resampling under a map of points whose cell centres lie at +0.5."""
    return cv2.warpAffine(labels, _indexed(matrix), (side, side), flags=cv2.INTER_NEAREST)


def _indexed(matrix: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "2 3"]:
    """A map of points as one of cells whose centres lie at whole numbers, as OpenCV wants it."""
    shift = matrix[:, :2] @ (0.5, 0.5) + matrix[:, 2] - 0.5
    return np.column_stack((matrix[:, :2], shift))
