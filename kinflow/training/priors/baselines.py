"""Fitting of the baselines: Gaussian, and mixture of Gaussians."""

import math
from dataclasses import replace

import torch

from kinflow.datasets.poses import PoseSet
from kinflow.priors.gaussian import GaussianPrior
from kinflow.priors.gmm import GmmPrior
from kinflow.priors.interface import PriorInfo
from kinflow.priors.pose_space import Whitening
from kinflow.training.priors.gmm_fit import fit_gmm
from kinflow.training.priors.stream import PoseStream, StreamConfig
from kinflow.training.priors.whitening import whitening_of, with_mirror_images
from kinflow.training.seeds import seed_everything

_GAUSSIAN_POSES = 100_000
_GMM_POSES = 40_000
_GMM_ITERATIONS = 40


def train_gaussian(
    poses: PoseSet, stream: StreamConfig, min_std_deg: float, info: PriorInfo
) -> GaussianPrior:
    """Mean and covariance of the same stream that flows are trained on."""
    seed_everything(info.seed)
    rotvec = PoseStream(poses, replace(stream, noise_rad=0.0)).batch(_GAUSSIAN_POSES)
    rotvec, weights = with_mirror_images(rotvec, torch.ones(len(rotvec)))
    whitening = whitening_of(rotvec, weights, stream.noise_rad, math.radians(min_std_deg))
    return GaussianPrior(whitening, info)


def train_gmm(
    poses: PoseSet,
    stream: StreamConfig,
    whitening: Whitening,
    num_components: int,
    info: PriorInfo,
) -> GmmPrior:
    """Expectation–maximisation on poses of the same stream that flows are trained on."""
    seed_everything(info.seed)
    y = whitening.whiten(PoseStream(poses, stream).batch(_GMM_POSES))[:, : whitening.num_kept]
    generator = torch.Generator().manual_seed(info.seed)
    return GmmPrior(whitening, *fit_gmm(y, num_components, _GMM_ITERATIONS, generator), info)
