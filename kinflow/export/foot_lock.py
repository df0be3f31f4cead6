"""Feet that stand still while they stand: contacts kept by inverse kinematics.

A foot is taken to stand while the ball of the foot (the toe joint) is slow, near the lowest height
that it has around that time, and does not drift. While it stands, the ball is held where it was on
average; from there to the free motion the correction fades within a tenth of a second. The leg
follows by two-bone inverse kinematics: the knee bends in its own plane, the foot keeps its
orientation, and where a leg is too short the pelvis sinks, smoothly.

Programs that put a motion on another skeleton keep the directions of bones and scale the way of the
root by the length of the legs, but not the width of the hips: a foot that stands at c stands at
s c - (s - 1) R o there, with the pelvis' rotation R and the hip's offset o, which goes round as the
pelvis turns. No motion stands still for all s, so whoever knows the other legs says how long they
are, and feet are held for these.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float64

from kinflow.body.kinematics import forward_kinematics
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.checks import is_number
from kinflow.errors import InputError
from kinflow.export.motion import Motion

_SMOOTH_S = 0.05
"""Standard deviation of the kernel that speeds are measured with."""
_SLOW_M_S = 0.3
_DRIFT_M = 0.05
"""A foot that gets farther than this from its mean place takes a step, however slow."""
_NEAR_FLOOR_M = 0.1
_AROUND_S = 1.0
"""Half the window whose lowest height counts as the floor, which may have steps."""
_SHORTEST_S = 0.12
_FADE_S = 0.1
_FRONT_M = 0.01
"""How far from the line a knee has to be for its own direction to count more than the thigh's."""
_REACH = 0.999
"""A leg is stretched to at most this part of its length."""


@dataclass(frozen=True)
class _Leg:
    hip: int
    knee: int
    ankle: int
    ball: int


MIN_LEGS, MAX_LEGS = 0.25, 4.0
"""Legs of a skeleton in lengths of the person's."""
_LEGS = tuple(
    _Leg(*(JOINT_INDEX[f"{side}_{part}"] for part in ("hip", "knee", "ankle", "foot")))
    for side in ("left", "right")
)


def lock_feet(motion: Motion, legs: float = 1.0) -> Motion:
    """The motion with feet that neither slide nor lift while they stand.

    Args:
        motion: whose feet are held.
        legs: of the skeleton that will wear the motion, in lengths of the person's own; feet stand
            on that one (`on_other_legs`).

    Raises:
        InputError: no skeleton has such legs.
    """
    if not (is_number(legs) and MIN_LEGS <= legs <= MAX_LEGS):
        raise InputError(
            f"legs has to be a number from {MIN_LEGS:g} to {MAX_LEGS:g}, not {legs!r}.",
            {"legs": "legs"},
        )
    held = _held(on_other_legs(motion, legs), contacts(motion))
    return replace(motion, pose=held.pose, t_world_root_m=held.t_world_root_m / legs)


def on_other_legs(motion: Motion, legs: float) -> Motion:
    """The motion as another skeleton has it: bones keep their directions, the way of the root is
    scaled like the legs.

    Args:
        motion: any.
        legs: length of that skeleton's legs, in lengths of the person's.
    """
    offsets_m = motion.offsets_m.copy()
    for leg in _LEGS:
        offsets_m[[leg.knee, leg.ankle, leg.ball]] *= legs
    return replace(motion, offsets_m=offsets_m, t_world_root_m=legs * motion.t_world_root_m)


def _held(motion: Motion, standing: tuple[np.ndarray, np.ndarray]) -> Motion:
    """The motion with feet held in the frames in which they stand."""
    _, joints_m = _forward(motion.pose, motion.t_world_root_m, motion.offsets_m)
    corrections_m = [
        _correction_m(joints_m[:, leg.ball], stands, motion.period_s)
        for leg, stands in zip(_LEGS, standing, strict=True)
    ]
    targets_m = [
        joints_m[:, leg.ankle] + correction_m
        for leg, correction_m in zip(_LEGS, corrections_m, strict=True)
    ]
    lowered_m = motion.t_world_root_m.copy()
    lowered_m[:, 1] -= _needed_drop_m(joints_m, targets_m, motion.period_s)
    pose = motion.pose.copy()
    for leg, target_m in zip(_LEGS, targets_m, strict=True):
        R, joints_m = _forward(pose, lowered_m, motion.offsets_m)
        _reach(pose, R, joints_m, leg, target_m)
    return replace(motion, pose=pose, t_world_root_m=lowered_m)


