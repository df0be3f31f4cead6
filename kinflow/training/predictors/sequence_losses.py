"""What best guesses over time cost: bodies frame by frame, and how they move."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.body.keypoints import LIMB_KEYPOINTS
from kinflow.checks import not_negative
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.unknowns import Unknowns
from kinflow.predictors.predictor import Predictor
from kinflow.predictors.sequence_predictor import refined
from kinflow.predictors.temporal import Motion
from kinflow.predictors.words import DIRECTION, DISTANCE, Words
from kinflow.priors.base import PosePrior
from kinflow.priors.shape import ShapePrior
from kinflow.training.predictors.losses import DISTANCE_M, KEYPOINTS, length, relative
from kinflow.training.predictors.sequences import WordClip

_DIRECTION = 0.02
"""Unit of errors of the way to the root."""
_SPEED_M_S = 0.4
_FARTHEST = 20.0
_NEAREST_M = 0.3
_LIMBS = list(LIMB_KEYPOINTS)
_STEEPEST_DENSITY = 20.0


@dataclass(frozen=True)
class SequenceLossConfig:
    """Weights of the terms."""

    density: float = 0.2
    """Of the negative log density of the flow about the best guess, per coordinate."""
    vector: float = 0.5
    """Of errors of the latent and of the log distance, per coordinate."""
    shape: float = 0.2
    points_3d: float = 1.0
    points_2d: float = 1.0
    """Of where limbs are seen, wherever the person is: what is laid on keypoints has to fit."""
    rotation: float = 2.0
    direction: float = 0.25
    speed: float = 0.3
    """Of velocities of points about the hips."""
    root_speed: float = 0.15

    def __post_init__(self) -> None:
        not_negative(self, *vars(self))


class SequenceLoss:
    """Losses of motions against clips with their truth.

    Args:
        predictor: the frame network whose flow tells densities.
        prior: of the poses.
        config: weights.
    """

    def __init__(self, predictor: Predictor, prior: PosePrior, config: SequenceLossConfig) -> None:
        self.config, self._predictor = config, predictor
        self.model = KeypointModel(BodyModel.load("joints"), prior, ShapePrior(), KEYPOINTS)

    def points_m(self, unknowns: Unknowns) -> Float[Tensor, "bodies 33 3"]:
        """BlazePose's keypoints of bodies, in the camera's frame."""
        return self.model.evaluate(unknowns, with_jacobian=False).keypoints_cam_m

    def __call__(
        self, motion: Motion, batch: WordClip, R_still_window: Float[Tensor, "windows 3 3"]
    ) -> Float[Tensor, ""]:
        """Mean over the frames of a batch of windows."""
        config, words = self.config, batch.words
        there = batch.there.flatten()
        guess = words.bodies(motion.vectors, R_still_window)
        truth = Unknowns(**{n: v.flatten(0, 1) for n, v in vars(batch.truth).items()})
        points = self.points_m(replace(guess, s=guess.s.detach()))
        with torch.no_grad():
            true_points = self.points_m(truth)
            true_words = replace(
                words, R_cam_root=batch.truth.R_cam_root, t_cam_root_m=batch.truth.t_cam_root_m
            )
            wanted = true_words.vectors(R_still_window)
        in_3d = length((relative(points) - relative(true_points)) / DISTANCE_M).mean(1)
        turned = guess.R_cam_root.mT @ truth.R_cam_root
        rotation = (3 - turned.diagonal(dim1=-2, dim2=-1).sum(-1)).clamp_min(1e-6).sqrt()
        way = F.normalize(motion.vectors[..., DIRECTION], dim=-1) - wanted[..., DIRECTION]
        apart = motion.vectors[..., DISTANCE] - wanted[..., DISTANCE]
        gap = torch.cat([guess.z - truth.z, apart.flatten(0, 1)], 1)
        each = (
            config.points_3d * in_3d
            + config.points_2d
            * (in_picture_m(points, true_points) / DISTANCE_M).clamp_max(_FARTHEST)
            + config.rotation * rotation
            + config.direction * length(way / _DIRECTION).flatten().clamp_max(30)
            + config.vector * _smooth_l1(gap)
            + config.shape * _smooth_l1(guess.s - truth.s)
        )
        total = (each * there).sum() / there.sum().clamp_min(1)
        if config.density:
            total = total + config.density * self._density(motion, words, guess, truth)
        shape = words.time_s.shape
        here, truth_m = (
            _in_still(p.unflatten(0, shape), words.R_still_cam) for p in (points, true_points)
        )
        return total + self._of_speed(here, truth_m, batch)

    def _density(self, motion: Motion, words: Words, guess: Unknowns, truth: Unknowns) -> Tensor:
        rows = words.seen.flatten().nonzero()[:, 0]
        flat = words.each(lambda v: v.flatten(0, 1)[rows])
        fixed = Unknowns(**{n: v.detach()[rows] for n, v in vars(guess).items()})
        log_std = motion.log_std.flatten(0, 1)[rows]
        posterior = refined(self._predictor, flat, fixed, log_std)
        nats = posterior.log_prob(Unknowns(**{n: v[rows] for n, v in vars(truth).items()}))
        return (-nats / log_std.shape[1]).clamp_max(_STEEPEST_DENSITY).mean()

    def _of_speed(self, points: Tensor, truth: Tensor, batch: WordClip) -> Tensor:
        """Of velocities from each frame to the next, in the axes of a camera that stands still."""
        config, time_s = self.config, batch.words.time_s
        both = batch.there[:, 1:] & batch.there[:, :-1]
        step_s = (time_s[:, 1:] - time_s[:, :-1]).clamp_min(1e-3)[..., None, None]

        def cost(a: Tensor, b: Tensor) -> Tensor:
            gap = (a[:, 1:] - a[:, :-1] - b[:, 1:] + b[:, :-1]) / step_s
            each = length(gap / _SPEED_M_S).mean(-1)
            return (each * both).sum() / both.sum().clamp_min(1)

        hips, true_hips = (p[..., 23:25, :].mean(-2, keepdim=True) for p in (points, truth))
        about = cost(points - hips, truth - true_hips)
        return config.speed * about + config.root_speed * cost(hips, true_hips)


def in_picture_m(
    points_m: Float[Tensor, "bodies 33 3"], true_m: Float[Tensor, "bodies 33 3"]
) -> Float[Tensor, " bodies"]:
    """How far limbs are seen from where they should be, the middle of all left out: keypoints tell
    where somebody is. In metres at the true depth."""
    seen, wanted = (_about_middle(p[:, _LIMBS]) for p in (points_m, true_m))
    depth = true_m[..., 2].mean(1).clamp_min(_NEAREST_M)
    return length((seen - wanted) * depth[:, None, None]).mean(1)


def _about_middle(points_m: Tensor) -> Tensor:
    slope = points_m[..., :2] / points_m[..., 2:].clamp_min(_NEAREST_M)
    return slope - slope.mean(1, keepdim=True)


def _in_still(points_m: Tensor, R_still_cam: Tensor) -> Tensor:
    return points_m @ R_still_cam.mT


def _smooth_l1(gap: Tensor) -> Tensor:
    return F.smooth_l1_loss(gap, torch.zeros_like(gap), reduction="none").mean(-1)
