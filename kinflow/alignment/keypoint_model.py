"""From the unknowns of a person to 3D keypoints in the camera frame, with analytic Jacobians.

The unknowns of one body are (Zanfir et al. 2020, section 3): the pose latent `z`, the shape, the
root's rotation and its position. Derivatives are taken with respect to a local step

    delta = [rotation (3), position (3), z (D), shape (6)]

    R_cam_root <- exp(delta_rotation) R_cam_root
    t_cam_root <- (t + depth * (delta_x, delta_y, 0)) * exp(delta_depth)
    z <- z + delta_z,   s <- s + delta_s

so that depth stays positive and a step in x or y means the same in the image at any distance.
Writing them out by hand is about ten times faster than forward-mode autodiff.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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
from kinflow.priors.base import PosePrior
from kinflow.priors.shape import ShapePrior
from kinflow.rotations import exp, skew

ROOT_STEP = slice(0, 3)
POSITION_STEP = slice(3, 6)
LATENT_START = 6


@dataclass(frozen=True)
class Unknowns:
    """What fitting solves for, for any batch of bodies."""

    R_cam_root: Float[Tensor, "*batch 3 3"]
    t_cam_root_m: Float[Tensor, "*batch 3"]
    z: Float[Tensor, "*batch latent"]
    s: Float[Tensor, "*batch 6"]
    """Latent shape; `ShapePrior.decode` gives the phenotypes."""

    def step(self, delta: Float[Tensor, "*batch unknowns"]) -> Unknowns:
        """Retraction along a local step (see the module's docstring)."""
        latent = self.z.shape[-1]
        rotation, position, dz, ds = delta.split([3, 3, latent, self.s.shape[-1]], -1)
        depth = self.t_cam_root_m[..., 2:]
        shift = torch.cat([position[..., :2] * depth, torch.zeros_like(depth)], -1)
        return Unknowns(
            exp(rotation) @ self.R_cam_root,
            (self.t_cam_root_m + shift) * position[..., 2:].exp(),
            self.z + dz,
            self.s + ds,
        )

    def __getitem__(self, index) -> Unknowns:
        return replace(self, **{name: value[index] for name, value in vars(self).items()})

    @staticmethod
    def where(mask: Tensor, a: Unknowns, b: Unknowns) -> Unknowns:
        """Rows of `a` where `mask` holds, rows of `b` elsewhere (one batch axis)."""
        chosen = {
            name: torch.where(mask.view(-1, *[1] * (value.dim() - 1)), value, getattr(b, name))
            for name, value in vars(a).items()
        }
        return Unknowns(**chosen)

    @staticmethod
    def concatenate(parts: list[Unknowns]) -> Unknowns:
        """Join along the first batch axis."""
        names = vars(parts[0])
        return Unknowns(**{n: torch.cat([getattr(p, n) for p in parts]) for n in names})


@dataclass(frozen=True)
class KeypointState:
    """Keypoints in the camera frame and their derivatives with respect to a local step."""

    unknowns: Unknowns
    keypoints_cam_m: Float[Tensor, "batch keypoints 3"]
    jacobian: Float[Tensor, "batch keypoints 3 unknowns"] | None


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
        self.num_unknowns = LATENT_START + prior.latent_dim + shape_prior.size
        device = body.rest_mean_m.device
        self._free = torch.tensor(FREE_JOINTS, device=device)
        self._free_parents = torch.tensor([PARENTS[j] for j in FREE_JOINTS], device=device)
        self._parents = torch.tensor([max(p, 0) for p in PARENTS], device=device)
        below = torch.tensor(descendants_mask(), dtype=torch.float32, device=device)
        self._below = below
        # points are sums of virtual points (keypoints) or joints themselves, each rigid to a joint
        mass, joint = body.keypoint_mass[list(keypoints)], body.keypoint_joint
        used = torch.nonzero(mass.sum(0))[:, 0]
        self._virtual, self._joint, self._mass = used, joint[used], mass[:, used]
        if with_joints:
            self._joint = torch.cat([self._joint, torch.arange(NUM_JOINTS, device=device)])
            self._mass = torch.block_diag(self._mass, torch.eye(NUM_JOINTS, device=device))
        self._with_joints = with_joints
        # for the root and each free joint: the share of each point that moves with it
        movers = torch.cat([torch.zeros(1, dtype=torch.long, device=device), self._free])
        moved = below[movers][:, self._joint]
        self._movers = movers
        self._mass_below = (self._mass[None] * moved[:, None]).flatten(0, 1)
        self._mass_below_sum = self._mass_below.sum(1).unflatten(0, (len(movers), -1))
        first_virtual = NUM_JOINTS + used
        rest = torch.cat([torch.arange(NUM_JOINTS, device=device), first_virtual])
        self._rest_mean = body.rest_mean_m[rest]
        self._rest_basis = body.rest_basis_m[:, rest].flatten(1)

    @property
    def num_points(self) -> int:
        return len(self._mass)

    def posed(self, unknowns: Unknowns) -> PosedBody:
        """The full posed body of these unknowns, on this model's body."""
        shaped = self.body.with_shape(self.shape_prior.decode(unknowns.s))
        return shaped.with_pose(self.pose(unknowns), unknowns.t_cam_root_m)

    def pose(self, unknowns: Unknowns) -> Float[Tensor, "*batch 22 3 3"]:
        """Local rotations of all joints."""
        return self._assemble_pose(unknowns, self.prior.decode(unknowns.z))

    def evaluate(self, unknowns: Unknowns, with_jacobian: bool = True) -> KeypointState:
        """Points of a batch of bodies (one batch axis), with derivatives if asked for."""
        if with_jacobian:
            R_free, omega = self.prior.decode_with_jacobian(unknowns.z)
        else:
            R_free, omega = self.prior.decode(unknowns.z), None
        pose = self._assemble_pose(unknowns, R_free)
        phenotypes, slope = self.shape_prior.decode_with_slope(unknowns.s)
        space = self.body.shape_space
        if with_jacobian:
            code, dcode = space.code_with_jacobian(phenotypes)
            rest, drest = self._rest(code), self._rest_derivative(dcode * slope[..., None])
        else:
            rest, drest = self._rest(space.code(phenotypes)), None
        joint_offsets, point_offsets = self._offsets(rest)
        G, joints = forward_kinematics(pose, unknowns.t_cam_root_m, joint_offsets)
        moved = (G[:, self._joint] @ point_offsets[..., None])[..., 0] + joints[:, self._joint]
        points = self._mass @ moved
        if omega is None or drest is None:
            return KeypointState(unknowns, points, None)
        jacobian = torch.cat(
            [
                self._rotation_columns(G, joints, moved, omega),
                self._shape_columns(G, *self._offsets(drest)),
            ],
            -1,
        )
        position = self._position_columns(unknowns.t_cam_root_m)
        jacobian[..., POSITION_STEP] = position[:, None]
        return KeypointState(unknowns, points, jacobian)

    def _assemble_pose(self, unknowns: Unknowns, R_free: Tensor) -> Tensor:
        eye = torch.eye(3, device=R_free.device).expand(*R_free.shape[:-3], NUM_JOINTS, 3, 3)
        pose = eye.clone()
        pose[..., self._free, :, :] = R_free
        pose[..., 0, :, :] = unknowns.R_cam_root
        return pose

    def _rest(self, code: Tensor) -> Tensor:
        return (code @ self._rest_basis).unflatten(-1, (-1, 3)) + self._rest_mean

    def _rest_derivative(self, dcode: Tensor) -> Tensor:
        return (dcode @ self._rest_basis).unflatten(-1, (-1, 3))

    def _offsets(self, rest: Tensor) -> tuple[Tensor, Tensor]:
        """T-pose offsets of joints from parents and of points from their joints; linear."""
        Q = self.body.Q_rest
        joints, virtual = rest[..., :NUM_JOINTS, :], rest[..., NUM_JOINTS:, :]
        owner = self._joint[: virtual.shape[-2]]
        points = (Q[owner] @ (virtual - joints[..., owner, :])[..., None])[..., 0]
        if self._with_joints:
            points = torch.cat([points, torch.zeros_like(joints)], -2)
        return offsets_in_t_pose(joints, Q), points

    def _rotation_columns(
        self, G: Tensor, joints: Tensor, moved: Tensor, omega: Tensor
    ) -> Tensor:
        """d points / d [root rotation, position (left zero), z].

        A joint turning with angular velocity w (camera axes) moves a point y below it by
        w x (y - joint); for a weighted sum of points that is w x (sum m y - (sum m) joint).
        """
        batch, movers = len(G), len(self._movers)
        arm = (self._mass_below @ moved).unflatten(1, (movers, -1))
        arm = arm - self._mass_below_sum[..., None] * joints[:, self._movers, None, :]
        spread = -skew(arm)  # (batch, movers, points, 3, 3)
        latent_omega = G[:, self._free_parents] @ omega
        turned = spread[:, 1:].permute(0, 2, 3, 1, 4).reshape(batch, -1, 3 * (movers - 1))
        latent = turned @ latent_omega.flatten(1, 2)
        latent = latent.unflatten(1, (-1, 3))
        root = spread[:, 0]
        return torch.cat([root, torch.zeros_like(root), latent], -1)

    def _shape_columns(self, G: Tensor, djoints: Tensor, dpoints: Tensor) -> Tensor:
        """d points / d s: offsets change, rotations do not; the root joint stays in place."""
        turned = (G[:, None, self._parents] @ djoints[..., None])[..., 0]
        displacement = self._below.T @ turned
        moved = (G[:, None, self._joint] @ dpoints[..., None])[..., 0]
        moved = moved + displacement[:, :, self._joint]
        return (self._mass @ moved).permute(0, 2, 3, 1)

    @staticmethod
    def _position_columns(t: Tensor) -> Tensor:
        """(batch, 3, 3) derivative of the root position with respect to its step."""
        depth = t[:, 2]
        zero = torch.zeros_like(depth)
        lateral = torch.stack([depth, zero, zero, zero, depth, zero], -1).unflatten(-1, (2, 3))
        return torch.cat([lateral, t[:, None]], 1).transpose(1, 2)
