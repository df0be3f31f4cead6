"""From the unknowns of a person to 3D keypoints in the camera frame, with analytic Jacobians.

Derivatives are taken with respect to a local step (`unknowns.py`). They are written out by hand
because this is the inner loop: autodiff would take many passes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.kinematics import (
    forward_kinematics,
    free_spins,
    full_pose,
    joint_tree,
    joints_from_root_m,
    offsets_in_t_pose,
    turning_jacobian,
)
from kinflow.body.model import BodyModel, PosedBody
from kinflow.body.skeleton import NUM_JOINTS
from kinflow.energy.layout import TangentLayout
from kinflow.energy.unknowns import Unknowns, position_columns
from kinflow.geometry.rotations import skew
from kinflow.priors.attitude import AttitudePrior
from kinflow.priors.base import PosePrior
from kinflow.priors.shape import LatentShapes
from kinflow.threads import lazy


@dataclass(frozen=True)
class Motion:
    """How the skeleton stands and how it moves with the unknowns; every point follows from it."""

    layout: TangentLayout
    """The unknowns: what Jacobians of points have columns for."""
    G: Float[Tensor, "batch 22 3 3"]
    """Rotations of the joints in the camera frame."""
    joints_m: Float[Tensor, "batch 22 3"]
    codes: Float[Tensor, "batch codes rank"]
    """Coefficients of the rest-shape basis; further rows are derivatives with respect to s."""
    spins: Float[Tensor, "batch 57 latent"] | None = None
    """Angular velocities of the free joints in the camera frame with respect to z; None where
    derivatives were not asked for."""


@dataclass(frozen=True)
class KeypointState:
    """Keypoints in the camera frame and their derivatives with respect to a local step."""

    keypoints_cam_m: Float[Tensor, "batch keypoints 3"]
    jacobian: Float[Tensor, "batch keypoints 3 unknowns"] | None
    motion: Motion
    up_cam: Float[Tensor, "batch 3"] | None = None
    """What is up by the pose, in the camera frame; None without an attitude prior."""
    up_jacobian: Float[Tensor, "batch 3 unknowns"] | None = None


class KeypointModel:
    """Evaluates bodies at chosen keypoints, optionally together with all 22 joints.

    Args:
        body: any subset of the body; vertices are not used.
        prior: decodes pose latents.
        keypoints: indices into KEYPOINT_NAMES.
        with_joints: append the 22 joints to the points.
        attitude: tells what is up by the pose, where that is asked for.
    """

    def __init__(
        self,
        body: BodyModel,
        prior: PosePrior,
        shape_prior: LatentShapes,
        keypoints: tuple[int, ...],
        with_joints: bool = False,
        attitude: AttitudePrior | None = None,
    ) -> None:
        self.body, self.prior, self.shape_prior = body, prior, shape_prior
        self.attitude = attitude
        self.layout = TangentLayout(prior.latent_dim, shape_prior.size)
        device = body.rest_mean_m.device
        # points are sums of virtual points (keypoints) or joints themselves, each rigid to a joint
        mass, joint = body.keypoint_mass[list(keypoints)], body.keypoint_joint
        used = torch.nonzero(mass.sum(0))[:, 0]
        self._joint, self._mass = joint[used], mass[:, used]
        if with_joints:
            self._joint = torch.cat([self._joint, torch.arange(NUM_JOINTS, device=device)])
            self._mass = torch.block_diag(
                self._mass, torch.eye(NUM_JOINTS, device=device, dtype=torch.float32)
            )
        # of each point, the masses of its virtual points that hang below each mover
        self._masses_below = (
            self._mass[:, None] * joint_tree(body.rest_mean_m).below[:, self._joint]
        )
        self._mass_below = self._masses_below.sum(-1)
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
        rest = self.body.rest_mean_m
        z, s = (rest.new_zeros(1, size) for size in (self.prior.latent_dim, self.shape_prior.size))
        upright = joint_tree(rest).at_rest
        centre = Unknowns(upright, upright.new_zeros(1, 3), z, s, upright.new_zeros(1))
        with torch.no_grad():
            return self.evaluate(centre, with_jacobian=False).keypoints_cam_m[0]

    def posed(self, unknowns: Unknowns) -> PosedBody:
        """The full posed body of these unknowns, on this model's body."""
        shaped = self.body.with_shape(self.shape_prior.decode(unknowns.s))
        return shaped.with_pose(self.pose(unknowns), unknowns.t_cam_root_m)

    def pose(self, unknowns: Unknowns) -> Float[Tensor, "*batch 22 3 3"]:
        """Local rotations of all joints."""
        return full_pose(unknowns.R_cam_root, self.prior.decode(unknowns.z))

    def evaluate(self, unknowns: Unknowns, with_jacobian: bool = True) -> KeypointState:
        """Points of a batch of bodies (one batch axis), with derivatives if asked for."""
        phenotypes, slope = self.shape_prior.decode_with_slope(unknowns.s)
        if not with_jacobian:
            R_free = self.prior.decode(unknowns.z)
            code = self.body.shape_space.code(phenotypes)[:, None]
            G, joints, moved, _ = self._move(unknowns, R_free, code)
            motion = Motion(self.layout, G, joints, code)
            up = None if self.attitude is None else _turned(G[:, 0], self.attitude(R_free))
            return KeypointState(self._mass @ moved, None, motion, up)
        R_free, omega = self.prior.decode_with_jacobian(unknowns.z)
        code, dcode = self.body.shape_space.code_with_jacobian(phenotypes)
        codes = torch.cat([code[:, None], dcode * slope[..., None]], 1)
        G, joints, moved, doffsets = self._move(unknowns, R_free, codes)
        motion = Motion(self.layout, G, joints, codes, free_spins(G, omega))
        jacobian = self._jacobian(motion, moved, doffsets)
        if self.attitude is None:
            return KeypointState(self._mass @ moved, jacobian, motion)
        up, latent = self.attitude.with_jacobian(R_free, omega)
        up_cam = _turned(G[:, 0], up)
        up_jacobian = self.layout.columns(rotation=-skew(up_cam), latent=G[:, 0] @ latent)
        return KeypointState(self._mass @ moved, jacobian, motion, up_cam, up_jacobian)

    def moved(self, motion: Motion) -> KeypointState:
        """Points of bodies of which another model of the same body and priors told how they move,
        with derivatives; of what is up nothing is said."""
        offsets = self._offsets(motion.codes)
        moved = self._hung(motion.G, motion.joints_m, offsets[:, 0] + self._offset_mean)
        return KeypointState(
            self._mass @ moved, self._jacobian(motion, moved, offsets[:, 1:]), motion
        )

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
        offsets = self._offsets(codes)
        own = offsets[:, 0] + self._offset_mean
        pose = full_pose(unknowns.R_cam_root, R_free)
        G, joints = forward_kinematics(pose, unknowns.t_cam_root_m, own[:, :NUM_JOINTS])
        return G, joints, self._hung(G, joints, own), offsets[:, 1:]

    def _offsets(self, codes: Tensor) -> Tensor:
        """Offsets of joints and virtual points from the mean shape's, and their derivatives."""
        return (codes @ self._offset_basis).unflatten(-1, (-1, 3))

    def _hung(self, G: Tensor, joints: Tensor, own: Tensor) -> Tensor:
        """Virtual points where they hang on the joints."""
        moved = (G.index_select(1, self._joint) @ own[:, NUM_JOINTS:, :, None])[..., 0]
        return moved + joints.index_select(1, self._joint)

    def _jacobian(self, motion: Motion, moved: Tensor, doffsets: Tensor) -> Tensor:
        """d points / d step."""
        assert motion.spins is not None
        points, movers = self._mass_below.shape
        moment = (self._masses_below.flatten(0, 1) @ moved).unflatten(1, (points, movers))
        rotation, latent = turning_jacobian(self._mass_below, moment, motion.joints_m, motion.spins)
        position = position_columns(motion.joints_m[:, 0])[:, None].expand(-1, points, -1, -1)
        shape = self._shape_columns(motion.G, doffsets)
        return self.layout.columns(rotation=rotation, position=position, latent=latent, shape=shape)

    def _shape_columns(self, G: Tensor, doffsets: Tensor) -> Tensor:
        """d points / d s: offsets change, rotations do not; the root joint stays in place."""
        djoints = joints_from_root_m(G[:, None], doffsets[:, :, :NUM_JOINTS])
        G_points = G.index_select(1, self._joint)[:, None]
        moved = (G_points @ doffsets[:, :, NUM_JOINTS:, :, None])[..., 0]
        moved = moved + djoints.index_select(2, self._joint)
        return (self._mass @ moved).permute(0, 2, 3, 1)


def _turned(R: Float[Tensor, "batch 3 3"], vector: Float[Tensor, "batch 3"]) -> Tensor:
    return (R @ vector[..., None])[..., 0]


def _pad_points(offsets: Tensor, count: int) -> Tensor:
    """Append `count` points that sit in their joints."""
    return torch.cat([offsets, offsets.new_zeros(*offsets.shape[:-2], count, 3)], -2)
