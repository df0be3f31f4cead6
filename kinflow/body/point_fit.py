"""Bodies of any kind onto points: vertices and joints that are known, by Levenberg-Marquardt.

What is asked for is the rotation of all 22 joints and the position of every body and, where it is
free, the shape, which all bodies of a problem share. With the notation of `body/kinematics.py`, a
joint m that turns by w (in the frame of its parent) moves a skinned vertex by

    dv = (R_parent w) x (A_m - M_m p_m)

and a vertex is linear in the coefficients of the shape. How pose blend shapes change along a step
is left out of the Jacobian, not of the vertices: it is small, and only costs iterations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.body.kinematics import joint_tree, joints_from_root_m, offsets_in_t_pose
from kinflow.body.model import BodyModel, PosedBody
from kinflow.body.skeleton import NUM_JOINTS
from kinflow.body.skinning import blended, joint_maps, translations_m
from kinflow.geometry.rotations import rotvec_to_matrix, skew
from kinflow.optim import DenseModel, LMConfig, LMResult, minimise

_BODY_UNKNOWNS = 3 * NUM_JOINTS + 3


@dataclass(frozen=True)
class PointTargets:
    """Where the points of bodies should be, for a batch of problems of several bodies each."""

    vertices_m: Float[Tensor, "problems bodies vertices 3"]
    """Of all vertices of the model that is fitted."""
    joints_m: Float[Tensor, "problems bodies 22 3"]
    inverse_std: Float[Tensor, "*#problems vertices 3 3"]
    """Turns distances of vertices, metres, into standard deviations along some axes."""
    joint_std_m: float = 0.01

    def __getitem__(self, rows: Any) -> PointTargets:
        several = len(self.inverse_std) == len(self.vertices_m) and self.inverse_std.ndim == 4
        inverse_std = self.inverse_std[rows] if several else self.inverse_std
        return replace(
            self,
            vertices_m=self.vertices_m[rows],
            joints_m=self.joints_m[rows],
            inverse_std=inverse_std,
        )


@dataclass(frozen=True)
class ShapeFreedom:
    """What is known of a shape beforehand: independent Gaussians, cut off at bounds."""

    mean: Float[Tensor, " shape"]
    std: Float[Tensor, " shape"]
    low: float = -torch.inf
    high: float = torch.inf


@dataclass(frozen=True)
class PosedShapes:
    """Bodies of a batch of problems, those of one problem of one shape."""

    pose: Float[Tensor, "problems bodies 22 3 3"]
    t_root_m: Float[Tensor, "problems bodies 3"]
    shape: Float[Tensor, "problems shape"]
    freedom: ShapeFreedom | None = None
    """Of the shape; it stays as it is where there is none."""

    def __len__(self) -> int:
        return len(self.pose)

    def step(self, step: Float[Tensor, "problems unknowns"], /) -> PosedShapes:
        """Rotations turn in their parents' frames."""
        own = step[:, : self.pose.shape[1] * _BODY_UNKNOWNS].unflatten(1, (-1, _BODY_UNKNOWNS))
        turn, shift = own[..., :-3].unflatten(-1, (NUM_JOINTS, 3)), own[..., -3:]
        moved = replace(
            self, pose=rotvec_to_matrix(turn) @ self.pose, t_root_m=self.t_root_m + shift
        )
        if self.freedom is None:
            return moved
        shape = self.shape + step[:, self.pose.shape[1] * _BODY_UNKNOWNS :]
        return replace(moved, shape=shape.clamp(self.freedom.low, self.freedom.high))

    def __getitem__(self, rows: Any, /) -> PosedShapes:
        return replace(
            self, pose=self.pose[rows], t_root_m=self.t_root_m[rows], shape=self.shape[rows]
        )

    def replaced(self, rows: Tensor, values: PosedShapes, /) -> PosedShapes:
        """A copy in which some problems have other values."""
        exchanged = {}
        for name in ("pose", "t_root_m", "shape"):
            exchanged[name] = getattr(self, name).clone()
            exchanged[name][rows] = getattr(values, name)
        return replace(self, **exchanged)

    def posed(self, body: BodyModel) -> PosedBody:
        """The bodies, with batch axes (problems, bodies)."""
        bodies = self.pose.shape[1]
        shape = self.shape[:, None].expand(-1, bodies, -1)
        return body.with_shape(shape).with_pose(self.pose, self.t_root_m)


def fit_points(
    body: BodyModel, start: PosedShapes, targets: PointTargets, config: LMConfig
) -> LMResult[PosedShapes]:
    """Bodies whose vertices and joints are where they should be, as nearly as can be.

    Args:
        body: the model; all of its vertices have targets (`BodyModel.select_vertices`).
        start: where to begin, and whether the shape is free.
        targets: the points.
        config: stopping and damping.
    """

    def linearise(state: PosedShapes, rows: Int[Tensor, " problems"]) -> DenseModel:
        residuals, jacobian = _linearised(body, state, targets[rows])
        return DenseModel.of(residuals, jacobian)

    with torch.no_grad():
        return minimise(start, linearise, config)


