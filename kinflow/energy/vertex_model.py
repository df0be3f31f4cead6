"""Chosen vertices of the mesh in the camera frame, with analytic Jacobians.

Part alignment needs a few hundred vertices that change from round to round, so they are picked by
index out of the full mesh and nothing is computed for the others. With the affine maps (W_j, t_j)
of the joints (`body/skinning.py`) a vertex is v = sum_j w_j (W_j a + t_j), a weighted sum of points
that ride on joints (`body/kinematics.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.body.kinematics import (
    joint_tree,
    joints_from_root_m,
    offsets_in_t_pose,
    turning_jacobian,
)
from kinflow.body.model import BodyModel
from kinflow.body.skeleton import NUM_JOINTS
from kinflow.body.skinning import blended, joint_maps, moved_m, translations_m
from kinflow.energy.keypoint_model import Motion
from kinflow.energy.unknowns import position_columns


@dataclass(frozen=True)
class VertexState:
    """Vertices in the camera frame and their derivatives with respect to a local step."""

    vertices_cam_m: Float[Tensor, "batch chosen 3"]
    jacobian: Float[Tensor, "batch chosen 3 unknowns"] | None


class VertexModel:
    """Evaluates chosen vertices on a skeleton whose motion is known.

    Args:
        body: the body whose vertices can be chosen; without pose blend shapes.
    """

    def __init__(self, body: BodyModel) -> None:
        self.body = body
        first = len(body.rest_mean_m) - body.num_vertices
        self._rest_mean = body.rest_mean_m[first:]
        # by vertex, so that picking some of them is one contiguous gather
        self._rest_basis = body.rest_basis_m[:, first:].permute(1, 2, 0).contiguous()
        self._joint_mean = body.rest_mean_m[:NUM_JOINTS]
        self._joint_basis = body.rest_basis_m[:, :NUM_JOINTS].flatten(1)

    def all_vertices(self, motion: Motion) -> Float[Tensor, "batch vertices 3"]:
        """Every vertex, without derivatives."""
        code = motion.codes[:, 0]
        rest = torch.einsum("vdr,br->bvd", self._rest_basis, code) + self._rest_mean
        maps = self._maps(motion, self._rest_joints(motion.codes)[:, 0])
        return moved_m(blended(self.body.skin_weights, maps), rest)

    def evaluate(self, motion: Motion, chosen: Int[Tensor, "batch chosen"]) -> VertexState:
        """The chosen vertices of each body; with derivatives if `motion` has them."""
        weights = self.body.skin_weights[chosen]
        rest = self._rest_basis[chosen] @ motion.codes.mT[:, None]  # (batch, chosen, 3, codes)
        rest_joints = self._rest_joints(motion.codes)
        maps = self._maps(motion, rest_joints[:, 0])
        own = rest[..., 0] + self._rest_mean[chosen]
        own_maps = blended(weights, maps)
        vertices = moved_m(own_maps, own)
        if motion.spins is None:
            return VertexState(vertices, None)
        rotation, latent = self._turning(motion, motion.spins, weights, maps, own)
        position = position_columns(motion.joints_m[:, 0])[:, None].expand_as(rotation)
        carried = weights @ self._shape_translations(motion, maps, rest_joints[:, 1:])
        shape = own_maps[..., :3] @ rest[..., 1:] + carried.unflatten(-1, (3, -1))
        jacobian = motion.layout.columns(
            rotation=rotation, position=position, latent=latent, shape=shape
        )
        return VertexState(vertices, jacobian)

    def _rest_joints(self, codes: Tensor) -> Tensor:
        """(batch, codes, 22, 3): rest joints, and their derivatives in the further rows."""
        joints = (codes @ self._joint_basis).unflatten(-1, (NUM_JOINTS, 3))
        return torch.cat([joints[:, :1] + self._joint_mean, joints[:, 1:]], 1)

    def _maps(self, motion: Motion, rest_joints: Tensor) -> Tensor:
        """(batch, 22, 3, 4): affine maps of the joints from rest to the camera frame."""
        return joint_maps(motion.G, motion.joints_m, rest_joints, self.body.Q_rest)

    @staticmethod
    def _turning(
        motion: Motion, spins: Tensor, weights: Tensor, maps: Tensor, own: Tensor
    ) -> tuple[Tensor, Tensor]:
        """d vertices / d [root rotation], [z]."""
        below = joint_tree(own).below
        turned = (own @ maps[..., :3].flatten(1, 2).mT).unflatten(-1, (-1, 3))
        shares = weights[..., None] * (turned + maps[:, None, :, :, 3])
        return turning_jacobian(weights @ below.T, below @ shares, motion.joints_m, spins)

    def _shape_translations(self, motion: Motion, maps: Tensor, djoints: Tensor) -> Tensor:
        """(batch, 22, 3 * 6): derivatives of the maps' translations with respect to s.

        Rotations do not depend on the shape, and the root joint stays in place.
        """
        offsets = offsets_in_t_pose(djoints, self.body.Q_rest)
        displaced = joints_from_root_m(motion.G[:, None], offsets)
        shift = translations_m(maps[:, None, ..., :3], displaced, djoints)  # (batch, 6, 22, 3)
        return shift.permute(0, 2, 3, 1).flatten(2)
