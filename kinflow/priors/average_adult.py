"""Joint positions of poses on the body of an average adult, whose pelvis stands upright at 0."""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.kinematics import free_spins, full_pose, joint_tree, turning_jacobian
from kinflow.body.model import BodyModel, PosedBody, ShapedBody
from kinflow.priors.shape import ShapePrior


@cache
def _average_adult(device: torch.device) -> ShapedBody:
    shape = ShapePrior()
    average = shape.decode(torch.zeros(shape.size, device=device, dtype=torch.float32))
    return BodyModel.load("joints", device).with_shape(average)


def _posed(R_free: Tensor) -> PosedBody:
    R_free = R_free.float()
    upright = joint_tree(R_free).at_rest[0].expand(*R_free.shape[:-3], 3, 3)
    origin = R_free.new_zeros(*R_free.shape[:-3], 3)
    return _average_adult(R_free.device).with_pose(full_pose(upright, R_free), origin)


def joint_offsets_m(device: torch.device) -> Float[Tensor, "22 3"]:
    """Parent-to-child offsets in the T-pose."""
    return _average_adult(device).joint_offsets_m()


def joint_positions_m(R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch 22 3"]:
    """Positions of all joints relative to the pelvis."""
    return _posed(R_free).joints_m


def joint_positions_with_jacobian_m(
    R_free: Float[Tensor, "*batch 19 3 3"], omega: Float[Tensor, "*batch 19 3 latent"]
) -> tuple[Float[Tensor, "*batch 22 3"], Float[Tensor, "*batch 22 3 latent"]]:
    """Positions and their derivatives by whatever turns each joint by `omega` in its parent."""
    posed = _posed(R_free)
    positions_m = posed.joints_m
    below = joint_tree(positions_m).below.T  # a joint is a point of mass one
    moment_m = below[..., None] * positions_m[..., None, :]
    spins = free_spins(posed.R_joints, omega)
    return positions_m, turning_jacobian(below, moment_m, positions_m, spins)[1]
