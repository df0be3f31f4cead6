"""Searching the latent space of a prior for the likeliest pose that agrees with observations.

    minimise  ½‖e(z)‖² + ½‖r(z)‖²,    e an observation's residual, r that of the prior's energy

by Levenberg–Marquardt. Alternatives are drawn by randomise-then-optimise (Bardsley et al. 2014):
the same problem with r(z) − ε for a normal ε, whose solutions are samples of the posterior where
the decoder is nearly linear.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.optim import DenseModel, LMConfig, minimise
from kinflow.priors.interface import PoseDistribution

_ITERATIONS = 25
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class _Latents:
    """A batch of latents as states of the optimiser."""

    z: Float[Tensor, "rows latent"]

    def __len__(self) -> int:
        return len(self.z)

    def __getitem__(self, rows: Tensor) -> "_Latents":
        return _Latents(self.z[rows])

    def step(self, step: Float[Tensor, "rows latent"]) -> "_Latents":
        return _Latents(self.z + step)

    def replaced(self, rows: Int[Tensor, " changed"], values: "_Latents") -> "_Latents":
        return _Latents(self.z.index_copy(0, rows, values.z))


@runtime_checkable
class Observation(Protocol):
    """What is known about the pose of each row, as a least-squares term."""

    def residual_with_jacobian(
        self,
        rows: Int[Tensor, " rows"],
        R_free: Float[Tensor, "rows 19 3 3"],
        omega: Float[Tensor, "rows 19 3 latent"],
    ) -> tuple[Float[Tensor, "rows residuals"], Float[Tensor, "rows residuals latent"]]:
        """Residual of poses and its derivatives.

        Args:
            rows: which of the observations they are compared with.
            R_free: poses.
            omega: how their joints turn with the latent.
        """
        ...


@torch.no_grad()
def search(
    prior: PoseDistribution,
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

    def linearise(latents: _Latents, rows: Tensor) -> DenseModel:
        R_free, omega = prior.decode_with_jacobian(latents.z)
        error, d_error = observation.residual_with_jacobian(rows, R_free, omega)
        residual, d_residual = prior.residual_with_jacobian(latents.z)
        dim = prior.latent_dim
        residual = torch.cat([residual[:, :dim] - centre[rows], residual[:, dim:]], -1)
        return DenseModel.of(torch.cat([error, residual], -1), torch.cat([d_error, d_residual], -2))

    config = LMConfig(max_iterations=iterations, relative_tolerance=_TOLERANCE)
    return minimise(_Latents(centre), linearise, config).state.z
