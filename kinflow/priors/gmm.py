"""Gaussian mixture prior, as SMPLify uses it (Bogo et al. 2016): the mixture baseline.

The latent is the whitened pose, not a standard normal; the energy is that of the best component,
which keeps it a sum of squares and therefore usable in least squares.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.errors import InputError
from kinflow.files.json_values import whole_number
from kinflow.files.tensor_files import tensor_of
from kinflow.priors.affine import AffinePrior
from kinflow.priors.interface import PriorInfo, check_count
from kinflow.priors.pose_space import POSE_DIM, Whitening, log_normal, matrix_to_rotvec

_NORMALISED_WITHIN = 1e-3
_FAR = 1e3  # in standard deviations of the data


class GmmPrior(AffinePrior):
    """Mixture of full-covariance Gaussians over the whitened coordinates.

    Attributes:
        whitening: change of coordinates between poses and latents.
        means: (K, D) component means.
        cholesky: (K, D, D) lower Cholesky factors of the component covariances.
        log_weights: (K,) log mixture weights.
    """

    family: ClassVar[str] = "gmm"
    means: Tensor
    cholesky: Tensor
    log_weights: Tensor

    def __init__(
        self,
        whitening: Whitening,
        means: Float[Tensor, "components latent"],
        cholesky: Float[Tensor, "components latent latent"],
        log_weights: Float[Tensor, "components"],
        info: PriorInfo,
    ) -> None:
        super().__init__(whitening, info)
        self.register_buffer("means", means)
        self.register_buffer("cholesky", cholesky)
        self.register_buffer("log_weights", log_weights)

    def _component_log_prob(self, y: Float[Tensor, "*batch latent"]) -> Tensor:
        """Log density (*batch, K) of each component, its weight included."""
        standardised = self._standardised(y)
        log_det = self.cholesky.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return log_normal(standardised) - log_det + self.log_weights

    def _standardised(self, y: Tensor) -> Tensor:
        """(*batch, K, D) coordinates that are standard normal under each component."""
        difference = (y[..., None, :] - self.means)[..., None]
        return torch.linalg.solve_triangular(self.cholesky, difference, upper=False)[..., 0]

    def log_prob(self, R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch"]:
        y = self.whitening.whiten(matrix_to_rotvec(R_free).flatten(-2))
        log_kept = self._component_log_prob(y[..., : self.latent_dim]).logsumexp(-1)
        return log_kept + log_normal(y[..., self.latent_dim :]) + self.whitening.log_volume()

    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n 19 3 3"]:
        n = check_count(n)
        shares = self.log_weights.exp().cpu()  # where the generator draws
        component = torch.multinomial(shares, max(n, 1), replacement=True, generator=generator)[:n]
        noise = torch.randn(n, self.latent_dim, 1, generator=generator, dtype=torch.float32)
        component, noise = component.to(self.means.device), noise.to(self.means)
        return self.decode(self.means[component] + (self.cholesky[component] @ noise)[..., 0])

    def energy(self, z: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch"]:
        """Negative log density of the likeliest component, zero at the likeliest mean."""
        residual, _ = self.residual_with_jacobian(z)
        return 0.5 * (residual * residual).sum(-1)

    def residual_with_jacobian(
        self, z: Float[Tensor, "*batch latent"]
    ) -> tuple[Float[Tensor, "*batch rows"], Float[Tensor, "*batch rows latent"]]:
        log_det = self.cholesky.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        constant = log_det - self.log_weights
        constant = constant - constant.min()
        standardised = self._standardised(z)
        best = (0.5 * standardised.square().sum(-1) + constant).argmin(-1)
        index = best[..., None, None].expand(*best.shape, 1, self.latent_dim)
        rows = standardised.gather(-2, index)[..., 0, :]
        offset = (2.0 * constant[best]).sqrt()[..., None]
        eye = torch.eye(self.latent_dim, dtype=z.dtype, device=z.device)
        jacobian = torch.linalg.solve_triangular(self.cholesky, eye, upper=False)[best]
        jacobian = torch.nn.functional.pad(jacobian, (0, 0, 0, 1))
        return torch.cat([rows, offset], -1), jacobian

    def state(self) -> tuple[dict[str, Tensor], Mapping[str, object]]:
        return dict(self.state_dict()), {"num_kept": self.whitening.num_kept}

    @classmethod
    def from_state(
        cls, tensors: dict[str, Tensor], settings: Mapping[str, object], info: PriorInfo
    ) -> "GmmPrior":
        kept = whole_number(settings, "num_kept", 1, POSE_DIM)
        whitening = Whitening.from_state(tensors, kept)
        means = tensor_of(tensors, "means", (None, kept))
        cholesky = tensor_of(tensors, "cholesky", (len(means), kept, kept))
        log_weights = tensor_of(tensors, "log_weights", (len(means),))
        if not len(means):
            raise InputError("the mixture has no components")
        if max(float(means.abs().max()), float(cholesky.abs().max())) > _FAR:
            raise InputError("'means' or 'cholesky' holds values that cannot be right")
        if bool(cholesky.triu(1).any()) or not bool((cholesky.diagonal(0, 1, 2) > 0).all()):
            raise InputError("'cholesky' does not hold factors of covariances")
        if not abs(float(log_weights.double().logsumexp(0))) < _NORMALISED_WITHIN:
            raise InputError("the weights of 'log_weights' do not sum to one")
        return cls(whitening, means, cholesky, log_weights, info)
