"""`kinflow train parts`: train the part parser's network on people whom a studio paints.

A run lives in one folder: `parts.safetensors` (the best averaged weights so far),
`checkpoint.safetensors` (everything needed to go on) and `log.csv`. Started again, a run continues
from its last checkpoint. Held-out pictures show other people, in poses of subjects that are not
trained on. On a GPU, with `--minutes`, a run takes as long as it is given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from rich.progress import Progress
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from kinflow.checks import instance, nested, not_negative, number, path, positive, share, whole
from kinflow.datasets.poses import PoseSet
from kinflow.evidence.part_network import (
    PartNetwork,
    PartNetworkConfig,
    PartNetworkInfo,
    save_part_network,
)
from kinflow.files.destinations import check_folder_destination
from kinflow.synth.studio import Studio, StudioConfig
from kinflow.tensors import check_device
from kinflow.training.averaging import fast_at_first, weight_average
from kinflow.training.checkpoint import Part
from kinflow.training.loop import Loop, LoopConfig, Recipe
from kinflow.training.parts.loss import cell_weights, part_loss
from kinflow.training.parts.masks import MaskConfig
from kinflow.training.parts.pictures import Pictures
from kinflow.training.parts.scores import Scores, scores
from kinflow.training.parts.stream import Detectors, Pool, PoolConfig, Source, Watcher, seeded
from kinflow.training.parts.views import PLAIN, PartBatch, ViewsConfig, views
from kinflow.training.processes import Processes
from kinflow.training.schedules import WARM_UP_STEPS, warm_up_and_cosine
from kinflow.training.seeds import seed_everything

_VALIDATION_SEED = 1_000_003
_MAX_GRADIENT_NORM = 5.0
_WARM_UP_SHARE = 0.02
_STEPS_STREAM, _VALIDATION_STREAM = 1, 2
_VALIDATION_BATCH = 64


@dataclass(frozen=True)
class TrainPartsConfig:
    """Train the part parser on painted people; started again, it goes on where it was.

    Attributes:
        out: folder of the run; training continues from the checkpoint in it.
        studio: who is painted, and how.
        network: size of the network.
        masks: what silhouettes differ in.
        views: how people lie in the network's view, and what is left out.
        pool: how many pictures there are at a time.
        validation_pictures: of held-out people.
        batch_size: views per step.
        steps: optimiser steps altogether, over which the learning rate falls to zero.
        minutes: time to train for; the learning rate then falls over this time.
        learning_rate: its highest value, after a warm-up over the first fiftieth.
        weight_decay: of AdamW.
        empty_share: how much a cell of empty background counts.
        border_weight: how much more a cell counts that lies beside another part of the body.
        overlap_weight: weight of the soft Dice loss beside the cross entropy.
        ema_decay: decay of the weight average that is evaluated and kept.
        eval_every: steps between evaluations on held-out people, and checkpoints.
        eval_seconds: time between them, with `minutes`.
        device: `cpu` or `cuda`, where the network runs at mixed precision.
        seed: seeds everything.
    """

    out: Path
    studio: StudioConfig
    network: PartNetworkConfig = PartNetworkConfig(
        widths=(48, 80, 144, 192), fine_width=24, refinements=1
    )
    masks: MaskConfig = MaskConfig()
    views: ViewsConfig = ViewsConfig()
    pool: PoolConfig = PoolConfig()
    validation_pictures: int = 384
    batch_size: int = 16
    steps: int = 12000
    minutes: float | None = None
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    empty_share: float = 0.15
    border_weight: float = 1.0
    overlap_weight: float = 0.5
    ema_decay: float = 0.998
    eval_every: int = 400
    eval_seconds: float = 30.0
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        path(self, "out")
        instance(self, "device", str, "the name of a device")
        nested(self, studio=StudioConfig, network=PartNetworkConfig, masks=MaskConfig)
        nested(self, views=ViewsConfig, pool=PoolConfig)
        whole(self, "validation_pictures", "batch_size", "steps", "eval_every", at_least=1)
        whole(self, "seed")
        positive(self, "learning_rate", "eval_seconds")
        if self.minutes is not None:
            positive(self, "minutes")
        not_negative(self, "weight_decay", "overlap_weight", "border_weight")
        share(self, "empty_share")
        number(self, "ema_decay", at_least=0, below=1)


_FREE = ("out", "steps", "minutes", "eval_every", "eval_seconds", "device")
"""Options that may change from call to call."""


def train(config: TrainPartsConfig, command: str = "") -> Path:
    """Train to the end in `config.out`, continuing what is there; returns the best weights."""
    recipe = PartRecipe(config, command)
    return Loop(recipe, recipe.loop_config, config.out, Processes.started(config.device)).run()


class PartRecipe(Recipe):
    """A part network that learns from a stream of painted people."""

    network: PartNetwork
    average: AveragedModel
    weights_name = "parts.safetensors"
    score_name = "miou"

    def __init__(self, config: TrainPartsConfig, command: str = "") -> None:
        check_folder_destination(config.out)
        check_device(config.device)
        self.config, self.device = config, torch.device(config.device)
        data = PoseSet.load(config.studio.poses).sha256
        self.info = PartNetworkInfo(command, config.seed, data)
        seed_everything(config.seed)
        torch.backends.cudnn.benchmark = self.device.type == "cuda"  # sizes are always the same
        self.network = PartNetwork(config.network).to(self.device)
        self.average = weight_average(self.network, fast_at_first(config.ema_decay))
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.run_key = _run_key(config, data)
        self._detectors = Detectors(self.device)
        self.pool = Pool(self._watcher(config.studio), config.pool, config.seed)
        self._validation: list[tuple[PartBatch, Tensor]] = []
        self._figures: dict[str, float] = {}
        self._iou: dict[str, float] = {}

    @property
    def loop_config(self) -> LoopConfig:
        """How this recipe is trained."""
        config = self.config
        warm_up = max(WARM_UP_STEPS, round(_WARM_UP_SHARE * config.steps))
        return LoopConfig(
            steps=config.steps,
            eval_every=config.eval_every,
            learning_rate=warm_up_and_cosine(config.learning_rate, config.steps, warm_up),
            max_gradient_norm=_MAX_GRADIENT_NORM,
            seed=config.seed,
            device=config.device,
            minutes=config.minutes,
            eval_seconds=config.eval_seconds,
        )

    def parts(self) -> dict[str, Part]:
        averaged = self._averaged
        return {"network": self.network, "average": averaged, "optimizer": self.optimizer}

    @property
    def _averaged(self) -> PartNetwork:
        assert isinstance(self.average.module, PartNetwork)
        return self.average.module

    def _watcher(self, studio: StudioConfig) -> Source:
        return Watcher(Studio(studio, self.device), self._detectors, self.config.masks)

    def prepare(self, bar: Progress, step: int) -> None:
        """Paint the people to begin with, and those that are held out."""
        task = bar.add_task("painting", total=None)
        self.pool.fill(self.config.pool.draws_by(step, self.config.batch_size))
        config = self.config
        studio = replace(config.studio, split="validation", seed=config.studio.seed + 1)
        held_out = fixed_views(self._watcher(studio), config.validation_pictures)
        self._validation = list(held_out)
        bar.remove_task(task)

    def batch(self, step: int) -> PartBatch:
        """The views of a step."""
        config = self.config
        self.pool.fill(config.pool.draws_by(step, config.batch_size))
        generator = self.pool.generator(_STEPS_STREAM, step)
        pictures: Pictures = self.pool.sample(config.batch_size, generator)
        return views(pictures, config.views, generator)

    def loss(self, step: int) -> Tensor:
        config, batch = self.config, self.batch(step)
        weight = cell_weights(batch.target, batch.mask, config.empty_share, config.border_weight)
        given = batch.input()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            answer = self.network(given)
        return part_loss(answer, batch.target, weight, config.overlap_weight)

    def evaluate(self) -> float:
        """Mean IoU of the parts on the held-out people."""
        network = self._averaged.eval()
        found: Scores = scores(network, self._validation)
        self._figures = found.figures()
        self._iou = found.iou()
        return self._figures["miou"]

    def figures(self, loss: float, score: float, steps_per_second: float) -> Mapping[str, float]:
        batch = self.config.batch_size
        return {
            "loss": loss,
            **self._figures,
            "views per second": batch * steps_per_second,
            "pictures": self.pool.drawn * self.config.pool.draw,
            "pictures per second": self.pool.pictures_per_second,
        }

    def keep(self, path: Path, step: int, score: float) -> None:
        metrics = {
            name: round(value, 4)
            for name, value in (self._iou | self._figures).items()
            if value == value  # what never occurred is no number
        }
        save_part_network(self._averaged, replace(self.info, steps=step, metrics=metrics), path)


def fixed_views(source: Source, count: int) -> Iterator[tuple[PartBatch, Float[Tensor, " batch"]]]:
    """Always the same views of people as the product has them, and their ages; of those of `count`
    pictures that the detector saw."""
    for first in range(0, count, _VALIDATION_BATCH):
        generator = seeded(source.device, _VALIDATION_SEED, _VALIDATION_STREAM, first)
        pictures = source.pictures(min(_VALIDATION_BATCH, count - first), generator)
        pictures = pictures[pictures.useful.nonzero()[:, 0]]
        if len(pictures):
            yield views(pictures, PLAIN, generator), pictures.age


def _run_key(config: TrainPartsConfig, data: str) -> str:
    settings = {k: v for k, v in asdict(config).items() if k not in _FREE}
    settings["studio"] = settings["studio"] | {"poses": data}
    return json.dumps(settings, default=str)
