"""The unknowns of a body as one vector in the axes of a look.

    y = [rotation (3), place (3), z (latent), s (shape)]

The rotation is a rotation vector about a base rotation from the root to the view; the place is
where the root is seen in the crop, in sides of the region, and the logarithm of how many metres the
region is wide at the root's depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.energy.unknowns import Unknowns
from kinflow.geometry.pinhole import NEAR_M
from kinflow.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix
from kinflow.predictors.looks import Looks

ROTATION, PLACE = slice(0, 3), slice(3, 6)
LOG_WIDTH = PLACE.stop - 1
"""Of the place: the region's width in metres at the root's depth."""


@dataclass(frozen=True)
class ViewFrame:
    """Changes between unknowns in the camera's frame and vectors in the view's."""

    R_cam_view: Float[Tensor, "people 3 3"]
    side: Float[Tensor, " people"]
    """Side of the region in focal lengths."""
    latent_size: int

    @staticmethod
    def of(looks: Looks, latent_size: int) -> ViewFrame:
        """The axes of some looks."""
        return ViewFrame(looks.R_cam_view(), looks.region[:, 2] / looks.focal_px, latent_size)

    def __getitem__(self, rows) -> ViewFrame:
        """Some of the people, or the same ones more often."""
        return ViewFrame(self.R_cam_view[rows], self.side[rows], self.latent_size)

    def to_vector(
        self, unknowns: Unknowns, R_view_base: Float[Tensor, "people 3 3"]
    ) -> Float[Tensor, "people unknowns"]:
        """Bodies as vectors about base rotations."""
        R_view_root = self.R_cam_view.mT @ unknowns.R_cam_root
        rotation = matrix_to_rotvec(R_view_root @ R_view_base.mT)
        root = (self.R_cam_view.mT @ unknowns.t_cam_root_m[..., None])[..., 0]
        depth = root[:, 2:].clamp_min(NEAR_M)
        place = torch.cat(
            [root[:, :2] / depth / self.side[:, None], (depth * self.side[:, None]).log()], 1
        )
        return torch.cat([rotation, place, unknowns.z, unknowns.s], 1)

    def to_unknowns(
        self,
        vector: Float[Tensor, "people unknowns"],
        R_view_base: Float[Tensor, "people 3 3"],
    ) -> Unknowns:
        """Bodies of vectors about base rotations; inverts `to_vector`."""
        R = self.R_cam_view @ rotvec_to_matrix(vector[:, ROTATION]) @ R_view_base
        place = vector[:, PLACE]
        depth = place[:, 2:].exp() / self.side[:, None]
        root = torch.cat([place[:, :2] * self.side[:, None] * depth, depth], 1)
        latent_end = PLACE.stop + self.latent_size
        return Unknowns(
            R_cam_root=R,
            t_cam_root_m=(self.R_cam_view @ root[..., None])[..., 0],
            z=vector[:, PLACE.stop : latent_end],
            s=vector[:, latent_end:],
            log_focal=torch.zeros_like(self.side),
        )