def contacts(motion: Motion) -> tuple[Bool[np.ndarray, " frames"], Bool[np.ndarray, " frames"]]:
    """When the left and the right foot stand."""
    _, joints_m = _forward(motion.pose, motion.t_world_root_m, motion.offsets_m)
    left, right = (_stands(joints_m[:, leg.ball], motion.period_s) for leg in _LEGS)
    return left, right


def sliding_m_s(motion: Motion, standing: tuple[np.ndarray, np.ndarray]) -> float:
    """Mean horizontal speed of the balls of the feet while they stand; NaN if they never do.

    Args:
        motion: whose feet are looked at.
        standing: frames of each foot in contact, which may come from another motion.
    """
    _, joints_m = _forward(motion.pose, motion.t_world_root_m, motion.offsets_m)
    speeds = []
    for leg, stands in zip(_LEGS, standing, strict=True):
        steps_m = np.linalg.norm(np.diff(joints_m[:, leg.ball][:, [0, 2]], axis=0), axis=-1)
        speeds.append(steps_m[stands[1:] & stands[:-1]] / motion.period_s)
    together = np.concatenate(speeds)
    return float(together.mean()) if len(together) else float("nan")


def _forward(
    pose: np.ndarray, root_m: np.ndarray, offsets_m: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (frames, 22, 3, 3) and positions (frames, 22, 3) in the world."""
    R, joints_m = forward_kinematics(*map(torch.from_numpy, (pose, root_m, offsets_m)))
    return R.numpy(), joints_m.numpy()


def _stands(ball_m: np.ndarray, period_s: float) -> np.ndarray:
    stands = np.zeros(len(ball_m), bool)
    if len(ball_m) < 2:
        return stands
    smooth_m = _smoothed(ball_m, _SMOOTH_S / period_s)
    speed_m_s = np.linalg.norm(np.gradient(smooth_m, period_s, axis=0), axis=-1)
    height_m = smooth_m[:, 1]
    floor_m = -_largest_around(-height_m, round(_AROUND_S / period_s))
    slow = (speed_m_s < _SLOW_M_S) & (height_m < floor_m + _NEAR_FLOOR_M)
    todo = _runs(slow)
    while todo:
        first, last = todo.pop()
        if (last - first) * period_s < _SHORTEST_S:
            continue
        some_m = smooth_m[first:last]
        if np.linalg.norm(some_m - some_m.mean(0), axis=-1).max() <= _DRIFT_M:
            stands[first:last] = True
        else:
            step = first + int(speed_m_s[first:last].argmax())
            todo += [(first, step), (step + 1, last)]
    return stands


def _correction_m(ball_m: np.ndarray, stands: np.ndarray, period_s: float) -> np.ndarray:
    """What to add to the ball of a foot (frames, 3)."""
    frames = np.arange(len(ball_m))
    total, weights = np.zeros_like(ball_m), np.zeros(len(ball_m))
    for first, last in _runs(stands):
        held_m = ball_m[first:last].mean(0) - ball_m
        # beyond the contact what is left of the correction at its end, fading
        held_m[:first], held_m[last:] = held_m[first], held_m[last - 1]
        off_s = np.maximum(np.maximum(first - frames, frames - (last - 1)), 0) * period_s
        share = np.clip(1 - off_s / _FADE_S, 0, 1)
        share = share * share * (3 - 2 * share)
        total += share[:, None] * held_m
        weights += share
    return total / np.maximum(weights, 1)[:, None]


def _needed_drop_m(
    joints_m: np.ndarray, targets_m: list[np.ndarray], period_s: float
) -> Float64[np.ndarray, " frames"]:
    """How far the pelvis has to sink for both feet to be reached, smooth over time."""
    drop_m = np.zeros(len(joints_m))
    for leg, target_m in zip(_LEGS, targets_m, strict=True):
        hip_m = joints_m[:, leg.hip]
        reach_m = _REACH * sum(_lengths(joints_m, leg))
        level_m2 = np.square(hip_m[:, [0, 2]] - target_m[:, [0, 2]]).sum(-1)
        above_m = np.sqrt(np.maximum(reach_m**2 - level_m2, 0))
        drop_m = np.maximum(drop_m, hip_m[:, 1] - target_m[:, 1] - above_m)
    drop_m = np.maximum(drop_m, 0)
    if not drop_m.any():
        return drop_m
    around = max(1, round(_FADE_S / period_s))
    return _smoothed(_largest_around(drop_m, 2 * around)[:, None], around / 2)[:, 0]


def _reach(
    pose: np.ndarray, R: np.ndarray, joints_m: np.ndarray, leg: _Leg, target_m: np.ndarray
) -> None:
    """Turn hip, knee and ankle of `pose`, in place, so that the ankle gets to its target."""
    hip_m, knee_m, ankle_m = (joints_m[:, j] for j in (leg.hip, leg.knee, leg.ankle))
    thigh_m, shin_m = _lengths(joints_m, leg)
    way = target_m - hip_m
    distance_m = np.linalg.norm(way, axis=-1)
    ahead = way / distance_m[:, None]
    distance_m = np.clip(distance_m, abs(thigh_m - shin_m) + 1e-4, _REACH * (thigh_m + shin_m))
    cos = (thigh_m**2 + distance_m**2 - shin_m**2) / (2 * thigh_m * distance_m)
    sin = np.sqrt(np.maximum(1 - cos**2, 0))
    bend = _bend(R, joints_m, leg, ahead)
    new_knee_m = hip_m + thigh_m * (cos[:, None] * ahead + sin[:, None] * bend)
    new_ankle_m = hip_m + distance_m[:, None] * ahead
    moved = np.linalg.norm(target_m - ankle_m, axis=-1) > 1e-6
    R_hip = _between(knee_m - hip_m, new_knee_m - hip_m) @ R[:, leg.hip]
    R_knee = _between(ankle_m - knee_m, new_ankle_m - new_knee_m) @ R[:, leg.knee]
    local = {
        leg.hip: np.swapaxes(R[:, 0], -1, -2) @ R_hip,
        leg.knee: np.swapaxes(R_hip, -1, -2) @ R_knee,
        leg.ankle: np.swapaxes(R_knee, -1, -2) @ R[:, leg.ankle],
    }
    for joint, rotation in local.items():
        pose[moved, joint] = rotation[moved]


def _bend(R: np.ndarray, joints_m: np.ndarray, leg: _Leg, ahead: np.ndarray) -> np.ndarray:
    """Which way the knee points from the line between hip and target: as before, turned with that
    line; of a straight leg, which does not tell, to the front of the thigh."""
    hip_m, knee_m, ankle_m = (joints_m[:, j] for j in (leg.hip, leg.knee, leg.ankle))
    turn = _between(ankle_m - hip_m, ahead)
    out = (turn @ (knee_m - hip_m)[..., None])[..., 0] + _FRONT_M * R[:, leg.hip, :, 2]
    out -= (out * ahead).sum(-1, keepdims=True) * ahead
    return out / np.linalg.norm(out, axis=-1, keepdims=True)


def _lengths(joints_m: np.ndarray, leg: _Leg) -> tuple[float, float]:
    hip_m, knee_m, ankle_m = (joints_m[0, j] for j in (leg.hip, leg.knee, leg.ankle))
    return float(np.linalg.norm(knee_m - hip_m)), float(np.linalg.norm(ankle_m - knee_m))


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotations (n, 3, 3) that turn directions a into b, less than half a turn."""
    a, b = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (a, b))
    axis, cos = np.cross(a, b), (a * b).sum(-1)[:, None, None]
    x, y, z = axis.T
    o = np.zeros_like(x)
    K = np.stack([np.stack([o, -z, y], -1), np.stack([z, o, -x], -1), np.stack([-y, x, o], -1)], -2)
    return np.eye(3) + K + K @ K / (1 + cos)


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """First frames of runs of true, and the frames after their last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _smoothed(values: np.ndarray, sigma: float) -> np.ndarray:
    """Columns (frames, n) under a Gaussian of this standard deviation in frames."""
    half = max(1, round(3 * sigma))
    kernel = np.exp(-0.5 * np.square(np.arange(-half, half + 1) / max(sigma, 1e-3)))
    kernel /= kernel.sum()
    padded = np.pad(values, ((half, half), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, kernel, "valid") for column in padded.T], -1)


def _largest_around(values: np.ndarray, half: int) -> np.ndarray:
    """The largest of the values at most `half` frames away."""
    half = max(1, half)
    padded = np.pad(values, half, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).max(-1)
