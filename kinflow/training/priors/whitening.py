"""Fitting the coordinates in which flows and mixtures work: principal components of the data."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.datasets.poses import PoseSet
from kinflow.priors.coordinates import SPACES, SpaceName
from kinflow.priors.pose_space import NUM_FREE, Whitening, mirror_rotvec
from kinflow.training.priors.stream import StreamConfig, frame_weights


def fit_whitening(
    poses: PoseSet, stream: StreamConfig, min_std_deg: float, space: SpaceName = "rotvec"
) -> Whitening:
    """The coordinates in which flows and mixtures work: principal components of the data.

    In 6D all directions are kept, since the surplus ones hold noise that flows must model too.
    """
    weights = frame_weights(poses, stream.balance_power)
    rotvec, weights = with_mirror_images(poses.rotvec.flatten(1), weights)
    if space == "rotvec":
        return whitening_of(rotvec, weights, stream.noise_rad, math.radians(min_std_deg))
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(rotvec.shape, generator=generator)
    points, _ = SPACES[space].lift(rotvec + stream.noise_rad * noise, generator)
    return whitening_of(points, weights, noise_rad=0.0, min_std_rad=0.0)


def with_mirror_images(
    rotvec: Float[Tensor, "poses 57"], weights: Float[Tensor, "poses"]
) -> tuple[Float[Tensor, "both 57"], Float[Tensor, "both"]]:
    """Poses and their mirror images, with the same weights."""
    mirrored = mirror_rotvec(rotvec.unflatten(-1, (NUM_FREE, 3))).flatten(-2)
    return torch.cat([rotvec, mirrored]), torch.cat([weights, weights])


def whitening_of(
    points: Float[Tensor, "poses dim"],
    weights: Float[Tensor, "poses"],
    noise_rad: float,
    min_std_rad: float,
) -> Whitening:
    """Weighted mean and covariance of points.

    Directions whose own spread is below `min_std_rad` are not kept.
    """
    points = points.double()
    w = weights.double() / weights.double().sum()
    mean = w @ points
    centred = points - mean
    variance, basis = torch.linalg.eigh((centred * w[:, None]).mT @ centred)
    variance, basis = variance.flip(0).clamp_min(0.0), basis.flip(1)
    return Whitening(
        mean=mean.float(),
        basis=basis.float(),
        std=(variance + noise_rad**2).sqrt().float(),
        num_kept=int((variance.sqrt() > min_std_rad).sum()),
    )
