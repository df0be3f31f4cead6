"""What the 22 joints are called in files for other programs."""

from __future__ import annotations

from typing import Literal

from kinflow.body.skeleton import JOINT_NAMES

JointNaming = Literal["smpl", "mixamo"]

MIXAMO_NAMES: tuple[str, ...] = (
    "Hips",
    "LeftUpLeg",
    "RightUpLeg",
    "Spine",
    "LeftLeg",
    "RightLeg",
    "Spine1",
    "LeftFoot",
    "RightFoot",
    "Spine2",
    "LeftToeBase",
    "RightToeBase",
    "Neck",
    "LeftShoulder",
    "RightShoulder",
    "Head",
    "LeftArm",
    "RightArm",
    "LeftForeArm",
    "RightForeArm",
    "LeftHand",
    "RightHand",
)
"""Mixamo's names of the 22 joints, in SMPL's order."""


def names_of(naming: JointNaming) -> tuple[str, ...]:
    """Names in joint order."""
    return MIXAMO_NAMES if naming == "mixamo" else JOINT_NAMES
