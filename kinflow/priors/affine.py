"""What the Gaussian and the mixture share: a latent that is the whitened pose itself."""

from jaxtyping import Float
from torch import Tensor

from kinflow.priors.base import PosePrior
from kinflow.priors.interface import PriorInfo
from kinflow.priors.pose_space import (
    Whitening,
    matrix_to_rotvec,
    rotvec_to_matrix,
    rotvec_to_matrix_and_jacobian,
)


class AffinePrior(PosePrior):
    """A prior whose rotation vectors are affine in the latent."""

    whitening: Whitening

    def __init__(self, whitening: Whitening, info: PriorInfo) -> None:
        super().__init__(info)
        self.whitening = whitening

    @property
    def latent_dim(self) -> int:
        return self.whitening.num_kept

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
