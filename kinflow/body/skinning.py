"""Linear blend skinning: points of the rest shape, carried along by the joints.

With W_j = R_j Q_j the rotation of joint j from rest to the outer frame, a_j where it is at rest and
p_j where it is now,

    v = sum_j w_vj [ W_j v_rest + t_j ],    t_j = p_j - W_j a_j

so the joints' affine maps (W_j, t_j) are blended first and each point is moved once.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def joint_maps(
    R_joints: Float[Tensor, "*#batch 22 3 3"],
    joints_m: Float[Tensor, "*#batch 22 3"],
    rest_joints_m: Float[Tensor, "*#batch 22 3"],
    Q_rest: Float[Tensor, "22 3 3"],
) -> Float[Tensor, "*#batch 22 3 4"]:
    """Affine maps (W_j, t_j) from rest to the outer frame."""
    W = R_joints @ Q_rest
    return torch.cat([W, translations_m(W, joints_m, rest_joints_m)[..., None]], -1)


def translations_m(
    W: Float[Tensor, "*#batch 22 3 3"],
    joints_m: Float[Tensor, "*#batch 22 3"],
    rest_joints_m: Float[Tensor, "*#batch 22 3"],
) -> Float[Tensor, "*#batch 22 3"]:
    """t_j; linear in the positions of joints, so it serves derivatives along the shape too."""
    return joints_m - (W @ rest_joints_m[..., None])[..., 0]


def blended(
    weights: Float[Tensor, "*#batch points 22"], maps: Float[Tensor, "*#batch 22 3 4"]
) -> Float[Tensor, "*#batch points 3 4"]:
    """The affine map of each point, by its shares in the joints."""
    return (weights @ maps.flatten(-2)).unflatten(-1, (3, 4))


def moved_m(
    maps: Float[Tensor, "*#batch points 3 4"], points_m: Float[Tensor, "*#batch points 3"]
) -> Float[Tensor, "*#batch points 3"]:
    """Each point under its own map."""
    return (maps[..., :3] @ points_m[..., None])[..., 0] + maps[..., 3]
