"""`kinflow train predictor`: learn a density over bodies from what the detector sees of people.

Samples come from folders (`kinflow data looks`), or from a studio that shows people while the
network learns (`live.py`), which takes a GPU. Regimes after Zanfir et al. 2020, section 4: `fs`
learns from the share `labels` of bodies in 3D and leaves the other samples out, `ws` learns from
the keypoints of these as well, `ss` from nothing but what the detector itself saw of pictures
without labels, and `mix` from all of it.
"""

from __future__ import annotations

import json
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
from kinflow.datasets.samples import Samples
from kinflow.errors import InputError
from kinflow.files.destinations import check_file_destination
from kinflow.predictors.coordinates import ROTATION, ViewFrame
from kinflow.predictors.predictor import Predictor, PredictorInfo, weights_sha256
from kinflow.priors.shape import ShapePrior
from kinflow.synth.studio import StudioConfig
from kinflow.tensors import check_device
from kinflow.training.averaging import fast_at_first, weight_average
from kinflow.training.checkpoint import Part
from kinflow.training.loop import Loop, LoopConfig, Recipe
from kinflow.training.predictors.batches import Labelled, labelled
from kinflow.training.predictors.config import WEIGHTS_NAME, TrainPredictorConfig
from kinflow.training.predictors.figures import figures
from kinflow.training.predictors.live import LivePool, LiveSource, studio_source
from kinflow.training.predictors.losses import PredictorLoss
from kinflow.training.predictors.pool import draw
from kinflow.training.predictors.regimes import annotated, as_known
from kinflow.training.processes import Processes
from kinflow.training.schedules import warm_up_and_cosine
from kinflow.training.seeds import seed_everything

