"""What a predictor's beliefs cost, sample by sample, whatever labels there are.

Where the body is known: its negative log density, and distances of the best guess in 3D, in the
image and in orientation. Where it is not: distances of the best guess from whatever is labelled
(turns of joints and of the root, joints in space, keypoints and parts in the image), and what the
priors say of it (Zanfir et al. 2020, section 4; no adversary).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.checks import not_negative
from kinflow.datasets.look_labels import shows_parts
from kinflow.energy.keypoint_model import KeypointModel, KeypointState
from kinflow.energy.unknowns import Unknowns
from kinflow.geometry.pinhole import NEAR_M
from kinflow.predictors.coordinates import ROTATION
from kinflow.predictors.posterior import Posterior
from kinflow.priors.base import PosePrior
from kinflow.priors.shape import ShapePrior
from kinflow.training.predictors.batches import Labelled, crop_points
from kinflow.training.predictors.part_term import PartTerm

KEYPOINTS = tuple(range(33))
HIPS = [23, 24]
DISTANCE_M = 0.05
DISTANCE_CROP = 0.02
"""Distances of points in space, and of keypoints in sides of the crop, that cost 1."""
_CUTOFF_CROP = 0.15
_ALIGNED = 8
"""Samples of a batch whose parts are compared, which takes longer than all other terms."""


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
    parts: float = 0.25
    """Of the alignment of parts, where bodies are not known."""
    pose_prior: float = 0.02
    """Of the pose prior's energy of best guesses without known bodies, per coordinate."""
    shape_prior: float = 0.1

    def __post_init__(self) -> None:
        not_negative(self, *vars(self))


