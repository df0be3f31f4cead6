"""What a pose prior is: a density with a latent space, whatever family it belongs to.

A pose is given by the local rotation matrices of the 19 free joints, `R_free` (*batch, 19, 3, 3) in
the order of `kinflow.body.skeleton.FREE_JOINTS`. Log densities are in nats with respect to Lebesgue
measure on rotation vectors; `kinflow.priors.pose_space.log_haar_volume` converts them to the Haar
measure of SO(3)^19.
"""

import itertools
import numbers
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinflow.errors import InputError


def check_count(n: int) -> int:
    """A number of poses; InputError unless it is whole and not negative."""
    if not isinstance(n, numbers.Integral) or isinstance(n, bool) or not 0 <= n <= 10_000_000:
        raise InputError(f"The number of poses has to be a whole number of 0 or more, not {n!r}.")
    return int(n)


@dataclass(frozen=True)
class PriorInfo:
    """Where a prior comes from; stored in the header of its weight file.

    Attributes:
        data_sha256: content hash of the pose set it was trained on.
        noise_rad: standard deviation of the dequantisation noise added to the training poses.
        seed: seed of the training run.
        command: the command that trained it.
        metrics: measured figures by name.
        calibration_nats: percentiles 0 to 100 of the scores of validation poses, ascending; empty
            if there were none (see `kinflow.priors.scoring`).
    """

    data_sha256: str = ""
    noise_rad: float = 0.0
    seed: int = 0
    command: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    calibration_nats: tuple[float, ...] = ()


class PoseDistribution(nn.Module, ABC):
    """A distribution over poses with a latent space in which fitting searches.

    All of its tensors are parameters or buffers, so `to`, `double` and their like move everything.
    It is finished: `train` leaves dropout off, also where a prior is part of a larger network.
    """

    family: str
    info: PriorInfo
    pose_space: str = "rotvec-19"
    """Coordinates of its poses, as weight files call them."""

    def __init__(self, info: PriorInfo) -> None:
        super().__init__()
        self.info = info
        self.training = False

    def train(self, mode: bool = True) -> "PoseDistribution":
        return super().train(False)

    def one_of_its_numbers(self) -> Tensor:
        """A tensor of the precision and on the device in which this prior computes."""
        tensors = itertools.chain(self.parameters(), self.buffers())
        return next(tensor for tensor in tensors if tensor.is_floating_point())

    @property
    @abstractmethod
    def latent_dim(self) -> int:
        """Dimension D of the latent space."""

    @abstractmethod
    def log_prob(self, R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch"]:
        """Log density of poses in nats, with respect to rotation vectors."""

    @abstractmethod
    def encode(self, R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch latent"]:
        """Latent of a pose. Inverts `decode` on every pose that `decode` can produce."""

    @abstractmethod
    def decode(self, z: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch 19 3 3"]:
        """Pose of a latent; differentiable."""

    @abstractmethod
    def decode_with_jacobian(
        self, z: Float[Tensor, "*batch latent"]
    ) -> tuple[Float[Tensor, "*batch 19 3 3"], Float[Tensor, "*batch 19 3 latent"]]:
        """Pose of a latent and how it turns with it.

        The second value holds in [..., j, :, k] the left angular velocity ω of joint j per unit of
        z_k: dR_j R_jᵀ = [ω]ₓ dz_k.
        """

    def energy(self, z: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch"]:
        """Negative log density of the latent up to a constant: ½‖z‖²."""
        return 0.5 * (z * z).sum(-1)

    def residual_with_jacobian(
        self, z: Float[Tensor, "*batch latent"]
    ) -> tuple[Float[Tensor, "*batch rows"], Float[Tensor, "*batch rows latent"]]:
        """Residual r with ½‖r‖² = `energy(z)`, and its derivatives, for least squares."""
        eye = torch.eye(self.latent_dim, dtype=z.dtype, device=z.device)
        return z, eye.expand(*z.shape, self.latent_dim)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n 19 3 3"]:
        """Draw `n` poses."""
        size = (check_count(n), self.latent_dim)
        z = torch.randn(size, generator=generator, dtype=torch.float32)
        return self.decode(z.to(self.one_of_its_numbers()))
