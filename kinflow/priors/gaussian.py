"""The baseline that every other prior is measured against: one full-covariance Gaussian."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from kinflow.priors.affine import AffinePrior
from kinflow.priors.base import PriorInfo
from kinflow.priors.pose_space import Whitening, log_normal, matrix_to_rotvec


@dataclass(frozen=True)
class GaussianPrior(AffinePrior):
    """Gaussian over rotation vectors; its latent are the whitened principal components."""

    family: ClassVar[str] = "gaussian"
    whitening: Whitening
    info: PriorInfo

    def log_prob(self, R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch"]:
        y = self.whitening.whiten(matrix_to_rotvec(R_free).flatten(-2))
        return log_normal(y) + self.whitening.log_volume()

    def state(self) -> tuple[dict[str, Tensor], Mapping[str, object]]:
        return self.whitening.state(), {"num_kept": self.whitening.num_kept}

    @classmethod
    def from_state(
        cls, tensors: dict[str, Tensor], settings: Mapping[str, object], info: PriorInfo
    ) -> "GaussianPrior":
        return cls(Whitening.from_state(tensors, int(str(settings["num_kept"]))), info)
