"""Rough 3D keypoints of a detector, and what of them is not to be believed.

A network that looks at a crop knows how limbs lie to each other far better than where a person is,
how large, and how the whole body leans away from the camera. Such errors are common to all points:
a shift, a factor, a turn about the axes of the image. Each is allowed at its own cost, and the best
one is found in closed form, so that what is left of a residual is about the pose. In a fit they are
no unknowns, but part of how residuals follow from the body's points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_NOBODY = 1e-6
"""Weight that leaves equations of somebody of whom no point is known solvable."""

Residuals = tuple[Float[Tensor, "batch points 3"], Float[Tensor, "batch turns"]]
"""Own errors of the points, and the common turns, in standard deviations."""
Jacobians = tuple[Float[Tensor, "batch points 3 unknowns"], Float[Tensor, "batch turns unknowns"]]


@dataclass(frozen=True)
class RoughPoints:
    """3D keypoints of people, in camera axes, about the weighted mean of each person's points."""

    points_m: Float[Tensor, "batch points 3"]
    inverse_std_m: Float[Tensor, "batch points 3"]
    """Of each point's own error; 0 leaves a point out."""
    scale_std: float
    """Spread of the factor that all points have in common about 1; 0 where there is none."""
    modes: Float[Tensor, "batch points 3 modes"]
    """How the points move by one unit of each further common error: the shift and the turns."""
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
            points_m: the detector's answer, anywhere in space.
            inverse_std_m: of each point's own error.
            scale_std: spread of the common factor about 1; 0 fixes it.
            tilt_std_deg: spread of the turn about each axis of the image; 0 fixes it.
        """
        weight = inverse_std_m.square()
        relative = _about_mean(points_m, weight)
        eye = torch.eye(3, device=points_m.device, dtype=points_m.dtype)
        modes = [axis.expand_as(points_m) for axis in eye]
        inverse_std = [0.0, 0.0, 0.0]
        if tilt_std_deg > 0:
            modes += [torch.linalg.cross(axis.expand_as(relative), relative) for axis in eye[:2]]
            inverse_std += [1 / math.radians(tilt_std_deg)] * 2
        stacked = torch.stack(modes, -1)
        cost = points_m.new_tensor(inverse_std)
        weighted = stacked * weight[..., None]
        normal = torch.einsum("bpdk,bpdl->bkl", weighted, stacked)
        normal = normal + torch.diag(cost.square() + _NOBODY)
        solver = torch.linalg.solve(normal, weighted.flatten(1, 2).mT)
        solver = solver.unflatten(-1, points_m.shape[1:])
        return RoughPoints(relative, inverse_std_m, scale_std, stacked, cost, solver)

    def kept(self, rows: Bool[Tensor, " batch"]) -> RoughPoints:
        """The same of some people; of the others nothing is known."""
        keep = rows.to(self.points_m)
        return replace(
            self,
            inverse_std_m=self.inverse_std_m * keep[:, None, None],
            solver=self.solver * keep[:, None, None, None],
        )

    @staticmethod
    def concatenate(parts: Sequence[RoughPoints]) -> RoughPoints:
        """Join along the batch; errors that points have in common are of one kind in all."""
        rows = ("points_m", "inverse_std_m", "modes", "solver")
        joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in rows}
        return replace(parts[0], **joined)

    def __getitem__(self, index) -> RoughPoints:
        """Rows of the batch."""
        rows = ("points_m", "inverse_std_m", "modes", "solver")
        return replace(self, **{name: getattr(self, name)[index] for name in rows})

    def known(self) -> Tensor:
        """Rows with at least one point."""
        return (self.inverse_std_m > 0).flatten(1).any(1)

    def residual(
        self,
        points_m: Float[Tensor, "batch points 3"],
        jacobian: Float[Tensor, "batch points 3 unknowns"] | None = None,
    ) -> tuple[Residuals, Jacobians | None]:
        """What the body's points differ by; with the points' derivatives, its own as well."""
        if self.scale_std > 0:
            points_m, jacobian = self._at_scale(points_m, jacobian)
        own, common = self._split((points_m - self.points_m)[..., None])
        turns = common[:, 3:] * self.mode_inverse_std[3:, None]
        residuals = own[..., 0] * self.inverse_std_m, turns[..., 0]
        if jacobian is None:
            return residuals, None
        own, common = self._split(jacobian)
        turns = common[:, 3:] * self.mode_inverse_std[3:, None]
        return residuals, (own * self.inverse_std_m[..., None], turns)

    def _split(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        common = self.solver.flatten(2) @ columns.flatten(1, 2)
        return columns - (self.modes.flatten(1, 2) @ common).view_as(columns), common

    def _at_scale(self, points_m: Tensor, jacobian: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The body's points as large as these, and their derivatives.

        The factor is the ratio of root mean squares, held near one by its spread. The body's points
        are scaled, not these, for otherwise small bodies would have small errors. The factor's own
        residual is left out: it is small, and sizes are what the shape prior knows about.
        """
        weight = self.inverse_std_m.square()
        points_m = _about_mean(points_m, weight)
        held = self.scale_std**-2
        spread = (weight * self.points_m.square()).sum((-2, -1)) + held
        square = ((weight * points_m.square()).sum((-2, -1)) + held) / spread
        factor = square.sqrt()[:, None, None]
        scaled = points_m / factor
        if jacobian is None:
            return scaled, None
        jacobian = _about_mean(jacobian, weight[..., None])
        dsquare = torch.einsum("bpd,bpdu->bu", weight * points_m, jacobian) / spread[:, None]
        dfactor = dsquare[:, None, None] / factor[..., None]
        return scaled, (jacobian - scaled[..., None] * dfactor) / factor[..., None]


def _about_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Values of points relative to their weighted mean, axis by axis."""
    total = weight.sum(1, keepdim=True).clamp_min(_NOBODY)
    return values - (weight * values).sum(1, keepdim=True) / total
