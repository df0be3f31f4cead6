"""Rough 3D keypoints of a detector, and what of them is not to be believed.

A network that looks at a crop knows how limbs lie to each other far better than where a person is,
how large, and how the whole body leans away from the camera. Such errors are common to all points:
a shift, a factor, a turn about the axes of the image. Each is allowed at its own cost, and the best
one is found in closed form, so that what is left of a residual is about the pose. In a fit they are
not unknowns: they depend linearly on the body's points, and are taken out of residuals and
Jacobians by the same matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class RoughPoints:
    """3D keypoints of people, in camera axes, anywhere in space."""

    points_m: Float[Tensor, "batch points 3"]
    inverse_std_m: Float[Tensor, "batch points 3"]
    """Of each point's own error; 0 leaves a point out."""
    modes: Float[Tensor, "batch points 3 modes"]
    """How the points move by one unit of each common error; the first three are the shift."""
    mode_inverse_std: Float[Tensor, " modes"]
    solver: Float[Tensor, "batch modes points 3"]
    """From differences between the body's points and these to the likeliest common error."""

    @staticmethod
    def of(
        points_m: Float[Tensor, "batch points 3"],
        inverse_std_m: Float[Tensor, "batch points 3"],
        scale_std: float = 0.0,
        tilt_std_deg: float = 0.0,
    ) -> RoughPoints:
        """Points with errors in common; their shift is always free.

        Args:
            points_m: the detector's answer.
            inverse_std_m: of each point's own error.
            scale_std: spread of the common factor about 1; 0 fixes it.
            tilt_std_deg: spread of the turn about each axis of the image; 0 fixes it.
        """
        weight = inverse_std_m.square()
        total = weight.sum(1, keepdim=True).clamp_min(1e-6)
        relative = points_m - (weight * points_m).sum(1, keepdim=True) / total
        eye = torch.eye(3, device=points_m.device, dtype=points_m.dtype)
        modes = [eye[:, k].expand_as(points_m) for k in range(3)]
        inverse_std = [0.0, 0.0, 0.0]
        if scale_std > 0:
            modes.append(relative)
            inverse_std.append(1 / scale_std)
        if tilt_std_deg > 0:
            axes = (eye[0].expand_as(relative), eye[1].expand_as(relative))
            modes += [torch.linalg.cross(axis, relative) for axis in axes]
            inverse_std += [1 / math.radians(tilt_std_deg)] * 2
        stacked = torch.stack(modes, -1)
        cost = points_m.new_tensor(inverse_std)
        weighted = stacked * weight[..., None]
        normal = torch.einsum("bpdk,bpdl->bkl", weighted, stacked) + torch.diag(
            cost.square() + 1e-6  # of somebody of whom no point is known
        )
        solver = torch.linalg.solve(normal, weighted.flatten(1, 2).mT)
        return RoughPoints(
            points_m, inverse_std_m, stacked, cost, solver.unflatten(-1, points_m.shape[1:])
        )

    def __getitem__(self, index) -> RoughPoints:
        """Rows of the batch."""
        return replace(
            self,
            points_m=self.points_m[index],
            inverse_std_m=self.inverse_std_m[index],
            modes=self.modes[index],
            solver=self.solver[index],
        )

    def known(self) -> Tensor:
        """Rows with at least one point."""
        return (self.inverse_std_m > 0).flatten(1).any(1)

    def residual(
        self, points_m: Float[Tensor, "batch points 3"]
    ) -> tuple[Float[Tensor, "batch points 3"], Float[Tensor, "batch stiff"]]:
        """Own errors of the points and the common ones that cost something, in deviations."""
        return self._weighed(*self._split((points_m - self.points_m)[..., None]))

    def jacobian(
        self, columns: Float[Tensor, "batch points 3 unknowns"]
    ) -> tuple[Float[Tensor, "batch points 3 unknowns"], Float[Tensor, "batch stiff unknowns"]]:
        """Derivatives of `residual`, from those of the body's points."""
        own, common = self._split(columns)
        return own * self.inverse_std_m[..., None], common[:, 3:] * self.mode_inverse_std[3:, None]

    def _split(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        common = self.solver.flatten(2) @ columns.flatten(1, 2)
        return columns - (self.modes.flatten(1, 2) @ common).view_as(columns), common

    def _weighed(self, own: Tensor, common: Tensor) -> tuple[Tensor, Tensor]:
        stiff = common[:, 3:, 0] * self.mode_inverse_std[3:]
        return own[..., 0] * self.inverse_std_m, stiff
