"""The baseline that every other prior is measured against: one full-covariance Gaussian."""

from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from kinflow.files.json_values import whole_number
from kinflow.priors.affine import AffinePrior
from kinflow.priors.interface import PriorInfo
from kinflow.priors.pose_space import POSE_DIM, Whitening, log_normal, matrix_to_rotvec


class GaussianPrior(AffinePrior):
    """Gaussian over rotation vectors; its latent are the whitened principal components."""

    family: ClassVar[str] = "gaussian"

    def log_prob(self, R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch"]:
        y = self.whitening.whiten(matrix_to_rotvec(R_free).flatten(-2))
        return log_normal(y) + self.whitening.log_volume()

    def state(self) -> tuple[dict[str, Tensor], Mapping[str, object]]:
        return dict(self.state_dict()), {"num_kept": self.whitening.num_kept}

    @classmethod
    def from_state(
        cls, tensors: dict[str, Tensor], settings: Mapping[str, object], info: PriorInfo
    ) -> "GaussianPrior":
        num_kept = whole_number(settings, "num_kept", 1, POSE_DIM)
        return cls(Whitening.from_state(tensors, num_kept), info)
