"""`kinflow train predictor`: learn a density over bodies from what the detector sees of people.

Regimes after Zanfir et al. 2020, section 4: `fs` learns from the share `labels` of bodies in 3D
and leaves the other samples out, `ws` learns from the keypoints of these as well, `ss` from nothing
but what the detector itself saw of pictures without labels, and `mix` from all of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

import kinflow.priors
from kinflow.body.keypoints import LIMB_KEYPOINTS
from kinflow.checks import nested, not_negative, one_of, path, positive, share, whole
from kinflow.datasets.samples import Samples
from kinflow.errors import InputError
from kinflow.files.destinations import check_file_destination
from kinflow.metrics.pose import pa_mpjpe
from kinflow.predictors.network import NetworkConfig
from kinflow.predictors.predictor import Predictor, PredictorInfo, weights_sha256
from kinflow.priors.shape import ShapePrior
from kinflow.training.averaging import fast_at_first, weight_average
from kinflow.training.checkpoint import Part
from kinflow.training.loop import Loop, LoopConfig, Recipe
from kinflow.training.predictors.batches import Labelled, crop_points, labelled
from kinflow.training.predictors.losses import LossConfig, PredictorLoss, relative
from kinflow.training.schedules import warm_up_and_cosine
from kinflow.training.seeds import seed_everything

WEIGHTS_NAME = "predictor.safetensors"
Regime = Literal["fs", "ws", "ss", "mix"]
_LIMBS = list(LIMB_KEYPOINTS)


@dataclass(frozen=True)
class TrainPredictorConfig:
    """Train a predictor on folders of samples; started again, it goes on where it was.

    Attributes:
        samples: folders of rendered samples written by `kinflow data looks`.
        out: folder of the run.
        validation: folders of samples of other people, which choose the weights.
        unlabelled: folders of samples of photographs, for the regimes `ss` and `mix`.
        recipe: which labels are used.
        labels: share of the rendered samples whose bodies are known.
        unlabelled_share: share of each batch that comes from photographs.
        network: its shape.
        loss: weights of the terms.
        batch_size: samples per step.
        steps: optimiser steps altogether.
        learning_rate: peak learning rate; cosine decay to zero.
        weight_decay: of AdamW.
        eval_every: steps between evaluations, and checkpoints.
        seed: seeds everything.
    """

    samples: tuple[Path, ...]
    out: Path
    validation: tuple[Path, ...]
    unlabelled: tuple[Path, ...] = ()
    recipe: Regime = "fs"
    labels: float = 1.0
    unlabelled_share: float = 0.25
    network: NetworkConfig = NetworkConfig()
    loss: LossConfig = LossConfig()
    batch_size: int = 256
    steps: int = 6000
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    eval_every: int = 250
    seed: int = 0

    def __post_init__(self) -> None:
        path(self, "out")
        one_of(self, "recipe", get_args(Regime))
        share(self, "labels", "unlabelled_share")
        nested(self, network=NetworkConfig, loss=LossConfig)
        whole(self, "batch_size", "steps", "eval_every", at_least=1)
        whole(self, "seed")
        positive(self, "learning_rate")
        not_negative(self, "weight_decay")


class PredictorRecipe(Recipe):
    """A predictor that learns from samples."""

    network: Predictor
    average: AveragedModel
    weights_name = WEIGHTS_NAME
    score_name = "nats"

    def __init__(self, config: TrainPredictorConfig, command: str = "") -> None:
        self.config = config
        prior, shape_prior = kinflow.priors.load(), ShapePrior()
        seed_everything(config.seed)
        self.loss_of = PredictorLoss(prior, config.loss)
        rendered = Samples.load_all(config.samples)
        self.training = self._as_known(labelled(rendered, prior, shape_prior), rendered)
        self.validation = labelled(Samples.load_all(config.validation), prior, shape_prior)
        self.photos = None
        if config.unlabelled:
            self.photos = labelled(Samples.load_all(config.unlabelled), prior, shape_prior)
        if config.recipe == "ss" and self.photos is None:
            raise InputError(
                "The regime 'ss' learns from photographs only; name a folder of them.",
                {"name a folder of them": "unlabelled"},
            )
        self.info = PredictorInfo(
            command, config.seed, weights_sha256(prior), len(self.training), {}
        )
        shape = replace(config.network, latent_size=prior.latent_dim, shape_size=shape_prior.size)
        self.network = Predictor(shape, self.info)
        self._standardise()
        self.average = weight_average(self.network, fast_at_first(0.995))
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        settings = {k: v for k, v in asdict(config).items() if k != "out"}
        self.run_key = json.dumps([settings, len(self.training)], default=str)
        self._figures: dict[str, float] = {}

    @property
    def loop_config(self) -> LoopConfig:
        """How this recipe is trained."""
        config = self.config
        return LoopConfig(
            steps=config.steps,
            eval_every=config.eval_every,
            learning_rate=warm_up_and_cosine(config.learning_rate, config.steps),
            max_gradient_norm=5.0,
            seed=config.seed,
        )

    @torch.no_grad()
    def _as_known(self, everything: Labelled, rendered: Samples) -> Labelled:
        """Rendered samples of which so much is known as the regime and `labels` have it."""
        config = self.config
        if config.recipe == "ss":
            return replace(everything, has_body=torch.zeros_like(everything.has_body))
        kept = torch.rand(len(everything), generator=torch.Generator().manual_seed(config.seed))
        known = everything.has_body & (kept < config.labels)
        if config.recipe == "fs":
            return everything[known]
        # the others' keypoints are annotated in the image
        xy = torch.cat(
            [
                crop_points(self.loss_of.points_m(part.truth), part.looks)
                for part in (everything[rows] for rows in torch.arange(len(kept)).split(1024))
            ]
        )
        annotated = torch.cat([xy, rendered.keypoint_shows[..., None].float()], -1)
        points = torch.where(everything.has_body[:, None, None], annotated, everything.points)
        return replace(everything, has_body=known, points=points)

    @torch.no_grad()
    def _standardise(self) -> None:
        """Inputs and targets of about unit size."""
        network = self.network.network
        inputs = self.training.looks.inputs()
        network.input_mean.copy_(inputs.mean(0))
        network.input_std.copy_(inputs.std(0) + 0.05)
        posterior = self.network(self.training.looks)
        vectors = posterior.frame.to_vector(self.training.truth, posterior.guess.R_view_base)
        known = vectors[self.training.has_body, 3:]
        if len(known):
            network.target_mean.copy_(known.mean(0))
            network.target_std.copy_(known.std(0).clamp(0.1, 3.0))

    def loss(self, step: int) -> Tensor:
        config = self.config
        rendered = config.batch_size
        parts = []
        if self.photos is not None and config.recipe in ("ss", "mix"):
            count = round(config.batch_size * config.unlabelled_share)
            count = config.batch_size if config.recipe == "ss" else count
            parts.append(self.photos[torch.randint(len(self.photos), (count,))])
            rendered -= count
        if rendered:
            parts.append(self.training[torch.randint(len(self.training), (rendered,))])
        losses = [self.loss_of(self.network(part.looks), part) for part in parts]
        return torch.cat(losses).mean()

    @torch.no_grad()
    def evaluate(self) -> float:
        network = self.average.module
        assert isinstance(network, Predictor)
        network.eval()
        self._figures = figures(network, self.loss_of, self.validation)
        return self._figures["nats"]

    def figures(self, loss: float, score: float, steps_per_second: float) -> Mapping[str, float]:
        return {"loss": loss, **self._figures, "steps_per_second": steps_per_second}

    def keep(self, path: Path, step: int, score: float) -> None:
        network = self.average.module
        assert isinstance(network, Predictor)
        metrics = {"step": float(step), **self._figures}
        network.info = replace(self.info, metrics=metrics)
        network.save(path)

    def parts(self) -> dict[str, Part]:
        return {"network": self.network, "average": self.average, "optimizer": self.optimizer}


@torch.no_grad()
def figures(network: Predictor, loss_of: PredictorLoss, samples: Labelled) -> dict[str, float]:
    """Errors of best guesses on labelled samples, and how likely the truth was, in nats."""
    sums: dict[str, float] = {}
    for rows in torch.arange(len(samples)).split(512):
        batch = samples[rows]
        posterior = network(batch.looks)
        truth = loss_of.points_m(batch.truth)
        points = loss_of.points_m(posterior.point())
        turned = posterior.point().R_cam_root.mT @ batch.truth.R_cam_root
        cosine = (turned.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
        gap_m = (relative(points) - relative(truth))[:, _LIMBS].norm(dim=-1).mean(1)
        found = {
            "pa_mpjpe_mm": 1000 * pa_mpjpe(points[:, _LIMBS], truth[:, _LIMBS]),
            "mpjpe_mm": 1000 * gap_m,
            "rotation_deg": cosine.clamp(-1, 1).acos().rad2deg(),
            "nats": posterior.log_prob(batch.truth),
        }
        for name, values in found.items():
            sums[name] = sums.get(name, 0.0) + float(values.sum())
    return {name: value / len(samples) for name, value in sums.items()}


def train(config: TrainPredictorConfig, command: str = "") -> Path:
    """Train, and return the file of the best weights."""
    check_file_destination(config.out / WEIGHTS_NAME)
    recipe = PredictorRecipe(config, command)
    return Loop(recipe, recipe.loop_config, config.out).run()
