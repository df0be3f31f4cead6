"""Using a prior on rotations directly: completing hidden limbs and cleaning up noisy poses.

Both look for the latent whose pose is likely under the prior and agrees with what is known:

    minimise  Σ_known ‖log(R_j(z) R_jᵀ)‖² / 2σ² + energy(z)

by Levenberg–Marquardt from several starts at once. The Jacobian of the rotation error is taken as
the decoder's left angular velocity, which is exact to first order in the error.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.priors.base import PosePrior
from kinflow.priors.pose_space import NUM_FREE, matrix_to_rotvec


@dataclass(frozen=True)
class Completions:
    """Solutions for each pose, likeliest first.

    Attributes:
        R_free: (N, S, 19, 3, 3) poses; all joints are those of the latent, known ones included.
        z: (N, S, D) their latents.
        energy: (N, S) value of the objective.
    """

    R_free: Float[Tensor, "poses starts 19 3 3"]
    z: Float[Tensor, "poses starts latent"]
    energy: Float[Tensor, "poses starts"]


@torch.no_grad()
def complete(
    prior: PosePrior,
    R_free: Float[Tensor, "poses 19 3 3"],
    known: Bool[Tensor, "19"],
    sigma_rad: float = 0.05,
    num_starts: int = 1,
    iterations: int = 25,
    generator: torch.Generator | None = None,
) -> Completions:
    """Fill in the joints of poses that are not known.

    Args:
        prior: the prior to complete with.
        R_free: poses; the rotations of joints that are not `known` are ignored.
        known: which of the 19 free joints to trust.
        sigma_rad: how closely to keep to them.
        num_starts: number of starting latents: the first is zero, the others are random.
    """
    z = torch.randn(len(R_free), num_starts, prior.latent_dim, generator=generator)
    z[:, 0] = 0.0
    z = z.flatten(0, 1)
    target = R_free.repeat_interleave(num_starts, 0)
    weight = (known.to(z) / sigma_rad)[:, None]
    damping = torch.full((len(z),), 1e-2)
    residual, jacobian = _linearise(prior, z, target, weight)
    energy = 0.5 * residual.square().sum(-1)
    for _ in range(iterations):
        hessian = jacobian.mT @ jacobian
        diagonal = damping[:, None] * hessian.diagonal(dim1=-2, dim2=-1)
        gradient = (jacobian.mT @ residual[..., None])[..., 0]
        factor = torch.linalg.cholesky(hessian + torch.diag_embed(diagonal))
        trial = z - torch.cholesky_solve(gradient[..., None], factor)[..., 0]
        trial_residual, trial_jacobian = _linearise(prior, trial, target, weight)
        trial_energy = 0.5 * trial_residual.square().sum(-1)
        better = trial_energy < energy
        z = torch.where(better[:, None], trial, z)
        residual = torch.where(better[:, None], trial_residual, residual)
        jacobian = torch.where(better[:, None, None], trial_jacobian, jacobian)
        energy = torch.where(better, trial_energy, energy)
        damping = torch.where(better, damping * 0.3, damping * 5.0).clamp(1e-6, 1e6)
    z = z.unflatten(0, (-1, num_starts))
    energy, order = energy.unflatten(0, (-1, num_starts)).sort(-1)
    z = z.gather(1, order[..., None].expand_as(z))
    return Completions(prior.decode(z), z, energy)


def _linearise(
    prior: PosePrior, z: Tensor, target: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Residuals of the objective, as a sum of squares, and their Jacobian."""
    R, omega = prior.decode_with_jacobian(z)
    error = (matrix_to_rotvec(R @ target.mT) * weight).flatten(-2)
    d_error = (omega * weight[..., None]).flatten(-3, -2)
    prior_residual, d_prior = prior.residual_with_jacobian(z)
    return torch.cat([error, prior_residual], -1), torch.cat([d_error, d_prior], -2)


def project(
    prior: PosePrior, R_free: Float[Tensor, "poses 19 3 3"], sigma_rad: float = 0.2
) -> Float[Tensor, "poses 19 3 3"]:
    """The likeliest clean pose behind a noisy one, for noise of `sigma_rad` on every joint."""
    known = torch.ones(NUM_FREE, dtype=torch.bool)
    return complete(prior, R_free, known, sigma_rad).R_free[:, 0]
