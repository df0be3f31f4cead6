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
_LEAST_M_S = 0.15
"""Gliding that is less steady is noise, or is left to what holds feet."""
_BETTER = 0.6
"""A way that leaves more than this part of the gliding is no better: on ice, or on wheels."""


def without_gliding(motion: Motion) -> Motion:
    """The motion with a root whose way fits the steps; the same motion where it does already."""
    if len(motion) < 3:
        return motion
    points_m = feet_m(motion)
    glide_m_s, steady_m_s = _gliding_m_s(points_m, motion.period_s)
    if steady_m_s < _LEAST_M_S:
        return motion
    way_m = np.cumsum(glide_m_s, axis=0) * motion.period_s
    moved_m = points_m.copy()
    moved_m[1:, :, [0, 2]] -= way_m[:, None]
    before_m_s, after_m_s = (_lowest_m_s(one, motion.period_s) for one in (points_m, moved_m))
    if after_m_s > _BETTER * before_m_s:
        return motion
    root_m = motion.t_world_root_m.copy()
    root_m[1:, [0, 2]] -= way_m
    return replace(motion, t_world_root_m=root_m)


def _gliding_m_s(
    points_m: Float64[np.ndarray, "frames points 3"], period_s: float
) -> tuple[Float64[np.ndarray, "steps 2"], float]:
    """Velocity (x, z) with which what should stand glides from each frame to the next, and how much
    of it is steady: its mean size once it is averaged over a second or so."""
    velocity_m_s, height_m = _steps(points_m, period_s)
    floor_m = _least_around(height_m.min(-1), round(_AROUND_S / period_s))
    weight = np.exp(-np.square((height_m - floor_m[:, None]) / _NEAR_FLOOR_M))
    weight /= 1 + (np.linalg.norm(velocity_m_s, axis=-1) / _SWINGS_M_S) ** 4

    def mean(sigma: float) -> np.ndarray:
        total = _averaged(weight.sum(-1), sigma) + _LITTLE
        ways = [_averaged((weight * v).sum(-1), sigma) for v in np.moveaxis(velocity_m_s, -1, 0)]
        return np.stack(ways, -1) / total[:, None]

    steady_m_s = np.linalg.norm(mean(_STEADY_S / period_s), axis=-1).mean()
    return mean(_SMOOTH_S / period_s), float(steady_m_s)


def _lowest_m_s(points_m: Float64[np.ndarray, "frames points 3"], period_s: float) -> float:
    """How fast the lowest point usually moves along the floor, with little of its noise."""
    velocity_m_s, height_m = _steps(points_m, period_s)
    lowest_m_s = velocity_m_s[np.arange(len(height_m)), height_m.argmin(-1)]
    calm = [_averaged(v, _SMOOTH_S / period_s) for v in lowest_m_s.T]
    return float(np.median(np.linalg.norm(calm, axis=0)))


def _steps(points_m: np.ndarray, period_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Velocities along the floor (steps, points, 2) and heights (steps, points)."""
    velocity_m_s = np.diff(points_m[..., [0, 2]], axis=0) / period_s
    return velocity_m_s, 0.5 * (points_m[1:, :, 1] + points_m[:-1, :, 1])


def _averaged(values: Float64[np.ndarray, " steps"], sigma: float) -> Float64[np.ndarray, " steps"]:
    half = max(1, round(3 * sigma))
    kernel = np.exp(-0.5 * np.square(np.arange(-half, half + 1) / sigma))
    return np.convolve(np.pad(values, half, mode="edge"), kernel / kernel.sum(), "valid")


def feet_m(motion: Motion) -> Float64[np.ndarray, "frames 4 3"]:
    """Heels and big toes (`FOOT_KEYPOINTS`) in the world."""
    shaped = BodyModel.load("joints").with_shape(torch.from_numpy(motion.shape).float())
    pose, root_m = (torch.from_numpy(v).float() for v in (motion.pose, motion.t_world_root_m))
    return shaped.with_pose(pose, root_m).keypoints_m()[:, _FEET].double().numpy()


def _least_around(values: np.ndarray, half: int) -> np.ndarray:
    half = max(1, half)
    padded = np.pad(values, half, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).min(-1)
