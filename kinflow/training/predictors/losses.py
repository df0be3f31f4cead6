"""What a predictor's beliefs cost, sample by sample, whatever labels there are.

Where the body is known: its negative log density, and distances of the best guess in 3D, in the
image and in orientation. Where only keypoints are: the distances in the image of the best guess,
and what the priors say of it (Zanfir et al. 2020, section 4; no adversary).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.checks import not_negative
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.unknowns import Unknowns
from kinflow.predictors.coordinates import ROTATION
from kinflow.predictors.posterior import Posterior
from kinflow.priors.base import PosePrior
from kinflow.priors.shape import ShapePrior
from kinflow.training.predictors.batches import Labelled, crop_points

KEYPOINTS = tuple(range(33))
HIPS = [23, 24]
_DISTANCE_M, _DISTANCE_CROP = 0.05, 0.02
_CUTOFF_CROP = 0.15


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms; each is of about unit size at the end of a training."""

    density: float = 0.3
    """Of the negative log density, per coordinate."""
    vector: float = 0.5
    """Of errors of the best guess's place and latent, per coordinate."""
    shape: float = 0.2
    """Of errors of its shape, per coordinate."""
    points_3d: float = 1.0
    tokens_3d: float = 0.5
    """Of distances of the points that the network's joints name on the way."""
    rotation: float = 2.0
    points_2d: float = 0.5
    pose_prior: float = 0.02
    """Of ½|z|² of best guesses without known bodies, per coordinate."""
    shape_prior: float = 0.1

    def __post_init__(self) -> None:
        not_negative(self, *vars(self))


class PredictorLoss:
    """Losses of posteriors against labelled samples."""

    def __init__(self, prior: PosePrior, config: LossConfig) -> None:
        self.config = config
        body = BodyModel.load("joints", prior.one_of_its_numbers().device)
        self.model = KeypointModel(body, prior, ShapePrior(), KEYPOINTS)

    def points_m(self, unknowns: Unknowns) -> Float[Tensor, "people 33 3"]:
        """BlazePose's keypoints of bodies, in the camera's frame."""
        return self.model.evaluate(unknowns, with_jacobian=False).keypoints_cam_m

    def __call__(self, posterior: Posterior, batch: Labelled) -> Float[Tensor, " samples"]:
        """What each sample costs."""
        guess = posterior.point()
        # sizes are learned from shapes: in points they would bend towards the likeliest size
        points = self.points_m(replace(guess, s=guess.s.detach()))
        known = batch.has_body.float()
        total = known * self._of_bodies(posterior, guess, points, batch)
        return total + (1 - known) * self._of_keypoints(guess, points, batch)

    def _of_bodies(
        self, posterior: Posterior, guess: Unknowns, points: Tensor, batch: Labelled
    ) -> Tensor:
        config, size = self.config, posterior.guess.centre.shape[1]
        with torch.no_grad():
            truth = self.points_m(batch.truth)
            in_view = relative(truth) @ posterior.frame.R_cam_view
            vector = posterior.frame.to_vector(batch.truth, posterior.guess.R_view_base)
        in_3d = _length((relative(points) - relative(truth)) / _DISTANCE_M).mean(1)
        of_tokens = _length((posterior.guess.points_m - in_view) / _DISTANCE_M).mean(1)
        turned = guess.R_cam_root.mT @ batch.truth.R_cam_root
        # 3 - trace is the squared chord, 4 sin² of half the angle
        rotation = (3 - turned.diagonal(dim1=-2, dim2=-1).sum(-1)).clamp_min(1e-6).sqrt()
        off = crop_points(points, batch.looks) - crop_points(truth, batch.looks)
        in_2d = _length(off / _DISTANCE_CROP).clamp_max(30).mean(1)
        # the density is about what the best guess leaves open and does not move it
        fixed = posterior.about(posterior.guess.centre.detach())
        density = -fixed.log_prob_of_vector(vector) / size
        gap = (vector - posterior.guess.centre)[:, ROTATION.stop :]
        errors = F.smooth_l1_loss(gap, torch.zeros_like(gap), reduction="none")
        rest, shape = errors.split(
            [gap.shape[1] - batch.truth.s.shape[1], batch.truth.s.shape[1]], 1
        )
        return (
            config.vector * rest.mean(1)
            + config.shape * shape.mean(1)
            + config.points_3d * in_3d
            + config.tokens_3d * of_tokens
            + config.rotation * rotation
            + config.points_2d * in_2d
            + config.density * density.clamp_max(20)
        )

    def _of_keypoints(self, guess: Unknowns, points: Tensor, batch: Labelled) -> Tensor:
        config = self.config
        in_2d = keypoint_distance(crop_points(points, batch.looks), batch.points)
        pose = 0.5 * (guess.z * guess.z).mean(1)
        shape = 0.5 * (guess.s * guess.s).mean(1)
        return config.points_2d * in_2d + config.pose_prior * pose + config.shape_prior * shape


def relative(points_m: Float[Tensor, "people 33 3"]) -> Float[Tensor, "people 33 3"]:
    """Points about the middle of the hips."""
    return points_m - points_m[:, HIPS].mean(1, keepdim=True)


def keypoint_distance(
    xy: Float[Tensor, "people 33 2"], points: Float[Tensor, "people 33 3"]
) -> Float[Tensor, " people"]:
    """Robust distance of predicted keypoints from known ones (x, y, weight), both in the crop."""
    squared = (xy - points[..., :2]).square().sum(-1)
    robust = (squared / (1 + squared / _CUTOFF_CROP**2)).clamp_min(1e-12).sqrt()
    weight = points[..., 2]
    return (weight * robust).sum(1) / weight.sum(1).clamp_min(1) / _DISTANCE_CROP


def _length(gap: Tensor) -> Tensor:
    return (gap * gap).sum(-1).clamp_min(1e-8).sqrt()
