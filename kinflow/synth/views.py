"""Random views: where the camera is, how it is tilted, and how much of the person it shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.checks import not_negative, numbers_of, pairs_of_sides, share
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rotations import about_axis

_UPRIGHT = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
"""From a world with y up, seen along -z, to the camera's axes."""
_CLEARANCE_M = 0.35
"""Nothing of the person is nearer to the camera than this."""
_MIN_VISIBLE = 0.4
"""Of a cut person at least this much of each side shows (of the image, where they are larger)."""
_FROM_TOP_SHARE = 0.7
"""Photographers cut legs, not heads."""
_MIN_SIDE_PX, _MAX_SIDE_PX = 16, 8192


@dataclass(frozen=True)
class ViewConfig:
    """How people are looked at.

    Attributes:
        image_sizes: (width, height) of the images, one of which is drawn.
        fov_deg: range of the field of view over the longer side.
        tilt_std_deg: camera pitch.
        steep_share: share of steep views from above or below, up to 60 degrees.
        roll_std_deg: camera roll.
        tumbled_share: share of people turned by any rotation at all.
        truncated_share: share of views in which the edge of the image may cut the person.
        size_range: height of an uncut person, relative to the image.
        truncated_size_range: the same for those that may be cut.
    """

    image_sizes: tuple[tuple[int, int], ...] = ((512, 512), (640, 480), (480, 640))
    fov_deg: tuple[float, float] = (20.0, 85.0)
    tilt_std_deg: float = 9.0
    steep_share: float = 0.12
    roll_std_deg: float = 5.0
    tumbled_share: float = 0.06
    truncated_share: float = 0.35
    size_range: tuple[float, float] = (0.4, 0.92)
    truncated_size_range: tuple[float, float] = (0.8, 2.0)

    def __post_init__(self) -> None:
        pairs_of_sides(self, "image_sizes", at_least=_MIN_SIDE_PX, at_most=_MAX_SIDE_PX)
        numbers_of(self, "fov_deg", count=2, at_least=1, at_most=170, ascending=True)
        not_negative(self, "tilt_std_deg", "roll_std_deg")
        share(self, "steep_share", "tumbled_share", "truncated_share")
        ranges = ("size_range", "truncated_size_range")
        numbers_of(self, *ranges, count=2, at_least=0.01, at_most=100, ascending=True)


@dataclass(frozen=True)
class ViewSource:
    """Draws cameras and puts people before them."""

    config: ViewConfig = ViewConfig()

    def camera(self, rng: np.random.Generator) -> Camera:
        """A pinhole camera with its principal point in the middle."""
        sizes = self.config.image_sizes
        image_size = sizes[rng.integers(len(sizes))]
        return Camera.from_fov(image_size, float(rng.uniform(*self.config.fov_deg)))

    def R_cam_world(self, rng: np.random.Generator) -> Float[Tensor, "3 3"]:
        """A heading, then the camera's pitch and roll."""
        config = self.config
        pitch_deg, roll_deg = rng.normal(0, (config.tilt_std_deg, config.roll_std_deg))
        if rng.random() < config.steep_share:
            pitch_deg = rng.uniform(-60, 60)
        heading = _turn("y", rng.uniform(-math.pi, math.pi))
        R = _turn("z", math.radians(roll_deg)) @ _UPRIGHT @ _turn("x", math.radians(pitch_deg))
        if rng.random() < config.tumbled_share:
            R = R @ _turn("x", rng.uniform(-math.pi, math.pi))
            R = R @ _turn("z", rng.uniform(-math.pi, math.pi))
        return R @ heading

    def place(
        self,
        points_m: Float[Tensor, "points 3"],
        camera: Camera,
        rng: np.random.Generator,
    ) -> Float[Tensor, " 3"]:
        """Position of the root for a body given by points about its root, in the camera's axes."""
        truncated = rng.random() < self.config.truncated_share
        sizes = self.config.truncated_size_range if truncated else self.config.size_range
        low, high = points_m.amin(0), points_m.amax(0)
        extent_m = float((high - low)[:2].max())
        distance_m = camera.focal_px * extent_m / (rng.uniform(*sizes) * min(camera.image_size))
        t = torch.tensor([0.0, 0.0, max(distance_m, _CLEARANCE_M - float(low[2]))])
        for axis in range(2):
            px = camera.project(points_m + t)[:, axis]
            begin, end = float(px.min()), float(px.max())
            size = camera.image_size[axis]
            shift_px = _shift_px(begin, end, size, truncated, rng)
            if truncated and axis == 1 and rng.random() < _FROM_TOP_SHARE:
                shift_px = rng.uniform(0, 0.15 * size) - begin
            t[axis] += shift_px * float(t[2]) / camera.focal_px
        return t


def _shift_px(
    begin: float, end: float, size: int, truncated: bool, rng: np.random.Generator
) -> float:
    """How far to move a person who covers [begin, end] of an image side of `size` pixels."""
    length = end - begin
    if truncated:
        visible = _MIN_VISIBLE * min(length, size)
        return rng.uniform(visible - length, size - visible) - begin
    slack = size - length
    return rng.uniform(min(0.0, slack), max(0.0, slack)) - begin


def _turn(axis: str, angle: float) -> Tensor:
    return about_axis(axis, torch.tensor(angle, dtype=torch.float32))