_STANDARDISED_BY = 4096
"""Samples that tell how large inputs and targets are."""
_FREE = ("out", "minutes", "eval_seconds", "device")
"""What may change when a run goes on."""
_VALIDATION_SEED = 1_000_003


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
    score_name = "nats"

    def __init__(
        self,
        config: TrainPredictorConfig,
        command: str = "",
        sources: Callable[[StudioConfig, int], LiveSource] | None = None,
    ) -> None:
        self.config = config
        check_device(config.device)
        self.device = torch.device(config.device)
        self._prior, self._shape_prior = kinflow.priors.load().to(self.device), ShapePrior()
        self._sources = sources or self._source
        seed_everything(config.seed)
        self.loss_of = PredictorLoss(self._prior, config.loss)
        self.photos = self._of_folders(config.unlabelled) if config.unlabelled else None
        if config.recipe == "ss" and self.photos is None:
            raise InputError(
                "The regime 'ss' learns from photographs only; name a folder of them.",
                {"name a folder of them": "unlabelled"},
            )
        self.training: Labelled | LivePool = self._training()
        self.validation = self._validation()
        sha256 = weights_sha256(self._prior)
        self.info = PredictorInfo(command, config.seed, sha256, len(self.training), {})
        sizes = {"latent_size": self._prior.latent_dim, "shape_size": self._shape_prior.size}
        self.network = Predictor(replace(config.network, **sizes), self.info).to(self.device)
        self.average = weight_average(self.network, fast_at_first(config.ema_decay))
        # each process would see people of its own
        self.is_shared = isinstance(self.training, Labelled)
        if config.mixed_precision and self.device.type == "cuda":  # what is kept runs without
            self.network.network.trunk_dtype = torch.bfloat16
        if isinstance(self.training, Labelled):
            self._standardise()
        self.optimizer = _optimizer(self.network, config)
        settings = {k: v for k, v in asdict(config).items() if k not in _FREE}
        known = len(self.training) if isinstance(self.training, Labelled) else 0
        self.run_key = json.dumps([settings, known], default=str)
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
            device=config.device,
            minutes=config.minutes,
            eval_seconds=config.eval_seconds,
        )

    def prepare(self, bar: Progress, step: int) -> None:
        """Fill the pool, and say how fast everything is before the time begins to count."""
        if not isinstance(self.training, LivePool):
            return
        self.training.source.begin(step)
        self.training.fill()
        if step == 0:
            self._standardise()
        _say({"first samples": float(len(self.training)), **self._live_figures()})
        _say({"training_steps_per_s": self._speed()})

    def loss(self, step: int) -> Tensor:
        if isinstance(self.training, LivePool):
            self.training.keep_up()
        return self._loss()

    def _loss(self) -> Tensor:
        config = self.config
        rendered = config.batch_size
        parts = []
        if self.photos is not None and config.recipe in ("ss", "mix"):
            count = round(config.batch_size * config.unlabelled_share)
            count = config.batch_size if config.recipe == "ss" else count
            parts.append(draw(self.photos, count))
            rendered -= count
        if rendered:
            parts.append(draw(self.training, rendered))
        parts = [self.processes.own_part(part) for part in parts]
        losses = [self.loss_of(self.network(part.looks), part) for part in parts]
        return torch.cat(losses).mean()

    @torch.no_grad()
    def evaluate(self) -> float:
        if isinstance(self.training, LivePool):
            self.training.pause()
        self._figures = figures(self._averaged.eval(), self.loss_of, self.validation)
        return self._figures["nats"]

    def figures(self, loss: float, score: float, steps_per_second: float) -> Mapping[str, float]:
        speed = {"steps_per_second": steps_per_second}
        return {"loss": loss, **self._figures, **speed, **self._live_figures()}

    def keep(self, path: Path, step: int, score: float) -> None:
        metrics = {"step": float(step), **self._figures}
        seen = self.training.total if isinstance(self.training, LivePool) else len(self.training)
        self._averaged.info = replace(self.info, samples=seen, metrics=metrics)
        self._averaged.save(path)

    def parts(self) -> dict[str, Part]:
        parts: dict[str, Part] = {
            "network": self.network,
            "average": self.average,
            "optimizer": self.optimizer,
        }
        return parts | {"pool": self.training} if isinstance(self.training, LivePool) else parts

    @property
    def _averaged(self) -> Predictor:
        assert isinstance(self.average.module, Predictor)
        return self.average.module

    def _of_folders(self, folders: tuple[Path, ...]) -> Labelled:
        return labelled(Samples.load_all(folders), self._prior, self._shape_prior)

    def _training(self) -> Labelled | LivePool:
        config = self.config
        if config.studio is not None:
            source = self._sources(config.studio, config.seed)
            return LivePool(
                source, config.live, lambda new: as_known(new, config.recipe, config.labels)
            )
        rendered = Samples.load_all(config.samples).to(self.device)
        everything = labelled(rendered, self._prior, self._shape_prior)
        if config.recipe in ("ws", "mix"):
            everything = annotated(everything, rendered.keypoint_shows, self.loss_of)
        generator = torch.Generator().manual_seed(config.seed)
        return as_known(everything, config.recipe, config.labels, generator)

    def _validation(self) -> Labelled:
        config = self.config
        if config.studio is None or config.validation:
            return self._of_folders(config.validation)
        others = replace(config.studio, split="validation")
        return self._sources(others, _VALIDATION_SEED).several(config.live.validation)

    def _source(self, studio: StudioConfig, seed: int) -> LiveSource:
        return studio_source(
            studio, self._prior, self._shape_prior, self.config.live.pictures, seed
        )

    @torch.no_grad()
    def _standardise(self) -> None:
        """Inputs and targets of about unit size, in the network and its average."""
        batch = draw(self.training, _STANDARDISED_BY)
        frame = ViewFrame.of(batch.looks, self._prior.latent_dim)
        upright = torch.eye(3, device=self.device).expand(len(batch), 3, 3)
        known = frame.to_vector(batch.truth, upright)[batch.has_body, ROTATION.stop :]
        inputs = batch.looks.inputs()
        for predictor in (self.network, self._averaged):
            network = predictor.network
            network.input_mean.copy_(inputs.mean(0))
            network.input_std.copy_(inputs.std(0) + 0.05)
            if len(known):
                network.target_mean.copy_(known.mean(0))
                network.target_std.copy_(known.std(0).clamp(0.1, 3.0))

    def _speed(self, steps: int = 4) -> float:
        """Steps a second, without new samples; nothing is learned from them."""
        begin = 0.0
        self.network.train()
        for step in range(steps + 2):
            if step == 2:  # the first ones are slower
                begin = time.perf_counter()
            loss = self._loss()
            loss.backward()
            if not math.isfinite(loss.item()):
                raise InputError(f"The first loss is {loss.item()}; look at the samples.")
        self.optimizer.zero_grad()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return steps / (time.perf_counter() - begin)

    def _live_figures(self) -> dict[str, float]:
        if not isinstance(self.training, LivePool):
            return {}
        return {"samples": float(self.training.total), **self.training.source.throughput.figures()}


def _optimizer(network: Predictor, config: TrainPredictorConfig) -> torch.optim.AdamW:
    """AdamW that lets matrices decay and nothing else."""
    matrices = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    fused = config.device.startswith("cuda")
    return torch.optim.AdamW(groups, config.learning_rate, betas=(0.9, 0.98), fused=fused)


def _say(what: Mapping[str, float]) -> None:
    print(", ".join(f"{name} {value:.3f}" for name, value in what.items()), flush=True)


def train(config: TrainPredictorConfig, command: str = "") -> Path:
    """Train, and return the file of the best weights."""
    check_file_destination(config.out / WEIGHTS_NAME)
    processes = Processes.started(config.device)
    recipe = PredictorRecipe(config, command)
    weights = Loop(recipe, recipe.loop_config, config.out, processes).run()
    info = Predictor.load(weights).info
    _say({"samples": float(info.samples), **info.metrics})
    return weights
