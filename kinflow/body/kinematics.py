"""Where joints and points of a skeleton are, and how they move as joints turn and bones change.

With L_j the local rotation of joint j, o_j its offset from its parent in the T-pose, and R_j, p_j
its rotation and position in the outer frame,

    R_j = R_parent L_j,    p_j = p_parent + R_parent o_j

Whatever hangs on a joint m that turns with angular velocity w_m (outer frame) moves about p_m. For
a weighted sum of points that ride on joints, y = sum_v c_v y_v (a keypoint, a skinned vertex),

    dy = sum_m w_m x (A_m - M_m p_m)

where the mass M_m and the moment A_m are the sums of c_v and of c_v y_v over the v below m. The
joints m that turn are the root and the free joints: `MOVERS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.body.skeleton import FREE_JOINTS, NUM_JOINTS, PARENTS, descendants_mask
from kinflow.geometry.rotations import skew

MOVERS: tuple[int, ...] = (0, *FREE_JOINTS)
"""The joints whose rotations are unknown, the root first."""


@dataclass(frozen=True)
class JointTree:
    """The skeleton's tree as tensors of one device and type."""

    parents: Int[Tensor, "22"]
    """The root counts as its own parent."""
    movers: Int[Tensor, "20"]
    free_parents: Int[Tensor, "19"]
    """Parents of the free joints."""
    above: Float[Tensor, "22 22"]
    """`above[j, a]` is 1 where joint `a` is `j` or lies on the way from the root to it."""
    below: Float[Tensor, "20 22"]
    """`below[m, j]` is 1 where joint `j` is the mover `m` or hangs on it."""
    jumps: tuple[Int[Tensor, "23"], ...]
    """For each round k the 2^k-th ancestor of every joint; 22 stands for none."""
    pose_rows: Int[Tensor, "22"]
    """Where each joint's rotation is found in [root, free joints, a joint at rest]."""
    at_rest: Float[Tensor, "1 3 3"]
    """The rotation of a joint at rest."""


def joint_tree(like: Tensor) -> JointTree:
    """The tree on the device and in the type of a tensor."""
    return _tree(like.device, like.dtype)


@cache
@torch.inference_mode(False)  # whoever asks first must not decide what others may do with it
def _tree(device: torch.device, dtype: torch.dtype) -> JointTree:
    row_of = {joint: row for row, joint in enumerate(MOVERS)}
    below = torch.tensor(descendants_mask(), device=device).to(dtype)
    movers = torch.tensor(MOVERS, device=device)
    return JointTree(
        parents=torch.tensor([max(p, 0) for p in PARENTS], device=device),
        movers=movers,
        free_parents=torch.tensor([PARENTS[j] for j in FREE_JOINTS], device=device),
        above=below.T.contiguous(),
        below=below[movers],
        jumps=tuple(torch.tensor(rows, device=device) for rows in _jumps()),
        pose_rows=torch.tensor(
            [row_of.get(joint, len(row_of)) for joint in range(NUM_JOINTS)], device=device
        ),
        at_rest=torch.eye(3, device=device, dtype=dtype)[None],
    )


def _jumps() -> list[list[int]]:
    nearest = [parent if parent >= 0 else NUM_JOINTS for parent in PARENTS] + [NUM_JOINTS]
    rounds = []
    while any(ancestor != NUM_JOINTS for ancestor in nearest):
        rounds.append(nearest)
        nearest = [nearest[ancestor] for ancestor in nearest]
    return rounds


def full_pose(
    R_root: Float[Tensor, "*batch 3 3"], R_free: Float[Tensor, "*batch 19 3 3"]
) -> Float[Tensor, "*batch 22 3 3"]:
    """Local rotations of all joints; those that are not free are at rest."""
    tree = joint_tree(R_free)
    rest = tree.at_rest.expand(*R_free.shape[:-3], 1, 3, 3)
    return torch.cat([R_root[..., None, :, :], R_free, rest], -3).index_select(-3, tree.pose_rows)


def offsets_in_t_pose(
    rest_joints_m: Float[Tensor, "*batch 22 3"], Q_rest: Float[Tensor, "22 3 3"]
) -> Float[Tensor, "*batch 22 3"]:
    """Q_parent (a_child - a_parent); linear in the rest joints, so it serves derivatives too."""
    parents = joint_tree(rest_joints_m).parents
    step = rest_joints_m - rest_joints_m.index_select(-2, parents)
    return (Q_rest[parents] @ step[..., None])[..., 0]


def forward_kinematics(
    pose: Float[Tensor, "*batch 22 3 3"],
    t_root_m: Float[Tensor, "*batch 3"],
    offsets_m: Float[Tensor, "*#batch 22 3"],
) -> tuple[Float[Tensor, "*batch 22 3 3"], Float[Tensor, "*batch 22 3"]]:
    """Rotations and positions of the joints in the outer frame.

    Rotations are chained by pointer jumping: after round k each joint holds the product over its
    next 2^(k+1) ancestors, so three batched products reach from the root to the wrists.
    """
    tree = joint_tree(pose)
    R = torch.cat([pose, tree.at_rest.expand(*pose.shape[:-3], 1, 3, 3)], -3)
    for ancestors in tree.jumps:
        R = R.index_select(-3, ancestors) @ R
    R_joints = R[..., :NUM_JOINTS, :, :]
    return R_joints, joints_from_root_m(R_joints, offsets_m) + t_root_m[..., None, :]


def joints_from_root_m(
    R_joints: Float[Tensor, "*#batch 22 3 3"], offsets_m: Float[Tensor, "*#batch 22 3"]
) -> Float[Tensor, "*#batch 22 3"]:
    """Positions of the joints relative to the root, whose own offset is zero.

    Linear in the offsets: of their derivatives it makes those of the positions.
    """
    tree = joint_tree(R_joints)
    steps = (R_joints.index_select(-3, tree.parents) @ offsets_m[..., None])[..., 0]
    return tree.above @ steps


def free_spins(
    R_joints: Float[Tensor, "*batch 22 3 3"], omega: Float[Tensor, "*batch 19 3 latent"]
) -> Float[Tensor, "*batch 57 latent"]:
    """Angular velocities of the free joints in the outer frame, three rows a joint.

    Args:
        R_joints: rotations in the outer frame.
        omega: the angular velocities, each in the frame of the joint's parent.
    """
    parents = R_joints.index_select(-3, joint_tree(R_joints).free_parents)
    return (parents @ omega).flatten(-3, -2)


def turning_jacobian(
    mass: Float[Tensor, "*#batch points 20"],
    moment_m: Float[Tensor, "*batch points 20 3"],
    joints_m: Float[Tensor, "*batch 22 3"],
    spins: Float[Tensor, "*batch 57 latent"],
) -> tuple[Float[Tensor, "*batch points 3 3"], Float[Tensor, "*batch points 3 latent"]]:
    """How weighted sums of points move with the root's angular velocity and with a latent.

    Args:
        mass: for each mover, the sum of the weights of what is below it.
        moment_m: the same sum, of weight times position.
        joints_m: positions of the joints.
        spins: what the latent turns (`free_spins`).
    """
    pivots = joints_m.index_select(-2, joint_tree(joints_m).movers)[..., None, :, :]
    levers = skew(mass[..., None] * pivots - moment_m)
    *batch, points, movers = moment_m.shape[:-1]
    # every size is given: of no points none could be inferred
    rows = levers[..., 1:, :, :].transpose(-3, -2).reshape(*batch, points * 3, 3 * (movers - 1))
    return levers[..., 0, :, :], (rows @ spins).unflatten(-2, (points, 3))
