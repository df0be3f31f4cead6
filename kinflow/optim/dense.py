"""The Gauss-Newton model of many small problems, each with a full Hessian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

DAMPED_FLOOR = 1e-3
"""Added to the Hessian's diagonal where damping scales it: unknowns that nothing depends on have a
zero there."""


@dataclass(frozen=True)
class DenseModel:
    """Energy, slope and curvature of a batch of problems."""

    energy: Float[Tensor, " problems"]
    gradient: Float[Tensor, "problems unknowns"]
    hessian: Float[Tensor, "problems unknowns unknowns"]

    @staticmethod
    def of(
        residuals: Float[Tensor, "problems residuals"],
        jacobian: Float[Tensor, "problems residuals unknowns"],
    ) -> DenseModel:
        """The model of 0.5 sum r^2 with the Gauss-Newton Hessian."""
        transposed = jacobian.mT
        gradient = (transposed @ residuals[..., None])[..., 0]
        return DenseModel(0.5 * (residuals * residuals).sum(1), gradient, transposed @ jacobian)

    def step(
        self, damping: Float[Tensor, " problems"], max_step: float
    ) -> Float[Tensor, "problems unknowns"]:
        """The damped step; zero where the damped Hessian is not positive definite."""
        step = self._damped(damping)
        return step * step_scale(torch.linalg.vector_norm(step, dim=1), max_step)[:, None]

    def expected_gain(self, damping: Float[Tensor, " problems"]) -> Float[Tensor, " problems"]:
        """By how much the damped step would lower the energy if the model were right."""
        return -0.5 * (self.gradient * self._damped(damping)).sum(1)

    def __getitem__(self, rows: Any) -> DenseModel:
        return DenseModel(self.energy[rows], self.gradient[rows], self.hessian[rows])

    def replace(self, rows: Int[Tensor, " rows"], values: DenseModel) -> None:
        """Exchange, in place, the models of some problems."""
        for name in ("energy", "gradient", "hessian"):
            getattr(self, name)[rows] = getattr(values, name)

    def _damped(self, damping: Tensor) -> Tensor:
        diagonal = torch.diagonal(self.hessian, dim1=1, dim2=2)
        damped = self.hessian + torch.diag_embed(damping[:, None] * (diagonal + DAMPED_FLOOR))
        factor, failed = torch.linalg.cholesky_ex(damped)
        step = -torch.cholesky_solve(self.gradient[..., None], factor)[..., 0]
        # a failed factorisation gives no step; its damping grows and it is tried again
        usable = (failed == 0)[:, None] & step.isfinite().all(1, keepdim=True)
        return torch.where(usable, step, torch.zeros_like(step))


def step_scale(length: Float[Tensor, " problems"], max_step: float) -> Float[Tensor, " problems"]:
    """Factor that makes steps no longer than `max_step`."""
    return (max_step / length.clamp_min(1e-12)).clamp_max(1)
