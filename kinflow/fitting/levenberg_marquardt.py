"""Batched Levenberg-Marquardt on a manifold: many small independent problems advance together.

Each problem keeps its own damping and accepts or rejects its own steps; problems that have
converged leave the batch, so that the cost of an iteration follows what is still moving.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinflow.alignment.keypoint_model import Unknowns
from kinflow.checks import not_negative, number, positive, whole

Linearise = Callable[
    [Unknowns, Int[Tensor, " problems"]],
    tuple[Float[Tensor, "problems residuals"], Float[Tensor, "problems residuals unknowns"]],
]


@dataclass(frozen=True)
class LMConfig:
    """When to stop and how to damp."""

    max_iterations: int = 40
    relative_tolerance: float = 1e-3
    """A problem is done when an accepted step lowers its energy by less than this share."""
    absolute_tolerance: float = 1e-5
    """Nor does it matter how a problem whose energy is below this goes on."""
    initial_damping: float = 1e-2
    decrease: float = 0.3
    increase: float = 6.0
    max_damping: float = 1e4
    max_step: float = 6.0
    """Longest step in the local coordinates (standard deviations, mostly)."""

    def __post_init__(self) -> None:
        whole(self, "max_iterations", at_most=100_000)
        not_negative(self, "relative_tolerance", "absolute_tolerance")
        positive(self, "initial_damping", "max_damping", "max_step")
        number(self, "decrease", above=0, below=1)
        number(self, "increase", above=1)


@dataclass(frozen=True)
class LMResult:
    """Where each problem ended."""

    unknowns: Unknowns
    energy: Float[Tensor, " problems"]
    converged: Bool[Tensor, " problems"]
    iterations: int


def minimise(start: Unknowns, linearise: Linearise, config: LMConfig) -> LMResult:
    """Minimise 0.5 sum r^2 for each problem of a batch (one batch axis).

    A trial point is evaluated with its Jacobian at once: in a batch some steps are always accepted,
    and a second evaluation of those would cost more than the Jacobians that are thrown away.

    Args:
        start: initial unknowns.
        linearise: residuals and Jacobian of the problems whose indices are given.
        config: stopping and damping.
    """
    x = start
    count = len(start.z)
    device = start.z.device
    damping = torch.full((count,), config.initial_damping, device=device, dtype=torch.float32)
    active = torch.arange(count, device=device)
    energy, hessian, gradient = _quadratic_model(*linearise(x, active))
    converged = torch.zeros(count, dtype=torch.bool, device=device)
    iteration = 0
    while iteration < config.max_iterations and len(active):
        iteration += 1
        step = _damped_step(hessian[active], gradient[active], damping[active], config.max_step)
        trial = x[active].step(step)
        trial_energy, trial_hessian, trial_gradient = _quadratic_model(*linearise(trial, active))
        previous = energy[active]
        better = trial_energy < previous
        accepted = active[better]
        factor = torch.where(better, config.decrease, config.increase).to(damping)
        damping[active] = (damping[active] * factor).clamp(1e-7, 10 * config.max_damping)
        if len(accepted):
            x = x.replaced(accepted, trial[better])
            energy[accepted] = trial_energy[better]
            hessian[accepted] = trial_hessian[better]
            gradient[accepted] = trial_gradient[better]
            gain = (previous - trial_energy)[better] / previous[better].clamp_min(1e-12)
            converged[accepted[gain < config.relative_tolerance]] = True
        converged[(damping > config.max_damping) | (energy < config.absolute_tolerance)] = True
        active = active[~converged[active]]
    return LMResult(x, energy, converged, iteration)


def _quadratic_model(r: Tensor, J: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Energy, Gauss-Newton Hessian and gradient."""
    transposed = J.mT
    return 0.5 * (r * r).sum(1), transposed @ J, (transposed @ r[..., None])[..., 0]


def _damped_step(hessian: Tensor, gradient: Tensor, damping: Tensor, max_step: float) -> Tensor:
    diagonal = torch.diagonal(hessian, dim1=1, dim2=2)
    damped = hessian + torch.diag_embed(damping[:, None] * (diagonal + 1e-3))
    factor, failed = torch.linalg.cholesky_ex(damped)
    step = -torch.cholesky_solve(gradient[..., None], factor)[..., 0]
    length = torch.linalg.vector_norm(step, dim=1, keepdim=True)
    step = step * (max_step / length.clamp_min(1e-12)).clamp_max(1)
    # a failed factorisation gives no step; its damping grows and it is tried again
    usable = (failed == 0)[:, None] & step.isfinite().all(1, keepdim=True)
    return torch.where(usable, step, torch.zeros_like(step))
