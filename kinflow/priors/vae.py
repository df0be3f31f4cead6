"""Variational autoencoder prior in the manner of VPoser (Pavlakos et al. 2019): the VAE baseline.

The encoder reads rotation matrices, the decoder writes the 6D representation of Zhou et al. (2019),
made orthonormal by Gram–Schmidt. A VAE has no exact density and reconstructs only approximately;
`log_prob` is an importance-sampled lower bound under isotropic decoder noise on each joint.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinflow.errors import InputError
from kinflow.files.json_values import whole_number
from kinflow.files.tensor_files import load_weights
from kinflow.priors.base import PosePrior
from kinflow.priors.gram_schmidt import angular_velocity_of_6d, matrix_from_6d
from kinflow.priors.interface import PriorInfo
from kinflow.priors.pose_space import NUM_FREE, log_haar_volume, matrix_to_rotvec

_SLOPE = 0.1
_BOUND_SAMPLES = 64
_MOST_LATENT = 1024
_MOST_HIDDEN = 8192


class VaeNetworks(nn.Module):
    """Encoder to mean and log variance, and decoder to 6D rotations."""

    noise_rad: Tensor

    def __init__(self, latent_dim: int = 32, hidden: int = 512, dropout: float = 0.1) -> None:
        super().__init__()
        self.latent_dim, self.hidden, self.dropout = latent_dim, hidden, dropout
        self.encoder = nn.Sequential(
            nn.Linear(9 * NUM_FREE, hidden),
            nn.LeakyReLU(_SLOPE),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(_SLOPE),
            nn.Linear(hidden, 2 * latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, hidden),
            nn.LeakyReLU(_SLOPE),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(_SLOPE),
            nn.Linear(hidden, 6 * NUM_FREE),
        )
        self.register_buffer("noise_rad", torch.full((NUM_FREE,), 0.1, dtype=torch.float32))

    def posterior(self, R_free: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of q(z | pose)."""
        mean, log_variance = self.encoder(R_free.flatten(-3)).chunk(2, -1)
        return mean, (0.5 * log_variance.clamp(-10.0, 4.0)).exp()

    def decode(self, z: Tensor) -> Tensor:
        return matrix_from_6d(self.decoder(z).unflatten(-1, (NUM_FREE, 3, 2)))


class VaePrior(PosePrior):
    """Variational autoencoder with a standard normal latent."""

    family: ClassVar[str] = "vae"

    def __init__(self, networks: VaeNetworks, info: PriorInfo) -> None:
        super().__init__(info)
        self.networks = networks.eval().requires_grad_(False)

    @property
    def latent_dim(self) -> int:
        return self.networks.latent_dim

    def encode(self, R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch latent"]:
        """Mean of the approximate posterior; decoding it gives the pose back only roughly."""
        return self.networks.posterior(R_free)[0]

    def decode(self, z: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch 19 3 3"]:
        return self.networks.decode(z)

    @torch.no_grad()
    def decode_with_jacobian(
        self, z: Float[Tensor, "*batch latent"]
    ) -> tuple[Float[Tensor, "*batch 19 3 3"], Float[Tensor, "*batch 19 3 latent"]]:
        out = z
        eye = torch.eye(self.latent_dim, dtype=z.dtype, device=z.device)
        jacobian = eye.expand(*z.shape, self.latent_dim)
        for layer in self.networks.decoder:
            if isinstance(layer, nn.Linear):
                out, jacobian = layer(out), jacobian @ layer.weight.mT
            elif isinstance(layer, nn.LeakyReLU):
                slope = torch.where(out > 0, torch.ones_like(out), torch.full_like(out, _SLOPE))
                out, jacobian = out * slope, jacobian * slope[..., None, :]
        columns = out.unflatten(-1, (NUM_FREE, 3, 2))
        d_columns = jacobian.mT.unflatten(-2, (NUM_FREE, 3, 2))
        return angular_velocity_of_6d(columns, d_columns)

    def log_prob(self, R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch"]:
        """Importance-sampled lower bound (Burda et al. 2016) with reproducible samples."""
        mean, std = self.networks.posterior(R_free)
        generator = torch.Generator().manual_seed(0)
        shape = (_BOUND_SAMPLES, *mean.shape)
        eps = torch.randn(shape, generator=generator, dtype=torch.float32).to(mean)
        z = mean + std * eps
        error = matrix_to_rotvec(self.decode(z).mT @ R_free)
        noise = self.networks.noise_rad[:, None]
        log_error = (-0.5 * (error / noise) ** 2 - noise.log() - 0.5 * math.log(2 * math.pi)).sum(
            (-2, -1)
        )
        log_haar = log_error - log_haar_volume(error)
        log_ratio = (-0.5 * z * z + 0.5 * eps * eps + std.log()).sum(-1)
        bound = (log_haar + log_ratio).logsumexp(0) - math.log(_BOUND_SAMPLES)
        return bound + log_haar_volume(matrix_to_rotvec(R_free))

    def state(self) -> tuple[dict[str, Tensor], Mapping[str, object]]:
        networks = self.networks
        settings = {"latent_dim": networks.latent_dim, "hidden": networks.hidden}
        return dict(networks.state_dict()), settings

    @classmethod
    def from_state(
        cls, tensors: dict[str, Tensor], settings: Mapping[str, object], info: PriorInfo
    ) -> "VaePrior":
        latent_dim = whole_number(settings, "latent_dim", 1, _MOST_LATENT)
        hidden = whole_number(settings, "hidden", 1, _MOST_HIDDEN)
        if 2 * hidden * (hidden + latent_dim) > sum(tensor.numel() for tensor in tensors.values()):
            raise InputError("the settings are those of a larger network than the weights make up")
        with torch.random.fork_rng(devices=[]):  # loading must not disturb anyone's random numbers
            networks = VaeNetworks(latent_dim, hidden)
        load_weights(networks, tensors)
        if not bool((networks.noise_rad > 0).all()):
            raise InputError("the tensor 'noise_rad' holds values that are not positive")
        return cls(networks, info)
