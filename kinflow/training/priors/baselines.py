"""Training of the baselines: Gaussian, mixture of Gaussians, variational autoencoder."""

import math
from dataclasses import dataclass, replace

import torch
from rich.progress import track
from torch import Tensor

from kinflow.checks import not_negative, number, positive, whole
from kinflow.datasets.poses import PoseSet
from kinflow.priors.coordinates import SPACES, SpaceName
from kinflow.priors.gaussian import GaussianPrior
from kinflow.priors.gmm import GmmPrior
from kinflow.priors.interface import PriorInfo
from kinflow.priors.pose_space import (
    NUM_FREE,
    Whitening,
    matrix_to_rotvec,
    rotvec_to_matrix,
    with_mirror_images,
)
from kinflow.priors.vae import VaeNetworks, VaePrior
from kinflow.training.priors.gmm_fit import fit_gmm
from kinflow.training.priors.stream import PoseStream, StreamConfig, frame_weights

_GAUSSIAN_POSES = 100_000
_GMM_POSES = 40_000
_GMM_ITERATIONS = 40


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


def fit_whitening(
    poses: PoseSet, stream: StreamConfig, min_std_deg: float, space: SpaceName = "rotvec"
) -> Whitening:
    """The coordinates in which flows and mixtures work: principal components of the data.

    In 6D all directions are kept, since the surplus ones hold noise that flows must model too.
    """
    weights = frame_weights(poses, stream.balance_power)
    rotvec, weights = with_mirror_images(poses.rotvec.flatten(1), weights)
    if space == "rotvec":
        return Whitening.fit(rotvec, weights, stream.noise_rad, math.radians(min_std_deg))
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(rotvec.shape, generator=generator)
    points, _ = SPACES[space].lift(rotvec + stream.noise_rad * noise, generator)
    return Whitening.fit(points, weights, noise_rad=0.0, min_std_rad=0.0)


def train_gaussian(
    poses: PoseSet, stream: StreamConfig, min_std_deg: float, info: PriorInfo
) -> GaussianPrior:
    """Mean and covariance of the same stream that flows are trained on."""
    torch.manual_seed(info.seed)
    rotvec = PoseStream(poses, replace(stream, noise_rad=0.0)).batch(_GAUSSIAN_POSES)
    rotvec, weights = with_mirror_images(rotvec, torch.ones(len(rotvec)))
    whitening = Whitening.fit(rotvec, weights, stream.noise_rad, math.radians(min_std_deg))
    return GaussianPrior(whitening, info)


def train_gmm(
    poses: PoseSet,
    stream: StreamConfig,
    whitening: Whitening,
    num_components: int,
    info: PriorInfo,
) -> GmmPrior:
    """Expectation–maximisation on poses of the same stream that flows are trained on."""
    torch.manual_seed(info.seed)
    y = whitening.whiten(PoseStream(poses, stream).batch(_GMM_POSES))[:, : whitening.num_kept]
    generator = torch.Generator().manual_seed(info.seed)
    return GmmPrior(whitening, *fit_gmm(y, num_components, _GMM_ITERATIONS, generator), info)


def _vae_loss(networks: VaeNetworks, R_free: Tensor, kl_weight: float) -> Tensor:
    mean, std = networks.posterior(R_free)
    decoded = networks.decode(mean + std * torch.randn_like(std))
    reconstruction = (decoded - R_free).square().sum((-3, -2, -1)).mean()
    divergence = 0.5 * (mean.square() + std.square() - 1.0 - 2.0 * std.log()).sum(-1).mean()
    return reconstruction + kl_weight * divergence


def train_vae(
    train: PoseSet,
    validation: PoseSet,
    stream: StreamConfig,
    config: VaeTraining,
    info: PriorInfo,
) -> VaePrior:
    """Matrix reconstruction with a small KL weight, as VPoser is trained.

    Of the checkpoints along the way, the one that reconstructs the validation subjects best is
    kept.
    """
    torch.manual_seed(info.seed)
    networks = VaeNetworks(config.latent_dim, config.hidden, config.dropout)
    optimizer = torch.optim.AdamW(
        networks.parameters(), config.learning_rate, weight_decay=1e-4, fused=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    batches = PoseStream(train, replace(stream, noise_rad=0.0))
    R_validation = rotvec_to_matrix(validation.rotvec[::4])
    best_rad, best_state = math.inf, networks.state_dict()
    for step in track(range(1, config.steps + 1), description="training the VAE"):
        R_free = rotvec_to_matrix(batches.batch(config.batch_size).unflatten(1, (NUM_FREE, 3)))
        loss = _vae_loss(networks.train(), R_free, config.kl_weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % max(1, config.steps // 20) == 0:
            error_rad = _reconstruction_error(networks, R_validation)
            if error_rad.mean() < best_rad:
                best_rad = float(error_rad.mean())
                variance = error_rad.square() / 3.0 + stream.noise_rad**2
                networks.noise_rad.copy_(variance.sqrt())
                best_state = {k: v.clone() for k, v in networks.state_dict().items()}
    networks.load_state_dict(best_state)
    return VaePrior(networks, info)


@torch.no_grad()
def _reconstruction_error(networks: VaeNetworks, R_free: Tensor) -> Tensor:
    """Root mean square angle (19,) in radians between poses and their reconstructions."""
    networks.eval()
    decoded = networks.decode(networks.posterior(R_free)[0])
    return matrix_to_rotvec(decoded.mT @ R_free).square().sum(-1).mean(0).sqrt()
