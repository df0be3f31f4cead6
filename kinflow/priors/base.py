"""What every pose prior can do, whatever family it belongs to.

A pose is given by the local rotation matrices of the 19 free joints, `R_free` (*batch, 19, 3, 3) in
the order of `kinflow.body.skeleton.FREE_JOINTS`. Log densities are in nats with respect to Lebesgue
measure on rotation vectors; `kinflow.priors.pose_space.log_haar_volume` converts them to the Haar
measure of SO(3)^19.
"""

import numbers
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.checks import is_number
from kinflow.errors import InputError
from kinflow.tensors import finite_tensor, given_tensor

if TYPE_CHECKING:
    from kinflow.priors.scoring import PoseScore


_POSE_AXES = (-1, 19, 3, 3)


def check_count(n: int) -> int:
    """A number of poses; InputError unless it is whole and not negative."""
    if not isinstance(n, numbers.Integral) or isinstance(n, bool) or not 0 <= n <= 10_000_000:
        raise InputError(f"The number of poses has to be a whole number of 0 or more, not {n!r}.")
    return int(n)


def check_sigma(sigma_rad: float) -> float:
    """A standard deviation; InputError unless it is a positive number."""
    if not (is_number(sigma_rad) and sigma_rad > 0):
        raise InputError(f"sigma_rad has to be a number above 0, not {sigma_rad!r}.")
    return float(sigma_rad)


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


class PosePrior(ABC):
    """A distribution over poses with a latent space in which fitting searches."""

    family: str
    info: PriorInfo
    pose_space: str = "rotvec-19"
    """Coordinates of its poses, as weight files call them."""

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
        return self.decode(torch.randn(size, generator=generator, dtype=torch.float32))

    # What follows is built on the interface above, so its modules import this one.

    def score(self, R_free: Float[Tensor, "*batch 19 3 3"]) -> "PoseScore":
        """How plausible poses are: nats, and the percentile among real poses of unseen people."""
        from kinflow.priors.scoring import score

        return score(self, finite_tensor(R_free, "R_free", _POSE_AXES))

    def project(
        self, R_free: Float[Tensor, "*batch 19 3 3"], sigma_rad: float = 0.2
    ) -> Float[Tensor, "*batch 19 3 3"]:
        """The likeliest clean poses behind noisy ones, for noise of `sigma_rad` on every joint."""
        from kinflow.priors.completion import project

        R_free = finite_tensor(R_free, "R_free", _POSE_AXES)
        flat = R_free.reshape(-1, *R_free.shape[-3:])
        return project(self, flat, check_sigma(sigma_rad)).view(R_free.shape)

    def complete(
        self,
        R_free: Float[Tensor, "*batch 19 3 3"],
        known_joints: Collection[str],
        sigma_rad: float = 0.05,
    ) -> Float[Tensor, "*batch 19 3 3"]:
        """Poses in which the joints that are not known are filled in with the likeliest.

        Args:
            R_free: poses; the rotations of other joints than the known ones are ignored.
            known_joints: names out of `kinflow.body.skeleton.JOINT_NAMES`; these stay as they are.
            sigma_rad: how closely the completion keeps to them.

        Raises:
            InputError: a name is not that of a free joint, or a known joint is not finite.
        """
        from kinflow.priors.completion import complete, joint_mask

        known = joint_mask(known_joints)
        R_free = given_tensor(R_free, "R_free", _POSE_AXES)
        known = known.to(R_free.device)
        # what is not known may be anything, NaN too
        rest = torch.eye(3).to(R_free).expand_as(R_free)
        R_free = torch.where(known[:, None, None], R_free, rest)
        finite_tensor(R_free, "R_free", _POSE_AXES)
        flat = R_free.reshape(-1, *R_free.shape[-3:])
        completed = complete(self, flat, known, check_sigma(sigma_rad)).R_free[:, 0]
        return torch.where(known[:, None, None], flat, completed).view(R_free.shape)

    @abstractmethod
    def state(self) -> tuple[dict[str, Tensor], Mapping[str, object]]:
        """Tensors and JSON-able settings from which `from_state` rebuilds the prior."""

    @classmethod
    @abstractmethod
    def from_state(
        cls, tensors: dict[str, Tensor], settings: Mapping[str, object], info: PriorInfo
    ) -> "PosePrior":
        """Rebuild a prior from what `state` returned.

        Raises:
            InputError: the tensors or settings are not those of a prior of this family.
        """