def _linearised(
    body: BodyModel, state: PosedShapes, targets: PointTargets
) -> tuple[Float[Tensor, "problems residuals"], Float[Tensor, "problems residuals unknowns"]]:
    problems, bodies = state.pose.shape[:2]
    freedom = state.freedom
    posed = _flat(state, body)
    shape_size = 0 if freedom is None else state.shape.shape[-1]
    points_m, own = points_with_jacobian(posed)
    wanted_m = torch.cat([targets.vertices_m, targets.joints_m], 2).flatten(0, 1)
    gap_m = points_m - wanted_m
    joint_scale = torch.eye(3).to(gap_m) / targets.joint_std_m
    scale = torch.cat(
        [
            targets.inverse_std.expand(problems, -1, 3, 3),
            joint_scale.expand(problems, NUM_JOINTS, 3, 3),
        ],
        1,
    ).repeat_interleave(bodies, 0)
    residuals = (scale @ gap_m[..., None])[..., 0].reshape(problems, bodies, -1)
    rows = residuals.shape[-1]
    own = (scale @ own).reshape(problems, bodies, rows, _BODY_UNKNOWNS)
    jacobian = own.new_zeros(problems, bodies, rows, bodies * _BODY_UNKNOWNS + shape_size)
    for k in range(bodies):
        jacobian[:, k, :, k * _BODY_UNKNOWNS : (k + 1) * _BODY_UNKNOWNS] = own[:, k]
    if freedom is None:
        return residuals.flatten(1), jacobian.flatten(1, 2)
    shared = (scale @ shape_jacobian(posed)).reshape(problems, bodies, rows, shape_size)
    jacobian[..., bodies * _BODY_UNKNOWNS :] = shared
    prior = torch.zeros(problems, shape_size, jacobian.shape[-1]).to(jacobian)
    prior[..., bodies * _BODY_UNKNOWNS :] = torch.diag(1 / freedom.std)
    off = (state.shape - freedom.mean) / freedom.std
    return (
        torch.cat([residuals.flatten(1), off], 1),
        torch.cat([jacobian.flatten(1, 2), prior], 1),
    )


def _flat(state: PosedShapes, body: BodyModel) -> PosedBody:
    """The bodies of all problems with one batch axis."""
    shape = state.shape.repeat_interleave(state.pose.shape[1], 0)
    return body.with_shape(shape).with_pose(state.pose.flatten(0, 1), state.t_root_m.flatten(0, 1))


def points_with_jacobian(
    posed: PosedBody,
) -> tuple[Float[Tensor, "batch points 3"], Float[Tensor, "batch points 3 unknowns"]]:
    """Vertices followed by joints, and their derivatives in a step of rotations and position."""
    shaped, joints_m = posed.shaped, posed.joints_m
    body = shaped.body
    maps = joint_maps(posed.R_joints, joints_m, shaped.rest_joints_m, body.Q_rest)
    rest = posed.corrected_rest_m()
    carried = torch.einsum("bjxy,bvy->bvjx", maps[..., :3], rest) + maps[:, None, ..., 3]
    shares = torch.cat(
        [body.skin_weights[..., None] * carried, _joint_shares(joints_m)], 1
    )  # (batch, points, 22, 3): what each joint carries of a point
    weights = torch.cat([body.skin_weights, torch.eye(NUM_JOINTS).to(joints_m)])
    tree = joint_tree(joints_m)
    below = tree.above.T
    mass, moment = weights @ below.T, below @ shares
    parents = posed.R_joints[:, tree.parents].clone()
    parents[:, 0] = torch.eye(3).to(parents)
    turning = skew(mass[..., None] * joints_m[:, None] - moment) @ parents[:, None]
    moving = torch.eye(3).to(joints_m).expand(*shares.shape[:2], 3, 3)
    own = torch.cat([turning.transpose(2, 3).flatten(3), moving], -1)
    return shares.sum(2), own


def _joint_shares(joints_m: Float[Tensor, "batch 22 3"]) -> Float[Tensor, "batch 22 22 3"]:
    """Joints as points that they carry themselves."""
    return torch.eye(NUM_JOINTS).to(joints_m)[..., None] * joints_m[:, :, None]


def shape_jacobian(posed: PosedBody) -> Float[Tensor, "batch points 3 shape"]:
    """How vertices and joints move with the shape while rotations and root stay."""
    shaped = posed.shaped
    body, first = shaped.body, len(shaped.body.rest_mean_m) - shaped.body.num_vertices
    maps = joint_maps(posed.R_joints, posed.joints_m, shaped.rest_joints_m, body.Q_rest)
    _, slopes = body.shape_space.code_with_jacobian(shaped.shape)
    rest = (slopes @ body.rest_basis_m.flatten(1)).unflatten(-1, (-1, 3))
    joints, vertices = rest[..., :NUM_JOINTS, :], rest[..., first:, :]
    offsets = offsets_in_t_pose(joints, body.Q_rest)
    displaced = joints_from_root_m(posed.R_joints[:, None], offsets)
    shift = translations_m(maps[:, None, ..., :3], displaced, joints)
    turned = blended(body.skin_weights, maps)[:, None, ..., :3] @ vertices[..., None]
    moved = turned[..., 0] + body.skin_weights @ shift
    return torch.cat([moved, displaced], 2).permute(0, 2, 3, 1)
