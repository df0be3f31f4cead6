"""`kinflow train dynamics`: learn how people move from recordings.

The linear-Gaussian part is fitted by least squares before the first step; the rest learns by the
likelihood of steps at 30, 15 and 10 frames a second and of their mirror images, and by how far
forecasts and bridges are from what was recorded. Steps are jittered (recordings are smoother than a
density can use), subjects count by the root of their frames, and the subjects of validation choose
the weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

import kinflow.priors
from kinflow.checks import nested, not_negative, path, positive, share, whole, words
from kinflow.datasets.mocap_splits import CMU_SPLITS, MocapSplits
from kinflow.datasets.motion_sets import MotionSet, read_motion_set
from kinflow.errors import InputError
from kinflow.files.destinations import check_file_destination
from kinflow.priors.base import PosePrior
from kinflow.priors.dynamics.network import (
    ORDER,
    StepDensity,
    linear_features,
    log_time,
    powers,
)
from kinflow.priors.dynamics.state import ROOT_DIM
from kinflow.priors.dynamics.weights import DynamicsConfig, DynamicsInfo, DynamicsNetwork
from kinflow.training.averaging import fast_at_first, weight_average
from kinflow.training.checkpoint import Part
from kinflow.training.loop import Loop, LoopConfig, Recipe
from kinflow.training.priors.course_loss import Courses
from kinflow.training.priors.dynamics_data import STRIDES, Recorded, Steps
from kinflow.training.processes import Processes
from kinflow.training.schedules import warm_up_and_cosine
from kinflow.training.seeds import seed_everything

WEIGHTS_NAME = "dynamics.safetensors"
LATENT_NOISE, TURN_NOISE_RAD, PLACE_NOISE_M = 0.03, 0.002, 0.001
"""Standard deviations of what is added to a step: to the latent, the root's turn and its way."""
_SHARES = (0.5, 0.25, 0.25)
_EVALUATED_ROWS, _EVALUATED_WINDOWS = 3000, 200
_RIDGE = 1e-4


@dataclass(frozen=True)
class TrainDynamicsConfig:
    """Train the dynamics of motion on recordings; started again, it goes on where it was.

    Attributes:
        motions: folders of motion files; the folder that holds a file names its subject.
        out: folder of the run.
        hidden: width of the network of the context.
        couplings: number of coupling layers.
        dropout: while training.
        context_noise: noise on what the network sees of the context, in standard deviations.
        batch_size: steps of motion per step of training.
        steps: optimiser steps altogether.
        learning_rate: peak learning rate; cosine decay to zero.
        weight_decay: of AdamW.
        eval_every: steps between evaluations on the validation subjects, and checkpoints.
        seed: seeds everything.
        splits: whom to hold out.
    """

    motions: tuple[Path, ...]
    out: Path
    hidden: int = 192
    couplings: int = 4
    dropout: float = 0.15
    context_noise: float = 0.05
    batch_size: int = 512
    steps: int = 6000
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    eval_every: int = 250
    seed: int = 0
    splits: MocapSplits = CMU_SPLITS

    def __post_init__(self) -> None:
        words(self, "motions", "a tuple of one or more folders")
        path(self, "out")
        nested(self, splits=MocapSplits)
        whole(self, "hidden", "couplings", "steps", "eval_every", at_least=1)
        whole(self, "batch_size", at_least=4)
        whole(self, "seed")
        positive(self, "learning_rate")
        share(self, "dropout")
        not_negative(self, "weight_decay", "context_noise")


