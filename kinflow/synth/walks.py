"""Somebody who walks, by a few sines: motion that is free, for demonstrations and tests.

Legs and arms swing against each other, and the path of the root is what keeps the foot that stands
where it is, so that the truth has no sliding feet. It is a plausible walk and nobody's own.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.sides import SIDES
from kinflow.body.skeleton import JOINT_INDEX, NUM_JOINTS
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.synth.clips import MovingPerson

STEPS_PER_S = 1.8
_HIP, _KNEE, _KNEE_ALWAYS, _ANKLE = 0.42, 0.85, 0.08, 0.25
_ARM_DOWN, _SHOULDER, _ELBOW = 1.25, 0.45, 0.35
_TRUNK, _LEAN = 0.08, 0.05
_SOLES = [KEYPOINT_INDEX[f"{side}_{point}"] for side in SIDES for point in ("heel", "big_toe")]


def walking(
    shape: Float[Tensor, " 6"],
    frames: int,
    rate_hz: float,
    body: BodyModel,
    turn_rad_s: float = 0.0,
) -> MovingPerson:
    """A walk along +z from the world's origin, on the floor at y = 0.

    Args:
        shape: phenotypes of who walks.
        frames: how many, at least one.
        rate_hz: frames a second.
        body: any body with vertices; a coarse one will do.
        turn_rad_s: how quickly they turn to their left as they go.
    """
    time_s = torch.arange(frames) / rate_hz
    phase = math.pi * STEPS_PER_S * time_s  # of the left leg; the right one is half a turn away
    rotvec = torch.zeros(frames, NUM_JOINTS, 3)
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        own = phase if side == "left" else phase + math.pi
        joint = {part: JOINT_INDEX[f"{side}_{part}"] for part in ("hip", "knee", "ankle", "elbow")}
        rotvec[:, joint["hip"], 0] = -_HIP * own.sin() - _LEAN
        swings = (own + 0.3).cos().clamp_min(0)  # the knee bends while the leg comes forward
        rotvec[:, joint["knee"], 0] = _KNEE_ALWAYS + _KNEE * swings**2
        rotvec[:, joint["ankle"], 0] = -_ANKLE * (own - 0.6).cos()
        rotvec[:, joint["elbow"], 1] = -sign * (_ELBOW + 0.15 * own.sin())
    rotvec[:, JOINT_INDEX["spine2"], 1] = -_TRUNK * phase.sin()
    rotvec[:, JOINT_INDEX["spine1"], 0] = _LEAN
    pose = rotvec_to_matrix(rotvec)
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        own = phase if side == "left" else phase + math.pi
        zero = torch.zeros_like(own)
        swing = torch.stack([_SHOULDER * own.sin(), zero, zero], -1)
        down = torch.tensor([0.0, 0.0, -sign * _ARM_DOWN]).expand(frames, 3)
        arm = rotvec_to_matrix(swing) @ rotvec_to_matrix(down)
        pose[:, JOINT_INDEX[f"{side}_shoulder"]] = arm
    heading = turn_rad_s * time_s
    pose[:, 0] = rotvec_to_matrix(torch.stack([0 * heading, heading, 0 * heading], -1))
    return MovingPerson(shape, pose, _on_feet(shape, pose, body))


def _on_feet(
    shape: Float[Tensor, " 6"], pose: Float[Tensor, "frames 22 3 3"], body: BodyModel
) -> Float[Tensor, "frames 3"]:
    """Where the root is when the sole that is lowest stays where it is on the floor."""
    still = body.with_shape(shape).with_pose(pose, torch.zeros(len(pose), 3))
    soles, lowest = still.keypoints_m()[:, _SOLES], still.vertices_m()[..., 1].amin(-1)
    root = torch.zeros(len(pose), 3)
    for frame in range(1, len(pose)):
        stands = int((soles[frame, :, 1] + soles[frame - 1, :, 1]).argmin())
        root[frame] = root[frame - 1] - (soles[frame, stands] - soles[frame - 1, stands])
    root[:, 1] = -lowest
    return root
