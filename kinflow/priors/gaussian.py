"""The baseline that every other prior is measured against: one full-covariance Gaussian."""

import math
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from kinflow.priors.base import PosePrior, PriorInfo
from kinflow.priors.pose_space import (
    Whitening,
    matrix_to_rotvec,
    rotvec_to_matrix,
    rotvec_to_matrix_and_jacobian,
)


@dataclass(frozen=True)
class GaussianPrior(PosePrior):
    """Gaussian over rotation vectors; its latent are the whitened principal components."""

    family: ClassVar[str] = "gaussian"
    whitening: Whitening
    info: PriorInfo

    @property
    def latent_dim(self) -> int:
        return self.whitening.num_kept

    def log_prob(self, R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch"]:
        y = self.whitening.whiten(matrix_to_rotvec(R_free).flatten(-2))
        log_normal = -0.5 * (y * y).sum(-1) - 0.5 * y.shape[-1] * math.log(2 * math.pi)
        return log_normal + self.whitening.log_volume()

    def encode(self, R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch latent"]:
        y = self.whitening.whiten(matrix_to_rotvec(R_free).flatten(-2))
        return y[..., : self.latent_dim]

    def _rotvec(self, z: Tensor) -> Tensor:
        return (self.whitening.mean + z @ self.whitening.unwhitening).unflatten(-1, (-1, 3))

    def decode(self, z: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch 19 3 3"]:
        return rotvec_to_matrix(self._rotvec(z))

    def decode_with_jacobian(
        self, z: Float[Tensor, "*batch latent"]
    ) -> tuple[Float[Tensor, "*batch 19 3 3"], Float[Tensor, "*batch 19 3 latent"]]:
        R_free, J_left = rotvec_to_matrix_and_jacobian(self._rotvec(z))
        d_rotvec = self.whitening.unwhitening.mT.unflatten(0, (-1, 3))
        return R_free, J_left @ d_rotvec

    def state(self) -> tuple[dict[str, Tensor], dict[str, object]]:
        return self.whitening.state(), {"num_kept": self.whitening.num_kept}

    @classmethod
    def from_state(
        cls, tensors: dict[str, Tensor], settings: dict[str, object], info: PriorInfo
    ) -> "GaussianPrior":
        return cls(Whitening.from_state(tensors, int(str(settings["num_kept"]))), info)
