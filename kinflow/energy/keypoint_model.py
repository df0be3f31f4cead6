"""From the unknowns of a person to 3D keypoints in the camera frame, with analytic Jacobians.

Derivatives are taken with respect to a local step of the unknowns (`unknowns.py`), in the order of
`layout.py`. They are written out by hand because this is the inner loop: autodiff would take many
passes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.model import (
    BodyModel,
    PosedBody,
    forward_kinematics,
    offsets_in_t_pose,
)
from kinflow.body.skeleton import FREE_JOINTS, NUM_JOINTS, PARENTS, descendants_mask
from kinflow.energy.layout import TangentLayout
from kinflow.energy.unknowns import Unknowns
from kinflow.geometry.rotations import skew
from kinflow.priors.base import PosePrior
from kinflow.priors.shape import ShapePrior
from kinflow.threads import lazy


@dataclass(frozen=True)
class Motion:
    """How the skeleton stands and how it moves with the unknowns; every point follows from it."""

    G: Float[Tensor, "batch 22 3 3"]
    """Global joint rotations."""
    joints_m: Float[Tensor, "batch 22 3"]
    codes: Float[Tensor, "batch codes rank"]
    """Coefficients of the rest-shape basis; further rows are derivatives with respect to s."""
    omega: Float[Tensor, "batch 19 3 latent"] | None = None
    """Angular velocity of each free joint in its parent with respect to z."""


@dataclass(frozen=True)
class KeypointState:
    """Keypoints in the camera frame and their derivatives with respect to a local step."""

    keypoints_cam_m: Float[Tensor, "batch keypoints 3"]
    jacobian: Float[Tensor, "batch keypoints 3 unknowns"] | None
    motion: Motion


class KeypointModel:
    """Evaluates bodies at chosen keypoints, optionally together with all 22 joints.

    Args:
        body: any subset of the body; vertices are not used.
        prior: decodes pose latents.
        keypoints: indices into KEYPOINT_NAMES.
        with_joints: append the 22 joints to the points.
    """

    def __init__(
        self,
        body: BodyModel,
        prior: PosePrior,
        shape_prior: ShapePrior,
        keypoints: tuple[int, ...],
        with_joints: bool = False,
    ) -> None:
        self.body, self.prior, self.shape_prior = body, prior, shape_prior
        self.layout = TangentLayout(prior.latent_dim, shape_prior.size)
        """Of the Jacobians that it gives, which know of no focal length."""
        device = body.rest_mean_m.device
        self._free_parents = torch.tensor([PARENTS[j] for j in FREE_JOINTS], device=device)
        self._parents = torch.tensor([max(p, 0) for p in PARENTS], device=device)
        # a pose is put together from rows of [root, free joints, a joint at rest]
        row_of = {0: 0, **{joint: row for row, joint in enumerate(FREE_JOINTS, start=1)}}
        rows = [row_of.get(joint, len(row_of)) for joint in range(NUM_JOINTS)]
        self._pose_rows = torch.tensor(rows, device=device)
        self._at_rest = torch.eye(3, device=device, dtype=torch.float32)[None]
        below = torch.tensor(descendants_mask(), dtype=torch.float32, device=device)
        self._above = below.T.contiguous()
        # points are sums of virtual points (keypoints) or joints themselves, each rigid to a joint
        mass, joint = body.keypoint_mass[list(keypoints)], body.keypoint_joint
        used = torch.nonzero(mass.sum(0))[:, 0]
        self._joint, self._mass = joint[used], mass[:, used]
        if with_joints:
            self._joint = torch.cat([self._joint, torch.arange(NUM_JOINTS, device=device)])
            self._mass = torch.block_diag(
                self._mass, torch.eye(NUM_JOINTS, device=device, dtype=torch.float32)
            )
        # for the root and each free joint: the share of each point that moves with it
        self._movers = torch.tensor([0, *FREE_JOINTS], device=device)
        moved = below[self._movers][:, self._joint]
        self._mass_below = (self._mass[None] * moved[:, None]).flatten(0, 1)
        self._mass_below_sum = self._mass_below.sum(1).unflatten(0, (len(self._movers), -1, 1))
        extra = NUM_JOINTS if with_joints else 0
        self._offset_mean = _pad_points(self._offsets_of(body.rest_mean_m, used), extra)
        basis = _pad_points(self._offsets_of(body.rest_basis_m, used), extra)
        self._offset_basis = basis.flatten(1)

    @property
    def num_points(self) -> int:
        return len(self._mass)

    @lazy
    def points_at_rest_m(self) -> Float[Tensor, "points 3"]:
        """The points of an average adult in the prior's central pose, in the root's frame."""
        device = self._at_rest.device
        zero = torch.zeros(1, self.layout.size, device=device, dtype=torch.float32)
        z, s = zero[:, self.layout.latent], zero[:, self.layout.shape]
        centre = Unknowns(
            self._at_rest, torch.zeros(1, 3, device=device, dtype=torch.float32), z, s, z[:, 0]
        )
        with torch.no_grad():
            return self.evaluate(centre, with_jacobian=False).keypoints_cam_m[0]

    def posed(self, unknowns: Unknowns) -> PosedBody:
        """The full posed body of these unknowns, on this model's body."""
        shaped = self.body.with_shape(self.shape_prior.decode(unknowns.s))
        return shaped.with_pose(self.pose(unknowns), unknowns.t_cam_root_m)

    def pose(self, unknowns: Unknowns) -> Float[Tensor, "*batch 22 3 3"]:
        """Local rotations of all joints."""
        return self._assemble_pose(unknowns, self.prior.decode(unknowns.z))

    def evaluate(self, unknowns: Unknowns, with_jacobian: bool = True) -> KeypointState:
        """Points of a batch of bodies (one batch axis), with derivatives if asked for."""
        phenotypes, slope = self.shape_prior.decode_with_slope(unknowns.s)
        if not with_jacobian:
            R_free = self.prior.decode(unknowns.z)
            code = self.body.shape_space.code(phenotypes)[:, None]
            G, joints, moved, _ = self._move(unknowns, R_free, code)
            return KeypointState(self._mass @ moved, None, Motion(G, joints, code))
        R_free, omega = self.prior.decode_with_jacobian(unknowns.z)
        code, dcode = self.body.shape_space.code_with_jacobian(phenotypes)
        codes = torch.cat([code[:, None], dcode * slope[..., None]], 1)
        G, joints, moved, doffsets = self._move(unknowns, R_free, codes)
        jacobian = torch.cat(
            [
                self._rotation_columns(G, joints, moved, omega, unknowns.t_cam_root_m),
                self._shape_columns(G, doffsets),
            ],
            -1,
        )
        return KeypointState(self._mass @ moved, jacobian, Motion(G, joints, codes, omega))

    def _assemble_pose(self, unknowns: Unknowns, R_free: Tensor) -> Tensor:
        rest = self._at_rest.expand(*R_free.shape[:-3], 1, 3, 3)
        parts = torch.cat([unknowns.R_cam_root[..., None, :, :], R_free, rest], -3)
        return parts.index_select(-3, self._pose_rows)

    def _offsets_of(self, rest: Tensor, used: Tensor) -> Tensor:
        """T-pose offsets of joints from parents and of virtual points from their joints.

        They are linear in the rest points, so this turns a basis of those into one of offsets.
        """
        Q = self.body.Q_rest
        joints = rest[..., :NUM_JOINTS, :]
        owner = self.body.keypoint_joint[used]
        step = rest[..., NUM_JOINTS + used, :] - joints[..., owner, :]
        points = (Q[owner] @ step[..., None])[..., 0]
        return torch.cat([offsets_in_t_pose(joints, Q), points], -2)

    def _move(
        self, unknowns: Unknowns, R_free: Tensor, codes: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Joint rotations and positions, moved virtual points, derivatives of the offsets.

        The first row of `codes` (batch, 1 + 6, rank) is the shape's, the others its derivatives.
        """
        offsets = (codes @ self._offset_basis).unflatten(-1, (-1, 3))
        own = offsets[:, 0] + self._offset_mean
        pose = self._assemble_pose(unknowns, R_free)
        G, joints = forward_kinematics(pose, unknowns.t_cam_root_m, own[:, :NUM_JOINTS])
        G_points = G.index_select(1, self._joint)
        moved = (G_points @ own[:, NUM_JOINTS:, :, None])[..., 0]
        return G, joints, moved + joints.index_select(1, self._joint), offsets[:, 1:]

    def _rotation_columns(
        self, G: Tensor, joints: Tensor, moved: Tensor, omega: Tensor, t_root: Tensor
    ) -> Tensor:
        """d points / d [root rotation, position, z].

        A joint turning with angular velocity w (camera axes) moves a point y below it by
        w x (y - joint); for a weighted sum of points that is w x (sum m y - (sum m) joint).
        """
        batch, movers = len(G), len(self._movers)
        arm = (self._mass_below @ moved).unflatten(1, (movers, -1))
        pivot = joints.index_select(1, self._movers)[:, :, None]
        spread = skew(self._mass_below_sum * pivot - arm)  # (batch, movers, points, 3, 3)
        latent_omega = G.index_select(1, self._free_parents) @ omega
        turned = spread[:, 1:].permute(0, 2, 3, 1, 4).reshape(batch, -1, 3 * (movers - 1))
        latent = (turned @ latent_omega.flatten(1, 2)).unflatten(1, (-1, 3))
        position = self.position_columns(t_root)[:, None].expand(-1, latent.shape[1], -1, -1)
        return torch.cat([spread[:, 0], position, latent], -1)

    def _shape_columns(self, G: Tensor, doffsets: Tensor) -> Tensor:
        """d points / d s: offsets change, rotations do not; the root joint stays in place."""
        G_parents = G.index_select(1, self._parents)[:, None]
        turned = (G_parents @ doffsets[:, :, :NUM_JOINTS, :, None])[..., 0]
        displacement = self._above @ turned
        G_points = G.index_select(1, self._joint)[:, None]
        moved = (G_points @ doffsets[:, :, NUM_JOINTS:, :, None])[..., 0]
        moved = moved + displacement.index_select(2, self._joint)
        return (self._mass @ moved).permute(0, 2, 3, 1)

    @staticmethod
    def position_columns(t: Tensor) -> Tensor:
        """(batch, 3, 3) derivative of the root position with respect to its step."""
        depth = t[:, 2]
        zero = torch.zeros_like(depth)
        rows = [depth, zero, t[:, 0], zero, depth, t[:, 1], zero, zero, depth]
        return torch.stack(rows, -1).unflatten(-1, (3, 3))


def _pad_points(offsets: Tensor, count: int) -> Tensor:
    """Append `count` points that sit in their joints."""
    return torch.cat([offsets, offsets.new_zeros(*offsets.shape[:-2], count, 3)], -2)
