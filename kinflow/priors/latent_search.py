"""Searching the latent space of a prior for the likeliest pose that agrees with observations.

    minimise  ½‖e(z)‖² + ½‖r(z)‖²,    e an observation's residual, r that of the prior's energy

by Levenberg–Marquardt. Alternatives are drawn by randomise-then-optimise (Bardsley et al. 2014):
the same problem with r(z) − ε for a normal ε, whose solutions are samples of the posterior where
the decoder is nearly linear.
"""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.priors.base import PosePrior

_ITERATIONS = 25


@runtime_checkable
class Observation(Protocol):
    """What is known about the pose of each row, as a least-squares term."""

    def residual_with_jacobian(
        self, R_free: Float[Tensor, "rows 19 3 3"], omega: Float[Tensor, "rows 19 3 latent"]
    ) -> tuple[Float[Tensor, "rows residuals"], Float[Tensor, "rows residuals latent"]]:
        """Residual of poses and its derivatives, given how the joints turn with the latent."""
        ...


@torch.no_grad()
def search(
    prior: PosePrior,
    observation: Observation,
    centre: Float[Tensor, "rows latent"],
    iterations: int = _ITERATIONS,
) -> Float[Tensor, "rows latent"]:
    """The latent of each row that explains its observation best.

    Args:
        prior: the prior whose latent space is searched.
        observation: the term of each row.
        centre: ε above, where the search of a row starts too: zero for the likeliest pose, a normal
            draw for an alternative.
        iterations: how many steps to try.
    """

    def linearise(z: Tensor) -> tuple[Tensor, Tensor]:
        error, d_error = observation.residual_with_jacobian(*prior.decode_with_jacobian(z))
        residual, d_residual = prior.residual_with_jacobian(z)
        dim = prior.latent_dim
        residual = torch.cat([residual[:, :dim] - centre, residual[:, dim:]], -1)
        return torch.cat([error, residual], -1), torch.cat([d_error, d_residual], -2)

    z = centre
    damping = torch.full((len(z),), 1e-2, dtype=torch.float32).to(z)
    residual, jacobian = linearise(z)
    energy = 0.5 * residual.square().sum(-1)
    for _ in range(iterations):
        hessian = jacobian.mT @ jacobian
        diagonal = damping[:, None] * hessian.diagonal(dim1=-2, dim2=-1)
        gradient = (jacobian.mT @ residual[..., None])[..., 0]
        factor = torch.linalg.cholesky(hessian + torch.diag_embed(diagonal))
        trial = z - torch.cholesky_solve(gradient[..., None], factor)[..., 0]
        trial_residual, trial_jacobian = linearise(trial)
        trial_energy = 0.5 * trial_residual.square().sum(-1)
        better = trial_energy < energy
        z = torch.where(better[:, None], trial, z)
        residual = torch.where(better[:, None], trial_residual, residual)
        jacobian = torch.where(better[:, None, None], trial_jacobian, jacobian)
        energy = torch.where(better, trial_energy, energy)
        damping = torch.where(better, damping * 0.3, damping * 5.0).clamp(1e-6, 1e6)
    return z