class DynamicsRecipe(Recipe):
    """The density of steps, which learns from recordings."""

    network: DynamicsNetwork
    average: AveragedModel
    weights_name = WEIGHTS_NAME
    score_name = "validation_score"

    def __init__(
        self, config: TrainDynamicsConfig, data: MotionSet, prior: PosePrior, command: str = ""
    ) -> None:
        self.config = config
        training = data.split("train", config.splits)
        validation = data.split("validation", config.splits)
        if not len(training) or not len(validation):
            raise InputError("the recordings are of no training or no validation subjects")
        self.training = [Recorded.of(part, prior) for part in (training, training.mirrored())]
        self.validation = Recorded.of(validation, prior)
        for recorded in (*self.training, self.validation):
            if not all(len(rows) for rows in recorded.last.values()):
                raise InputError("the recordings are too short to learn from")
        self.courses = Courses(prior)
        seed_everything(config.seed)
        shape = DynamicsConfig(
            prior.latent_dim, config.hidden, couplings=config.couplings, dropout=config.dropout
        )
        self.network = DynamicsNetwork(shape)
        fit_linear(self.network.density, self.training)
        self.average = weight_average(self.network, fast_at_first(0.998))
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        self.info = DynamicsInfo(command, config.seed, data.sha256, prior.info.data_sha256)
        settings = {k: v for k, v in asdict(config).items() if k not in ("motions", "out")}
        self.run_key = json.dumps([settings, data.sha256, prior.info.data_sha256])
        self._evaluated = _evaluation_steps(self.validation)
        self._nats = self._course_error = math.nan

    @property
    def loop_config(self) -> LoopConfig:
        """How this recipe is trained."""
        config = self.config
        return LoopConfig(
            steps=config.steps,
            eval_every=config.eval_every,
            learning_rate=warm_up_and_cosine(config.learning_rate, config.steps),
            max_gradient_norm=20.0,
            seed=config.seed,
        )

    def parts(self) -> dict[str, Part]:
        return {"network": self.network, "average": self._averaged, "optimizer": self.optimizer}

    @property
    def _averaged(self) -> DynamicsNetwork:
        return cast(DynamicsNetwork, self.average.module)

    def loss(self, step: int) -> Tensor:
        """Mean negative log density of steps, and errors of forecasts and bridges."""
        config, recorded = self.config, self.training[step % 2]
        counts = [max(1, round(config.batch_size * part)) for part in _SHARES]
        drawn = joined(
            [recorded.drawn(n, stride) for n, stride in zip(counts, STRIDES, strict=True)]
        )
        drawn = jittered(drawn, None)
        nats = self.network.density.log_prob(
            drawn.x, drawn.context, drawn.dt_s, config.context_noise
        ).mean()
        return self.courses.loss(self.network, recorded, config.batch_size // 4) - nats

    @torch.no_grad()
    def evaluate(self) -> float:
        """Of the validation subjects: mean log density over the rates, less errors of courses."""
        network = self._averaged
        nats = [
            network.density.log_prob(part.x, part.context, part.dt_s).mean()
            for part in self._evaluated
        ]
        self._nats = float(torch.stack(nats).mean())
        with torch.random.fork_rng(devices=[]):  # always the same windows
            torch.manual_seed(0)
            errors = [
                self.courses.loss(network, self.validation, _EVALUATED_WINDOWS) for _ in range(4)
            ]
        self._course_error = float(torch.stack(errors).mean())
        return self._nats - self._course_error

    def figures(self, loss: float, score: float, steps_per_second: float) -> Mapping[str, float]:
        return {"loss": loss, **self._metrics}

    @property
    def _metrics(self) -> dict[str, float]:
        return {"validation_nats": self._nats, "validation_course_error": self._course_error}

    def keep(self, path: Path, step: int, score: float) -> None:
        metrics = {**self._metrics, "steps": float(step)}
        self._averaged.save(replace(self.info, metrics=metrics), path)


def train(config: TrainDynamicsConfig, command: str = "") -> Path:
    """Train to the end in `config.out`, continuing what is there; returns the best weights.

    Raises:
        InputError: the recordings are unusable, or the weights cannot be written there.
    """
    check_file_destination(config.out / WEIGHTS_NAME)
    data = read_motion_set(config.motions)
    recipe = DynamicsRecipe(config, data, kinflow.priors.load(), command)
    return Loop(recipe, recipe.loop_config, config.out, Processes.started()).run()


def joined(parts: list[Steps]) -> Steps:
    """Steps of several kinds together."""
    return Steps(
        torch.cat([part.x for part in parts]),
        torch.cat([part.context for part in parts]),
        torch.cat([part.dt_s for part in parts]),
    )


def jittered(steps: Steps, generator: torch.Generator | None) -> Steps:
    """Steps that end a little beside where they ended."""
    noise = torch.randn(steps.x.shape, generator=generator) * noise_std(steps)
    return replace(steps, x=steps.x + noise)


def noise_std(steps: Steps) -> Tensor:
    """Standard deviations of `jittered`, by the units of x."""
    x = steps.x
    latent = torch.full_like(x[:, :-ROOT_DIM], LATENT_NOISE)
    turn = (TURN_NOISE_RAD / steps.dt_s).expand(-1, 3)
    return torch.cat([latent, turn, (PLACE_NOISE_M / steps.dt_s).expand(-1, 3)], -1)


def _evaluation_steps(validation: Recorded) -> list[Steps]:
    generator = torch.Generator().manual_seed(0)
    parts = []
    for stride, rows in validation.last.items():
        chosen = torch.randperm(len(rows), generator=generator)[:_EVALUATED_ROWS]
        parts.append(jittered(validation.steps(rows[chosen], stride), generator))
    return parts


@torch.no_grad()
def fit_linear(network: StepDensity, recorded: list[Recorded]) -> None:
    """Least squares of every rate; the polynomials of the log of time go through them."""
    by_stride = [
        joined([part.steps(part.last[stride], stride) for part in recorded]) for stride in STRIDES
    ]
    contexts = torch.cat([steps.context for steps in by_stride])
    network.context_mean.copy_(contexts.mean(0))
    network.context_std.copy_(contexts.std(0).clamp_min(1e-3))
    fits, spreads, correlations = [], [], []
    for steps in by_stride:
        q = network.normal_context(steps.context)
        features = torch.cat([q, torch.ones_like(q[:, :1])], -1).double()
        gram = features.mT @ features / len(q)
        gram += _RIDGE * torch.eye(len(gram), dtype=torch.float64)
        fit = torch.linalg.solve(gram, features.mT @ steps.x.double() / len(q))
        rest = steps.x.double() - features @ fit
        covariance = rest.mT @ rest / len(rest) + torch.diag(noise_std(steps)[0].double().square())
        spread = covariance.diagonal().sqrt()
        fits.append(fit)
        spreads.append(spread.log())
        correlations.append(covariance / (spread[:, None] * spread))
    taus = torch.stack([log_time(steps.dt_s[0].double()) for steps in by_stride])
    across = torch.linalg.inv(powers(taus))
    network.linear.copy_(torch.einsum("pr,rqx->pqx", across, torch.stack(fits)).flatten(0, 1))
    network.log_std.copy_(across @ torch.stack(spreads))
    network.cholesky.copy_(torch.linalg.cholesky(torch.stack(correlations).mean(0)))
    assert linear_features(q[:1], taus[:1].float()).shape[-1] == ORDER * features.shape[-1]
