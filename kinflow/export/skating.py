"""Feet that glide over the floor while they should stand: the path of the body is put right.

Where a motion was made for other legs, or the way of the root comes from elsewhere than the pose,
the foot that stands glides with the difference of the two. That velocity is smooth; it is measured
at the points of the feet that are near the floor, and taken out of the way of the root. What is
left over is for `kinflow.export.foot_lock`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float64

from kinflow.body.keypoints import FOOT_KEYPOINTS, KEYPOINT_INDEX
from kinflow.body.model import BodyModel
from kinflow.export.motion import Motion

_FEET = [KEYPOINT_INDEX[name] for name in FOOT_KEYPOINTS]
_NEAR_FLOOR_M = 0.03
_AROUND_S = 1.0
"""Half the window whose lowest point counts as the floor, which may have steps."""
_SWINGS_M_S = 0.6
"""Points that are faster than this do not stand, whether near the floor or not."""
_SMOOTH_S, _STEADY_S = 0.08, 0.5
_LITTLE = 0.05
"""Weight of no gliding at all, where no point is near the floor."""
_LEAST_M_S = 0.05
"""Gliding that is less steady is noise, or is left to what holds feet."""
_BETTER = 0.7
"""A way that leaves more than this part of the gliding is no better: on ice, or on wheels."""


def without_gliding(motion: Motion) -> Motion:
    """The motion with a root whose way fits the steps; the same motion where it does already."""
    if len(motion) < 3:
        return motion
    points_m = feet_m(motion)
    glide_m_s, steady_m_s = _gliding(points_m, motion.period_s)
    if steady_m_s < _LEAST_M_S:
        return motion
    moved_m = points_m.copy()
    way_m = np.cumsum(glide_m_s, axis=0) * motion.period_s
    moved_m[1:, :, [0, 2]] -= way_m[:, None]
    if _lowest_speed(moved_m) > _BETTER * _lowest_speed(points_m):
        return motion
    root_m = motion.t_world_root_m.copy()
    root_m[1:, [0, 2]] -= way_m
    return replace(motion, t_world_root_m=root_m)


def _gliding(
    points_m: Float64[np.ndarray, "frames points 3"], period_s: float
) -> tuple[Float64[np.ndarray, "steps 2"], float]:
    """Velocity (x, z) with which what should stand glides from each frame to the next, and how much
    of it is steady: its mean size once it is averaged over half a second, m/s."""
    velocity_m_s = np.diff(points_m[..., [0, 2]], axis=0) / period_s
    height_m = 0.5 * (points_m[1:, :, 1] + points_m[:-1, :, 1])
    floor_m = _least_around(height_m.min(-1), round(_AROUND_S / period_s))
    weight = np.exp(-np.square((height_m - floor_m[:, None]) / _NEAR_FLOOR_M))
    weight /= 1 + (np.linalg.norm(velocity_m_s, axis=-1) / _SWINGS_M_S) ** 4
    quick, slow = (
        _averaged(velocity_m_s, weight, sigma_s / period_s) for sigma_s in (_SMOOTH_S, _STEADY_S)
    )
    return quick, float(np.linalg.norm(slow, axis=-1).mean())


def _averaged(velocity_m_s: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """The mean velocity (steps, 2) of points around each step."""
    half = max(1, round(3 * sigma))
    kernel = np.exp(-0.5 * np.square(np.arange(-half, half + 1) / sigma))
    kernel /= kernel.sum()

    def under(values: np.ndarray) -> np.ndarray:
        return np.convolve(np.pad(values, half, mode="edge"), kernel, "valid")

    total = under(weight.sum(-1)) + _LITTLE
    return np.stack(
        [under((weight * v).sum(-1)) / total for v in np.moveaxis(velocity_m_s, -1, 0)], -1
    )


def _lowest_speed(points_m: np.ndarray) -> float:
    """Median way along the floor, from frame to frame, of the point that is lowest."""
    steps_m = np.linalg.norm(np.diff(points_m[..., [0, 2]], axis=0), axis=-1)
    lowest = (points_m[1:, :, 1] + points_m[:-1, :, 1]).argmin(-1)
    return float(np.median(steps_m[np.arange(len(lowest)), lowest]))


def feet_m(motion: Motion) -> Float64[np.ndarray, "frames 4 3"]:
    """Heels and big toes (`FOOT_KEYPOINTS`) in the world."""
    shaped = BodyModel.load("joints").with_shape(torch.from_numpy(motion.shape).float())
    pose, root_m = (torch.from_numpy(v).float() for v in (motion.pose, motion.t_world_root_m))
    return shaped.with_pose(pose, root_m).keypoints_m()[:, _FEET].double().numpy()


def _least_around(values: np.ndarray, half: int) -> np.ndarray:
    half = max(1, half)
    padded = np.pad(values, half, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).min(-1)
