"""Recorded poses with knees and elbows bent as far as those of people in photographs.

Actors bend their limbs, and markers make of straight knees bent ones. Angles of motion capture
are replaced by those that as many people in photographs have who are seen from the side
(`python benchmarks/trust bends`); limbs that are bent by more than a right angle stay.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.sides import SIDES
from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.geometry.rotations import rotvec_to_matrix

KNEE_DEG = (
    (0.0, 16.0, 28.0, 37.0, 49.0, 65.0, 80.0, 90.0),
    (0.0, 2.0, 5.0, 13.0, 24.0, 48.0, 75.0, 90.0),
)
"""Angles of motion capture, of people who do not sit, and those of photographs."""
ELBOW_DEG = ((0.0, 23.0, 42.0, 65.0, 93.0), (0.0, 4.0, 20.0, 45.0, 93.0))
"""The same of elbows."""


def straightened_limbs(R_free: Float[Tensor, "19 3 3"]) -> Float[Tensor, "19 3 3"]:
    """A pose with straighter knees and elbows; hips, ankles and feet stay where they were seen from
    each other: half of what a knee loses is taken from the hip, and half from the ankle.

    Args:
        R_free: local rotations of the free joints.
    """
    R = R_free.clone()
    for side in SIDES:
        hip, knee, ankle, elbow = (
            FREE_JOINTS.index(JOINT_INDEX[f"{side}_{joint}"])
            for joint in ("hip", "knee", "ankle", "elbow")
        )
        bent = torch.atan2(R[knee, 2, 1], R[knee, 1, 1])
        less = bent - _as_photographed(bent, KNEE_DEG)
        R[hip] = R[hip] @ _turn(0, less / 2)
        R[knee] = R[knee] @ _turn(0, -less)
        R[ankle] = _turn(0, less / 2) @ R[ankle]
        sign = 1.0 if side == "left" else -1.0
        bent = torch.atan2(sign * R[elbow, 2, 0], R[elbow, 0, 0])
        less = bent - _as_photographed(bent, ELBOW_DEG)
        R[elbow] = R[elbow] @ _turn(1, sign * less)
    return R


def _as_photographed(
    bent: Float[Tensor, ""], table: tuple[tuple[float, ...], tuple[float, ...]]
) -> Float[Tensor, ""]:
    """An angle between those of the table, else the angle itself."""
    angles, instead = (torch.deg2rad(bent.new_tensor(column)) for column in table)
    if not angles[0] < bent < angles[-1]:
        return bent
    i = int(torch.searchsorted(angles, bent))
    share = (bent - angles[i - 1]) / (angles[i] - angles[i - 1])
    return instead[i - 1] + share * (instead[i] - instead[i - 1])


def _turn(axis: int, angle: Float[Tensor, ""]) -> Float[Tensor, "3 3"]:
    vector = angle.new_zeros(3)
    vector[axis] = angle
    return rotvec_to_matrix(vector)