class PredictorLoss:
    """Losses of posteriors against labelled samples."""

    def __init__(self, prior: PosePrior, config: LossConfig) -> None:
        self.config = config
        body = BodyModel.load("joints", prior.one_of_its_numbers().device)
        self.model = KeypointModel(body, prior, ShapePrior(), KEYPOINTS)
        self._parts = PartTerm(prior.one_of_its_numbers().device)

    def points_m(self, unknowns: Unknowns) -> Float[Tensor, "people 33 3"]:
        """BlazePose's keypoints of bodies, in the camera's frame."""
        return self.model.evaluate(unknowns, with_jacobian=False).keypoints_cam_m

    def __call__(self, posterior: Posterior, batch: Labelled) -> Float[Tensor, " samples"]:
        """What each sample costs."""
        known, others = (rows.nonzero()[:, 0] for rows in (batch.has_body, ~batch.has_body))
        total = posterior.guess.centre.new_zeros(len(batch))
        if len(known):
            total = total.index_add(0, known, self._of_bodies(posterior[known], batch[known]))
        if len(others):
            total = total.index_add(0, others, self._of_labels(posterior[others], batch[others]))
        return total

    def _moved(self, guess: Unknowns) -> KeypointState:
        # sizes are learned from shapes: in points they would bend towards the likeliest size
        return self.model.evaluate(replace(guess, s=guess.s.detach()), with_jacobian=False)

    def _of_bodies(self, posterior: Posterior, batch: Labelled) -> Float[Tensor, " samples"]:
        config, size = self.config, posterior.guess.centre.shape[1]
        guess = posterior.point()
        points = self._moved(guess).keypoints_cam_m
        with torch.no_grad():
            truth = self.points_m(batch.truth)
            in_view = relative(truth) @ posterior.frame.R_cam_view
            vector = posterior.frame.to_vector(batch.truth, posterior.guess.R_view_base)
        in_3d = length((relative(points) - relative(truth)) / DISTANCE_M).mean(1)
        of_tokens = length((posterior.guess.points_m - in_view) / DISTANCE_M).mean(1)
        rotation = _chord(guess.R_cam_root, batch.truth.R_cam_root)
        off = crop_points(points, batch.looks) - crop_points(truth, batch.looks)
        in_2d = length(off / DISTANCE_CROP).clamp_max(30).mean(1)
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

    def _of_labels(self, posterior: Posterior, batch: Labelled) -> Float[Tensor, " samples"]:
        config = self.config
        guess = posterior.point()
        state = self._moved(guess)
        points = state.keypoints_cam_m
        in_2d = keypoint_distance(crop_points(points, batch.looks), batch.points)
        # a pose that is known needs no prior
        free = ~batch.has_pose
        pose = free * self.model.prior.energy(guess.z) / guess.z.shape[1]
        shape = 0.5 * (guess.s * guess.s).mean(1)
        total = config.points_2d * in_2d + config.pose_prior * pose + config.shape_prior * shape
        total = total + self._of_joints(points, posterior, batch)
        total = total + self._of_turns(posterior, batch)
        if config.parts == 0 or not bool((rows := shows_parts(batch.parts)).any()):
            return total
        everybody = rows.nonzero()[:, 0]
        some = everybody[torch.randperm(len(everybody))[:_ALIGNED].to(everybody.device)]
        motion = replace(
            state.motion, **{n: getattr(state.motion, n)[some] for n in ("G", "joints_m", "codes")}
        )
        apart = self._parts(motion, batch[some].looks, batch.parts[some])
        # those who are drawn stand for the others
        weight = config.parts * len(everybody) / len(some)
        return total.index_add(0, some, weight * apart)

    def _of_turns(self, posterior: Posterior, batch: Labelled) -> Float[Tensor, " samples"]:
        """Errors of the pose on a body of the guessed size, and of how the root is turned.

        Sizes and places of such labels are not known. Where the root's turn is not either, poses
        are compared as if the guess were right about it, which teaches nothing about it.
        """
        config, guess = self.config, posterior.point()
        if not bool((batch.has_pose | batch.has_root).any()):
            return guess.z.new_zeros(len(batch))
        root = batch.has_root[:, None, None]
        R = torch.where(root, batch.truth.R_cam_root, guess.R_cam_root.detach())
        learned = torch.where(root, guess.R_cam_root, guess.R_cam_root.detach())
        points = relative(self._moved(replace(guess, R_cam_root=learned)).keypoints_cam_m)
        with torch.no_grad():
            truth = relative(self.points_m(replace(guess, R_cam_root=R, z=batch.truth.z)))
            in_view = truth @ posterior.frame.R_cam_view
        in_3d = length((points - truth) / DISTANCE_M).mean(1)
        of_tokens = length((posterior.guess.points_m - in_view) / DISTANCE_M).mean(1)
        latent = F.smooth_l1_loss(guess.z, batch.truth.z, reduction="none").mean(1)
        rotation = _chord(guess.R_cam_root, R)
        return (
            batch.has_pose * (config.points_3d * in_3d + config.vector * latent)
            + batch.has_pose * batch.has_root * config.tokens_3d * of_tokens
            + batch.has_root * config.rotation * rotation
        )

    def _of_joints(
        self, points: Float[Tensor, "samples 33 3"], posterior: Posterior, batch: Labelled
    ) -> Float[Tensor, " samples"]:
        """Errors in space about the middle of the labelled joints, and of how far away that is."""
        config = self.config
        joints, weight = batch.joints_cam_m.split([3, 1], -1)
        known = (weight > 0).any(1)[:, 0].float()
        share = weight / weight.sum(1, keepdim=True).clamp_min(1e-6)

        def about_middle(values: Tensor) -> tuple[Tensor, Tensor]:
            middle = (share * values).sum(1, keepdim=True)
            return values - middle, middle[:, 0]

        at, middle = about_middle(points)
        truth, middle_of_truth = about_middle(joints)
        tokens, _ = about_middle(posterior.guess.points_m)
        in_view = truth @ posterior.frame.R_cam_view
        in_3d = (share[..., 0] * length((at - truth) / DISTANCE_M)).sum(1)
        of_tokens = (share[..., 0] * length((tokens - in_view) / DISTANCE_M)).sum(1)
        ratio = middle[:, 2].clamp_min(NEAR_M) / middle_of_truth[:, 2].clamp_min(NEAR_M)
        depth = F.smooth_l1_loss(ratio.log(), torch.zeros_like(ratio), reduction="none")
        terms = config.points_3d * in_3d + config.tokens_3d * of_tokens + config.vector * depth
        return known * terms


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
    return (weight * robust).sum(1) / weight.sum(1).clamp_min(1) / DISTANCE_CROP


def _chord(
    one: Float[Tensor, "people 3 3"], other: Float[Tensor, "people 3 3"]
) -> Float[Tensor, " people"]:
    """Of the turn between rotations: its square, 3 - trace, is 4 sin² of half the angle."""
    turned = one.mT @ other
    return (3 - turned.diagonal(dim1=-2, dim2=-1).sum(-1)).clamp_min(1e-6).sqrt()


def length(gap: Float[Tensor, "*n size"]) -> Float[Tensor, "*n"]:
    """Of vectors; its slope is finite everywhere."""
    return (gap * gap).sum(-1).clamp_min(1e-8).sqrt()
