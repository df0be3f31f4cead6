"""What a fit solves for, and the local step that it takes.

The unknowns of one body are (Zanfir et al. 2020, section 3): the pose latent `z`, the shape, the
root's rotation and its position. A step delta, whose columns `layout.py` names, is

    R_cam_root <- rotvec_to_matrix(delta_rotation) R_cam_root
    t_cam_root <- (t + depth * (delta_x, delta_y, 0)) * exp(delta_depth)
    z <- z + delta_z,   s <- s + delta_s

so that depth stays positive and a step in x or y means the same in the image at any distance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.energy.layout import TangentLayout
from kinflow.geometry.rotations import rotvec_to_matrix


@dataclass(frozen=True)
class Unknowns:
    """What fitting solves for, for any batch of bodies."""

    R_cam_root: Float[Tensor, "*batch 3 3"]
    t_cam_root_m: Float[Tensor, "*batch 3"]
    z: Float[Tensor, "*batch latent"]
    s: Float[Tensor, "*batch shape"]
    """Latent shape; `LatentShapes.decode` gives the parameters of the body."""
    log_focal: Float[Tensor, "*batch"]
    """Log of the focal length relative to the one that was assumed; 0 unless it is estimated."""

    def step(self, delta: Float[Tensor, "*batch unknowns"]) -> Unknowns:
        """Retraction along a local step (see the module's docstring).

        Raises:
            ValueError: the step has another number of columns than these unknowns.
        """
        body = TangentLayout(self.z.shape[-1], self.s.shape[-1])
        step = replace(body, has_focal=delta.shape[-1] > body.size).split(delta)
        depth = self.t_cam_root_m[..., 2:]
        shift = torch.cat([step.position[..., :2] * depth, torch.zeros_like(depth)], -1)
        return Unknowns(
            rotvec_to_matrix(step.rotation) @ self.R_cam_root,
            (self.t_cam_root_m + shift) * step.position[..., 2:].exp(),
            self.z + step.latent,
            self.s + step.shape,
            self.log_focal + step.focal.sum(-1),
        )

    def turned(self, R: Float[Tensor, "*batch 3 3"]) -> Unknowns:
        """The same bodies as a camera at the same place has them that is turned.

        Args:
            R: from this camera's frame to the other's.
        """
        t = (R @ self.t_cam_root_m[..., None])[..., 0]
        return replace(self, R_cam_root=R @ self.R_cam_root, t_cam_root_m=t)

    def __len__(self) -> int:
        return len(self.z)

    def __getitem__(self, index) -> Unknowns:
        return replace(self, **{name: value[index] for name, value in vars(self).items()})

    def replaced(self, rows: Int[Tensor, " rows"], values: Unknowns) -> Unknowns:
        """A copy in which some rows of the batch are exchanged."""
        new = {n: v.index_copy(0, rows, getattr(values, n)) for n, v in vars(self).items()}
        return Unknowns(**new)

    @staticmethod
    def concatenate(parts: list[Unknowns]) -> Unknowns:
        """Join along the first batch axis."""
        names = vars(parts[0])
        return Unknowns(**{n: torch.cat([getattr(p, n) for p in parts]) for n in names})


def position_columns(t_cam_root_m: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3 3"]:
    """Derivative of the root's position, and so of every point, along the position of a step."""
    depth = t_cam_root_m[:, 2]
    zero = torch.zeros_like(depth)
    x, y = t_cam_root_m[:, 0], t_cam_root_m[:, 1]
    rows = [depth, zero, x, zero, depth, y, zero, zero, depth]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))
