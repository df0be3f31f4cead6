"""Recorded motion of somebody else, put right: glitches, noise, and feet that glide.

1. Frames in which a joint jumps away and back are found (`kinflow.export.glitches`).
2. The rotation of every joint, as a quaternion, and the place of the root are smoothed each on
   their own, as much as they are noisy, which fills these frames (`kinflow.export.smoothing`).
3. The way of the root is made to fit the steps (`kinflow.export.skating`), and the whole is put on
   the floor.
4. Feet that stand are held (`kinflow.export.foot_lock`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float64

from kinflow.body.skeleton import NUM_JOINTS
from kinflow.checks import flag, not_negative
from kinflow.export.foot_lock import contacts, lock_feet, sliding_m_s
from kinflow.export.glitches import turn_glitches, way_glitches
from kinflow.export.heights import lowest_m
from kinflow.export.motion import Motion
from kinflow.export.quality import below_floor_cm, jitter_of
from kinflow.export.quaternions import along_time, matrices
from kinflow.export.skating import without_gliding
from kinflow.export.smoothing import smoothed

_LEAST_STD_RAD, _LEAST_STD_M = np.radians(1.0), 0.005
"""What is off a curve by no more than a few of these is no outlier."""
FLOOR_QUANTILE = 0.05
"""Of the lowest points of all frames: feet of recordings dip below their floor for a few."""


@dataclass(frozen=True)
class CleanConfig:
    """What is done with a motion."""

    smoothing: float = 1.0
    """Factor on the width of what is averaged; 1 for what the motion asks for, 0 for none."""
    hold_feet: bool = True
    """Whether the way is made to fit the steps, and feet that stand are held."""

    def __post_init__(self) -> None:
        not_negative(self, "smoothing")
        flag(self, "hold_feet")


@dataclass(frozen=True)
class Figures:
    """How good a motion is; all but the first are in the world, where the floor is y = 0."""

    jitter_10m_s3: float
    """NaN for fewer than four frames."""
    foot_sliding_cm_s: float
    """Mean speed along the floor of the balls of the feet while they stand; NaN if never."""
    below_floor_cm: float
    """Depth of the lowest point, mean over frames."""
    below_floor_worst_cm: float


@dataclass(frozen=True)
class Cleaned:
    """A motion that was put right, and what that changed."""

    motion: Motion
    glitches: Bool[np.ndarray, "frames 23"]
    """Where a joint, or in the last column the root's place, was somewhere else for a moment."""
    before: Figures
    after: Figures
    """Both by the frames in which feet stand after all."""


def clean(motion: Motion, config: CleanConfig | None = None) -> Cleaned:
    """Put a motion right.

    Args:
        motion: of a body with bones of its shape.
        config: what to do.
    """
    config = config or CleanConfig()
    glitches = _glitches(motion)
    done = on_the_floor(_smoothed(motion, glitches, config.smoothing))
    if config.hold_feet:
        done = lock_feet(without_gliding(done))
    standing = contacts(done)
    before, after = (_figures(one, standing) for one in (motion, done))
    return Cleaned(done, glitches, before, after)


def on_the_floor(motion: Motion) -> Motion:
    """The motion with its floor, by the lowest points of all frames, at y = 0."""
    root_m = motion.t_world_root_m.copy()
    root_m[:, 1] -= np.quantile(_lowest_m(motion), FLOOR_QUANTILE)
    return replace(motion, t_world_root_m=root_m)


def _glitches(motion: Motion) -> Bool[np.ndarray, "frames 23"]:
    joints = [turn_glitches(motion.pose[:, j], motion.period_s) for j in range(NUM_JOINTS)]
    return np.stack([*joints, way_glitches(motion.t_world_root_m, motion.period_s)], -1)


def _smoothed(motion: Motion, glitches: Bool[np.ndarray, "frames 23"], strength: float) -> Motion:
    pose, root_m = motion.pose.copy(), motion.t_world_root_m.copy()
    changed = glitches | (strength > 0)
    for joint in range(NUM_JOINTS):
        known, rows = ~glitches[:, joint], changed[:, joint]
        if (motion.pose[:, joint] == motion.pose[0, joint]).all():
            continue
        q = _on_one_side(along_time(motion.pose[:, joint]), known)
        # a quaternion turns by half the angle
        curve = smoothed(q, known, 0.5 * _LEAST_STD_RAD, strength)[rows]
        pose[rows, joint] = matrices(curve / np.linalg.norm(curve, axis=-1, keepdims=True))
    rows = changed[:, -1]
    root_m[rows] = smoothed(root_m, ~glitches[:, -1], _LEAST_STD_M, strength)[rows]
    return replace(motion, pose=pose, t_world_root_m=root_m)


def _on_one_side(
    q: Float64[np.ndarray, "frames 4"], known: Bool[np.ndarray, " frames"]
) -> Float64[np.ndarray, "frames 4"]:
    """Quaternions of which each that counts is on the side of the one before that counts."""
    rows = np.flatnonzero(known)
    turned_over = np.where((q[rows[1:]] * q[rows[:-1]]).sum(-1) < 0, -1.0, 1.0)
    out = q.copy()
    out[rows[1:]] *= np.cumprod(turned_over)[:, None]
    return out


def _figures(motion: Motion, standing: tuple[np.ndarray, np.ndarray]) -> Figures:
    mean_cm, worst_cm = below_floor_cm(_lowest_m(motion))
    return Figures(jitter_of(motion), 100 * sliding_m_s(motion, standing), mean_cm, worst_cm)


def _lowest_m(motion: Motion) -> Float64[np.ndarray, " frames"]:
    shape, pose, root_m = (
        torch.from_numpy(v).float() for v in (motion.shape, motion.pose, motion.t_world_root_m)
    )
    return lowest_m(shape, pose, root_m, np.tile([0.0, 1.0, 0.0], (len(motion), 1)))
