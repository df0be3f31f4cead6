"""How good a predictor is on labelled samples: poses, orientations, sizes, and the truth's nats.

Where bodies are not known but joints in space are, errors are those of the joints that both have.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.body.keypoints import LIMB_KEYPOINTS
from kinflow.energy.unknowns import Unknowns
from kinflow.fitting.height import height_with_slope_m
from kinflow.metrics.pose import pa_mpjpe
from kinflow.predictors.predictor import Predictor
from kinflow.priors.shape import ShapePrior
from kinflow.training.predictors.batches import Labelled
from kinflow.training.predictors.losses import PredictorLoss, relative

_LIMBS = list(LIMB_KEYPOINTS)
_AGE = 1
_TEN_YEARS, _CHILD_BELOW = 0.4, 0.5
"""Phenotype `age` of a child of ten, and below which somebody counts as a child."""


@torch.no_grad()
def figures(network: Predictor, loss_of: PredictorLoss, samples: Labelled) -> dict[str, float]:
    """Mean errors of best guesses, and how likely the truth was, in nats.

    Heights are those of rest bodies; of children under ten the share is told that are guessed to be
    children, and of adults the share that are. What nobody is there for is left out.
    """
    found: dict[str, float] = {}
    if bool(samples.has_body.any()):
        means = _columns(_of_batch, network, loss_of, samples, samples.has_body)
        found = {n: float(values.mean()) for n, values in means.items() if n[0] != "_"}
        found |= _sizes(means["_guess"], means["_truth"])
    jointed = (samples.joints_cam_m[:, _LIMBS, 3] > 0).all(1)
    if bool(jointed.any()):
        means = _columns(_of_joints, network, loss_of, samples, jointed)
        found |= {name: float(values.mean()) for name, values in means.items()}
    return found


def _columns(
    of_batch: Callable[[Predictor, PredictorLoss, Labelled], dict[str, Tensor]],
    network: Predictor,
    loss_of: PredictorLoss,
    samples: Labelled,
    chosen: Bool[Tensor, " samples"],
) -> dict[str, Tensor]:
    columns: dict[str, list[Tensor]] = {}
    for some in chosen.nonzero()[:, 0].split(512):
        for name, values in of_batch(network, loss_of, samples[some]).items():
            columns.setdefault(name, []).append(values.cpu())
    return {name: torch.cat(values) for name, values in columns.items()}


def _of_joints(network: Predictor, loss_of: PredictorLoss, batch: Labelled) -> dict[str, Tensor]:
    """Of people whose limbs are all labelled, about the middle of the hips and after Procrustes."""
    points_m = loss_of.points_m(network(batch.looks).point())
    truth_m = batch.joints_cam_m[..., :3]
    limbs, truth = (x[:, _LIMBS].cpu() for x in (points_m, truth_m))
    return {
        "joints_pa_mpjpe_mm": 1000 * pa_mpjpe(limbs, truth),
        "joints_mpjpe_mm": 1000 * _gap_m(points_m, truth_m),
    }


def _of_batch(network: Predictor, loss_of: PredictorLoss, batch: Labelled) -> dict[str, Tensor]:
    posterior = network(batch.looks)
    guess = posterior.point()
    truth_m = loss_of.points_m(batch.truth)
    points_m = loss_of.points_m(guess)
    told_m = posterior.guess.points_m @ posterior.frame.R_cam_view.mT
    turned = guess.R_cam_root.mT @ batch.truth.R_cam_root
    cosine = (turned.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    # many small decompositions are slow on a GPU
    limbs, told, truth = (x[:, _LIMBS].cpu() for x in (points_m, told_m, truth_m))
    return {
        "nats": posterior.log_prob(batch.truth),
        "pa_mpjpe_mm": 1000 * pa_mpjpe(limbs, truth),
        "mpjpe_mm": 1000 * _gap_m(points_m, truth_m),
        "rotation_deg": cosine.clamp(-1, 1).acos().rad2deg(),
        "tokens_pa_mpjpe_mm": 1000 * pa_mpjpe(told, truth),
        "depth_percent": 100 * _relative_depth_error(guess, batch.truth),
        "_guess": guess.s,
        "_truth": batch.truth.s,
    }


def _sizes(guess: Float[Tensor, "people 6"], truth: Float[Tensor, "people 6"]) -> dict[str, float]:
    prior = ShapePrior()
    error_mm = 1000 * (height_with_slope_m(prior, guess)[0] - height_with_slope_m(prior, truth)[0])
    guessed, age = prior.decode(guess)[:, _AGE], prior.decode(truth)[:, _AGE]
    child, young = age < _CHILD_BELOW, age < _TEN_YEARS
    said = (guessed < _CHILD_BELOW).float()
    found = {
        "adults_height_mm": error_mm.abs()[~child],
        "children_height_mm": error_mm.abs()[child],
        "children_under_ten_known": said[young],
        "adults_called_children": said[~child],
    }
    return {name: float(values.mean()) for name, values in found.items() if len(values)}


def _gap_m(points_m: Tensor, truth_m: Tensor) -> Float[Tensor, " people"]:
    return (relative(points_m) - relative(truth_m))[:, _LIMBS].norm(dim=-1).mean(1)


def _relative_depth_error(guess: Unknowns, truth: Unknowns) -> Float[Tensor, " people"]:
    return (guess.t_cam_root_m[:, 2] / truth.t_cam_root_m[:, 2]).log().abs()
