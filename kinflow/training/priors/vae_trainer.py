"""Training of the variational autoencoder: matrix reconstruction with a small KL weight, as VPoser.

Of the weights along the way, those that reconstruct the validation subjects best are kept.
"""

import copy
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from kinflow.checks import not_negative, number, positive, whole
from kinflow.datasets.poses import PoseSet
from kinflow.priors.interface import PriorInfo
from kinflow.priors.pose_space import NUM_FREE, matrix_to_rotvec, rotvec_to_matrix
from kinflow.priors.storage import save_prior
from kinflow.priors.vae import VaeNetworks, VaePrior
from kinflow.training.checkpoint import Part
from kinflow.training.loop import LoopConfig, Recipe
from kinflow.training.priors.stream import PoseStream, StreamConfig
from kinflow.training.schedules import cosine
from kinflow.training.seeds import seed_everything

_EVALUATIONS = 20
_WEIGHT_DECAY = 1e-4


@dataclass(frozen=True)
class VaeTraining:
    """Shape of the VAE and schedule of its training.

    Attributes:
        latent_dim: dimension of the latent.
        hidden: width of encoder and decoder.
        dropout: dropout probability in both.
        steps: optimiser steps.
        batch_size: poses per step.
        learning_rate: peak learning rate; cosine decay to zero.
        kl_weight: weight of the KL divergence beside the squared error of the matrices.
    """

    latent_dim: int = 32
    hidden: int = 512
    dropout: float = 0.0
    steps: int = 24_000
    batch_size: int = 256
    learning_rate: float = 1e-3
    kl_weight: float = 0.0005

    def __post_init__(self) -> None:
        whole(self, "latent_dim", "hidden", "steps", "batch_size", at_least=1)
        number(self, "dropout", at_least=0, below=1)
        positive(self, "learning_rate")
        not_negative(self, "kl_weight")


class VaeRecipe(Recipe):
    """A variational autoencoder that reconstructs a stream of poses."""

    network: VaeNetworks
    weights_name = "prior.safetensors"
    score_name = "minus_error_rad"
    learning_rate_option = "vae.learning_rate"
    is_shared = True

    def __init__(
        self,
        config: VaeTraining,
        stream: StreamConfig,
        train: PoseSet,
        validation: PoseSet,
        info: PriorInfo,
    ) -> None:
        self.config, self.info, self._noise_rad = config, info, stream.noise_rad
        seed_everything(info.seed)
        self.network = VaeNetworks(config.latent_dim, config.hidden, config.dropout)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            config.learning_rate,
            weight_decay=_WEIGHT_DECAY,
            fused=True,
        )
        self._stream = PoseStream(train, replace(stream, noise_rad=0.0))
        self._R_validation = rotvec_to_matrix(validation.rotvec[::4])
        self._error_rad = torch.zeros(NUM_FREE)
        origin = ["vae", info.data_sha256, info.seed, len(train), len(validation)]
        self.run_key = json.dumps([asdict(config), asdict(stream), *origin])

    @property
    def loop_config(self) -> LoopConfig:
        """How this recipe is trained."""
        config = self.config
        return LoopConfig(
            steps=config.steps,
            eval_every=max(1, config.steps // _EVALUATIONS),
            learning_rate=cosine(config.learning_rate, config.steps),
            seed=self.info.seed,
        )

    def parts(self) -> dict[str, Part]:
        return {"networks": self.network, "optimizer": self.optimizer}

    def loss(self, step: int) -> Tensor:
        batch = self.processes.own_part(self._stream.batch(self.config.batch_size))
        R_free = rotvec_to_matrix(batch.unflatten(1, (NUM_FREE, 3)))
        return _vae_loss(self.network, R_free, self.config.kl_weight)

    def evaluate(self) -> float:
        """Minus the mean over joints of the root mean square angle of reconstruction, radians."""
        self._error_rad = _reconstruction_error(self.network, self._R_validation)
        return -float(self._error_rad.mean())

    def figures(self, loss: float, score: float, steps_per_second: float) -> dict[str, float]:
        return {"loss": loss, "radians/validation": -score}

    def keep(self, path: Path, step: int, score: float) -> None:
        networks = copy.deepcopy(self.network)
        variance = self._error_rad.square() / 3.0 + self._noise_rad**2
        networks.noise_rad.copy_(variance.sqrt())
        save_prior(VaePrior(networks, self.info), path)


def _vae_loss(networks: VaeNetworks, R_free: Tensor, kl_weight: float) -> Tensor:
    mean, std = networks.posterior(R_free)
    decoded = networks.decode(mean + std * torch.randn_like(std))
    reconstruction = (decoded - R_free).square().sum((-3, -2, -1)).mean()
    divergence = 0.5 * (mean.square() + std.square() - 1.0 - 2.0 * std.log()).sum(-1).mean()
    return reconstruction + kl_weight * divergence


@torch.no_grad()
def _reconstruction_error(networks: VaeNetworks, R_free: Tensor) -> Tensor:
    """Root mean square angle (19,) in radians between poses and their reconstructions."""
    networks.eval()
    decoded = networks.decode(networks.posterior(R_free)[0])
    return matrix_to_rotvec(decoded.mT @ R_free).square().sum(-1).mean(0).sqrt()
