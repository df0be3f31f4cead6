"""Joint positions of poses on the body of an average adult, whose pelvis stands upright at 0."""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.model import BodyModel, PosedBody, ShapedBody
from kinflow.body.skeleton import FREE_JOINTS, NUM_JOINTS, PARENTS
from kinflow.geometry.rotations import skew
from kinflow.priors.shape import ShapePrior


@cache
def _average_adult() -> ShapedBody:
    shape = ShapePrior()
    average = shape.decode(torch.zeros(shape.size, dtype=torch.float32))
    return BodyModel.load("joints").with_shape(average)


def _posed(R_free: Tensor) -> PosedBody:
    pose = torch.eye(3, dtype=torch.float32).expand(*R_free.shape[:-3], NUM_JOINTS, 3, 3).clone()
    pose[..., FREE_JOINTS, :, :] = R_free.float()
    return _average_adult().with_pose(pose, torch.zeros(*R_free.shape[:-3], 3, dtype=torch.float32))


def joint_positions_m(R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch 22 3"]:
    """Positions of all joints relative to the pelvis."""
    return _posed(R_free).joints_m


def joint_positions_with_jacobian_m(
    R_free: Float[Tensor, "*batch 19 3 3"], omega: Float[Tensor, "*batch 19 3 latent"]
) -> tuple[Float[Tensor, "*batch 22 3"], Float[Tensor, "*batch 22 3 latent"]]:
    """Positions and their derivatives by whatever turns each joint by `omega` in its parent.

    Down the tree, with [Ω]ₓ the global spin of a joint: Ω_child = Ω_parent + R_parent ω_child and
    dp_child = dp_parent + Ω_parent × (p_child − p_parent).
    """
    posed = _posed(R_free)
    positions = posed.joints_m
    still = torch.zeros_like(omega[..., 0, :, :])
    spins, steps = [still], [still]
    for joint in range(1, NUM_JOINTS):
        parent = PARENTS[joint]
        arm = positions[..., joint, :] - positions[..., parent, :]
        steps.append(steps[parent] - skew(arm) @ spins[parent])
        own = still
        if joint in FREE_JOINTS:
            own = posed.R_joints[..., parent, :, :] @ omega[..., FREE_JOINTS.index(joint), :, :]
        spins.append(spins[parent] + own)
    return positions, torch.stack(steps, -3)
