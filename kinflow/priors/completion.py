"""Using a prior on rotations directly: completing hidden limbs and cleaning up noisy poses.

Both look for the latent whose pose is likely under the prior and agrees with what is known:

    minimise  Σ_known ‖log(R_j(z) R_jᵀ)‖² / 2σ² + ½‖r(z)‖²,    r the residual of the prior's energy

by Levenberg–Marquardt. The Jacobian of the rotation error is taken as the decoder's left angular
velocity, which is exact to first order in the error. Alternatives are drawn by randomise-then-
optimise (Bardsley et al. 2014): the same problem with r(z) − ε for a normal ε, whose solutions are
samples of the posterior where the decoder is nearly linear.
"""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.body.skeleton import FREE_JOINTS, JOINT_NAMES
from kinflow.errors import InputError
from kinflow.priors.base import PosePrior
from kinflow.priors.pose_space import NUM_FREE, matrix_to_rotvec


def joint_mask(names: Collection[str]) -> Bool[Tensor, "19"]:
    """Which of the free joints are named; InputError for a name that is not one of theirs."""
    free = [JOINT_NAMES[joint] for joint in FREE_JOINTS]
    wrong = sorted(set(names) - set(free))
    if wrong:
        raise InputError(
            f"{', '.join(wrong)}: not a joint of the pose prior; its joints are {', '.join(free)}"
        )
    return torch.tensor([name in names for name in free])


@dataclass(frozen=True)
class Completions:
    """Solutions for each pose: the likeliest one first, then samples of the alternatives.

    Attributes:
        R_free: (N, S, 19, 3, 3) poses; all joints are those of the latent, known ones included.
        z: (N, S, D) their latents.
    """

    R_free: Float[Tensor, "poses solutions 19 3 3"]
    z: Float[Tensor, "poses solutions latent"]


@torch.no_grad()
def complete(
    prior: PosePrior,
    R_free: Float[Tensor, "poses 19 3 3"],
    known: Bool[Tensor, "19"],
    sigma_rad: float = 0.05,
    num_samples: int = 0,
    iterations: int = 25,
    generator: torch.Generator | None = None,
) -> Completions:
    """Fill in the joints of poses that are not known.

    Args:
        prior: the prior to complete with.
        R_free: poses; the rotations of joints that are not `known` are ignored.
        known: which of the 19 free joints to trust.
        sigma_rad: how closely to keep to them.
        num_samples: how many alternatives to draw beside the likeliest completion.
    """
    count = 1 + num_samples
    z = torch.randn(len(R_free), count, prior.latent_dim, generator=generator)
    z[:, 0] = 0.0
    z = z.flatten(0, 1)
    problem = _Problem(
        prior, R_free.repeat_interleave(count, 0), (known.to(z) / sigma_rad)[:, None], z
    )
    z = _minimise(problem, z, iterations).unflatten(0, (-1, count))
    return Completions(prior.decode(z), z)


@dataclass(frozen=True)
class _Problem:
    """One least-squares problem per row: rotations to match, and the centre of the prior."""

    prior: PosePrior
    target: Float[Tensor, "rows 19 3 3"]
    weight: Float[Tensor, "19 1"]
    centre: Float[Tensor, "rows latent"]

    def linearise(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Residuals of the objective and their Jacobian."""
        R, omega = self.prior.decode_with_jacobian(z)
        error = (matrix_to_rotvec(R @ self.target.mT) * self.weight).flatten(-2)
        d_error = (omega * self.weight[..., None]).flatten(-3, -2)
        residual, d_residual = self.prior.residual_with_jacobian(z)
        dim = self.prior.latent_dim
        residual = torch.cat([residual[:, :dim] - self.centre, residual[:, dim:]], -1)
        return torch.cat([error, residual], -1), torch.cat([d_error, d_residual], -2)


def _minimise(problem: _Problem, z: Tensor, iterations: int) -> Tensor:
    damping = torch.full((len(z),), 1e-2)
    residual, jacobian = problem.linearise(z)
    energy = 0.5 * residual.square().sum(-1)
    for _ in range(iterations):
        hessian = jacobian.mT @ jacobian
        diagonal = damping[:, None] * hessian.diagonal(dim1=-2, dim2=-1)
        gradient = (jacobian.mT @ residual[..., None])[..., 0]
        factor = torch.linalg.cholesky(hessian + torch.diag_embed(diagonal))
        trial = z - torch.cholesky_solve(gradient[..., None], factor)[..., 0]
        trial_residual, trial_jacobian = problem.linearise(trial)
        trial_energy = 0.5 * trial_residual.square().sum(-1)
        better = trial_energy < energy
        z = torch.where(better[:, None], trial, z)
        residual = torch.where(better[:, None], trial_residual, residual)
        jacobian = torch.where(better[:, None, None], trial_jacobian, jacobian)
        energy = torch.where(better, trial_energy, energy)
        damping = torch.where(better, damping * 0.3, damping * 5.0).clamp(1e-6, 1e6)
    return z


def project(
    prior: PosePrior, R_free: Float[Tensor, "poses 19 3 3"], sigma_rad: float = 0.2
) -> Float[Tensor, "poses 19 3 3"]:
    """The likeliest clean pose behind a noisy one, for noise of `sigma_rad` on every joint."""
    known = torch.ones(NUM_FREE, dtype=torch.bool)
    return complete(prior, R_free, known, sigma_rad).R_free[:, 0]
