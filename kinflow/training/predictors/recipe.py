"""`kinflow train predictor`: learn a density over bodies from what the detector sees of people.

Samples come from a mixture of sources (`mixture.py`): datasets that the detector looks at once,
folders of looks, and a studio that shows people while the network learns (`live.py`), which takes a
GPU. What is learned from which labels is the regime's (`regimes.py`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import torch
from rich.progress import Progress
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

import kinflow.priors
from kinflow.datasets.look_stream import shard_files
from kinflow.datasets.samples import Samples
from kinflow.errors import InputError
from kinflow.files.destinations import check_file_destination
from kinflow.predictors.network import EvidenceNetwork
from kinflow.predictors.predictor import Predictor, PredictorInfo, weights_sha256
from kinflow.priors.shape import ShapePrior
from kinflow.synth.studio import StudioConfig
from kinflow.tensors import check_device
from kinflow.training.averaging import fast_at_first, weight_average
from kinflow.training.checkpoint import Part
from kinflow.training.loop import Loop, LoopConfig, Recipe
from kinflow.training.predictors.batches import Labelled, labelled
from kinflow.training.predictors.config import TrainPredictorConfig
from kinflow.training.predictors.figures import figures
from kinflow.training.predictors.live import LivePool, LiveSource, studio_source
from kinflow.training.predictors.losses import PredictorLoss
from kinflow.training.predictors.mixture import (
    Knowledge,
    Mixture,
    looks_of_source,
    opened,
)
from kinflow.training.predictors.pool import draw
from kinflow.training.predictors.regimes import as_known, is_used
from kinflow.training.predictors.run_options import WEIGHTS_NAME
from kinflow.training.predictors.runs import (
    STANDARDISED_BY,
    VALIDATION_SEED,
    loop_config,
    optimizer,
    run_key,
    standardise_targets,
)
from kinflow.training.processes import Processes
from kinflow.training.seeds import seed_everything

_FREE = ("out", "looks", "minutes", "eval_seconds", "device")
"""What may change when a run goes on."""


class PredictorRecipe(Recipe):
    """A predictor that learns from samples.

    Args:
        config: what it learns, and from what.
        command: that was given, to be kept with the weights.
        sources: makes the samples of a studio by its settings; the real one if left out.
    """

    network: Predictor
    average: AveragedModel
    weights_name = WEIGHTS_NAME

    def __init__(
        self,
        config: TrainPredictorConfig,
        command: str = "",
        sources: Callable[[StudioConfig, int], LiveSource] | None = None,
    ) -> None:
        self.config = config
        check_device(config.device)
        self.device = torch.device(config.device)
        self._prior = kinflow.priors.load(config.prior).to(self.device)
        self._shape_prior = ShapePrior()
        self._sources = sources or self._source
        seed_everything(config.seed)
        self.loss_of = PredictorLoss(self._prior, config.loss)
        self.live = self._live()
        known = Knowledge(config.recipe, config.labels, config.seed)
        # the little first: if weights cannot be chosen by it, nothing else is looked at
        self.validation = self._validation()
        streams = opened(config.sources, known, self._labelled, config.pool, config.kept)
        self.mixture = Mixture(streams, self.live, config.live.weight)
        learns_density = self.live is not None or any(s.bodies for s in self.mixture.streams)
        told = bool(self.validation.has_body.any())
        # without bodies the density learns nothing
        self.score_name = "nats" if learns_density and told else "minus_mpjpe_mm"
        sha256 = weights_sha256(self._prior)
        self.info = PredictorInfo(command, config.seed, sha256, len(self.mixture), {})
        sizes = {"latent_size": self._prior.latent_dim, "shape_size": self._shape_prior.size}
        self.network = Predictor(replace(config.network, **sizes), self.info).to(self.device)
        if config.start is not None:
            self._begin_with(Predictor.load(config.start), config.start)
        self.average = weight_average(self.network, fast_at_first(config.ema_decay))
        # each process would see people of its own
        self.is_shared = self.live is None
        if config.mixed_precision and self.device.type == "cuda":  # what is kept runs without
            self.network.network.trunk_dtype = torch.bfloat16
        if self.live is None and config.start is None:
            self._standardise()
        self.optimizer = optimizer(self.network, config)
        self.run_key = self._key(sha256)
        self._figures: dict[str, float] = {}

    def _begin_with(self, start: Predictor, name: str) -> None:
        if not start.is_of(self._prior):
            raise InputError(
                f"'{name}' was trained with another pose prior than '{self.config.prior}'; "
                "name that one.",
                {"name that one": "prior"},
            )
        if start.config != self.network.config:
            raise InputError(
                f"The network of '{name}' has another shape; give the same options of the network."
            )
        self.network.load_state_dict(start.state_dict())

    def _key(self, prior_sha256: str) -> str:
        """What must be the same when a run goes on, by the words of a refusal."""
        settings = {k: v for k, v in asdict(self.config).items() if k not in _FREE}
        data = [stream.fingerprint for stream in self.mixture.streams]
        return run_key(settings, data, self.loss_of.model.body, prior_sha256)

    @property
    def loop_config(self) -> LoopConfig:
        """How this recipe is trained."""
        return loop_config(self.config, self.config.device)

    def prepare(self, bar: Progress, step: int) -> None:
        """Fill the pool, and say how fast everything is before the time begins to count."""
        if self.live is None:
            return
        self.live.source.begin(step)
        self.live.fill()
        if step == 0 and self.config.start is None:
            self._standardise()
        _say({"first samples": float(len(self.live)), **self._live_figures()})
        _say({"training_steps_per_s": self._speed()})

    def loss(self, step: int) -> Tensor:
        if self.live is not None:
            self.live.keep_up()
        return self._loss(self.mixture.draw(self.config.batch_size))

    def _loss(self, batch: Labelled) -> Tensor:
        batch = self.processes.own_part(batch)
        return self.loss_of(self.network(batch.looks), batch).mean()

    @torch.no_grad()
    def evaluate(self) -> float:
        if self.live is not None:
            self.live.pause()
        self._figures = figures(self._averaged.eval(), self.loss_of, self.validation)
        if self.score_name == "nats":
            return self._figures["nats"]
        of_joints = self._figures.get("joints_mpjpe_mm", math.inf)
        return -self._figures.get("mpjpe_mm", of_joints)

    def figures(self, loss: float, score: float, steps_per_second: float) -> Mapping[str, float]:
        speed = {"steps_per_second": steps_per_second}
        return {"loss": loss, **self._figures, **speed, **self._live_figures()}

    def keep(self, path: Path, step: int, score: float) -> None:
        metrics = {"step": float(step), **self._figures}
        seen = sum(map(len, self.mixture.streams)) + (self.live.total if self.live else 0)
        self._averaged.info = replace(self.info, samples=seen, metrics=metrics)
        self._averaged.save(path)

    def parts(self) -> dict[str, Part]:
        parts: dict[str, Part] = {
            "network": self.network,
            "average": self.average,
            "optimizer": self.optimizer,
            "streams": self.mixture,
        }
        return parts if self.live is None else parts | {"pool": self.live}

    @property
    def _averaged(self) -> Predictor:
        assert isinstance(self.average.module, Predictor)
        return self.average.module

    def _labelled(self, samples: Samples) -> Labelled:
        return labelled(samples, self._prior, self._shape_prior)

    def _live(self) -> LivePool | None:
        config = self.config
        if config.studio is None:
            return None

        def known(new: Labelled) -> Labelled:
            may = (torch.rand(len(new)) < config.labels).to(new.device)
            batch = as_known(new, config.recipe, may)
            return batch[is_used(batch, config.recipe)]

        return LivePool(self._sources(config.studio, config.seed), config.live, known)

    def _validation(self) -> Labelled:
        config = self.config
        if config.validation:
            folders = [looks_of_source(source, config.kept) for source in config.validation]
            shards = [Samples.load(path) for folder in folders for path in shard_files(folder)]
            everybody = self._labelled(Samples.concatenate(shards))
            everybody = everybody[everybody.has_body | everybody.has_joints]
            if not len(everybody):
                raise InputError(
                    "Nobody in the sources of validation has a body or joints in space, by which "
                    "weights could be chosen; name other ones.",
                    {"sources of validation": "validation"},
                )
            return everybody
        assert config.studio is not None
        others = replace(config.studio, split="validation")
        return self._sources(others, VALIDATION_SEED).several(config.live.validation)

    def _source(self, studio: StudioConfig, seed: int) -> LiveSource:
        return studio_source(
            studio, self._prior, self._shape_prior, self.config.live.pictures, seed
        )

    @torch.no_grad()
    def _standardise(self) -> None:
        """Inputs and targets of about unit size, in the network and its average."""
        batch = self.mixture.first(STANDARDISED_BY)
        inputs = batch.looks.inputs()
        for predictor in (self.network, self._averaged):
            network = predictor.network
            assert isinstance(network, EvidenceNetwork)
            network.input_mean.copy_(inputs.mean(0))
            network.input_std.copy_(inputs.std(0) + 0.05)
            standardise_targets(predictor, batch, self._prior.latent_dim)

    def _speed(self, steps: int = 4) -> float:
        """Steps a second, without new samples; nothing is learned from them."""
        begin = 0.0
        self.network.train()
        for step in range(steps + 2):
            if step == 2:  # the first ones are slower
                begin = time.perf_counter()
            assert self.live is not None
            loss = self._loss(draw(self.live, self.config.batch_size))
            loss.backward()
            if not math.isfinite(loss.item()):
                raise InputError(f"The first loss is {loss.item()}; look at the samples.")
        self.optimizer.zero_grad()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return steps / (time.perf_counter() - begin)

    def _live_figures(self) -> dict[str, float]:
        if self.live is None:
            return {}
        return {"samples": float(self.live.total), **self.live.source.throughput.figures()}


def _say(what: Mapping[str, float]) -> None:
    print(", ".join(f"{name} {value:.3f}" for name, value in what.items()), flush=True)


def train(config: TrainPredictorConfig, command: str = "") -> Path:
    """Train, and return the file of the best weights."""
    check_file_destination(config.out / WEIGHTS_NAME)
    processes = Processes.started(config.device)
    if processes.is_main:  # one looks at datasets, the others find it done
        for source in (*config.sources, *config.validation):
            looks_of_source(source, config.kept)
    processes.wait()
    recipe = PredictorRecipe(config, command)
    weights = Loop(recipe, recipe.loop_config, config.out, processes).run()
    info = Predictor.load(weights).info
    _say({"samples": float(info.samples), **info.metrics})
    return weights
