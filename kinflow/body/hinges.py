"""Knees and elbows: joints that bend about one axis."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.sides import SIDES
from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.geometry.rotations import rotvec_to_matrix

HINGES: tuple[str, ...] = tuple(f"{side}_{joint}" for joint in ("knee", "elbow") for side in SIDES)
"""Left and right knee, left and right elbow."""
KNEES, ELBOWS = slice(0, 2), slice(2, 4)
"""Where they are among these."""

ELBOW_AXES = ((0.0, -1.0, 0.0), (0.0, 1.0, 0.0))
"""About which elbows bend, left and right."""
HINGE_ROWS, _HIP_ROWS, _ANKLE_ROWS = (
    [FREE_JOINTS.index(JOINT_INDEX[name]) for name in names]
    for names in (HINGES, [f"{side}_hip" for side in SIDES], [f"{side}_ankle" for side in SIDES])
)
"""Where joints are among the free ones."""
_X = (1.0, 0.0, 0.0)


def hinge_flexion_deg(R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch 4"]:
    """How far each of `HINGES` is bent; negative where it is overstretched."""
    R = R_free[..., HINGE_ROWS, :, :]
    legs, arms = R[..., KNEES, :, :], R[..., ELBOWS, :, :]
    inwards = R.new_tensor([1.0, -1.0])
    knees = torch.atan2(legs[..., 2, 1], legs[..., 1, 1])
    elbows = torch.atan2(inwards * arms[..., 2, 0], arms[..., 0, 0])
    return torch.rad2deg(torch.cat([knees, elbows], -1))


def unbent(
    R_free: Float[Tensor, "*batch 19 3 3"], less_deg: Float[Tensor, "*batch 4"]
) -> Float[Tensor, "*batch 19 3 3"]:
    """Poses with each of `HINGES` bent by so much less.

    Thighs and shins being about as long, ankles stay in their direction from the hips: half of what
    a knee loses is taken from the hip, and half from the ankle, so that feet stay as they were.

    Args:
        R_free: local rotations of the free joints.
        less_deg: by how much.
    """
    less = torch.deg2rad(less_deg)[..., None]
    axes = less.new_tensor((_X, _X, *ELBOW_AXES))
    back = rotvec_to_matrix(-less * axes)
    half = rotvec_to_matrix(0.5 * less[..., KNEES, :] * axes[KNEES])
    R = R_free.clone()
    R[..., HINGE_ROWS, :, :] = R[..., HINGE_ROWS, :, :] @ back
    R[..., _HIP_ROWS, :, :] = R[..., _HIP_ROWS, :, :] @ half
    R[..., _ANKLE_ROWS, :, :] = half @ R[..., _ANKLE_ROWS, :, :]
    return R
