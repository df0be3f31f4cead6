"""`kinflow train parts`: train the part parser's network on renders of our own body.

A run lives in one folder: `parts.safetensors` (the best averaged weights so far),
`checkpoint.safetensors` (everything needed to go on), `log.csv` and the pool of rendered bodies,
which grows while training goes on. Started again, a run continues from its last checkpoint; with
more `steps` than before it goes on longer, since the learning rate is constant until the last
part. Held-out bodies are other people in poses of subjects that are not trained on.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from rich.progress import Progress
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from kinflow.body.parts import PART_NAMES
from kinflow.checks import nested, not_negative, number, path, positive, share, whole
from kinflow.datasets.poses import PoseSet
from kinflow.errors import InputError
from kinflow.evidence.part_network import (
    NUM_LABELS,
    PartInput,
    PartNetwork,
    PartNetworkConfig,
    PartNetworkInfo,
    part_input,
    save_part_network,
)
from kinflow.files.destinations import check_folder_destination
from kinflow.synth.body_pool import BodyPool
from kinflow.synth.observation import ObservationConfig
from kinflow.synth.part_samples import IGNORED, CropConfig, PartBatch, draw_batch
from kinflow.synth.people import PeopleConfig
from kinflow.synth.scene import SceneConfig, SceneSource
from kinflow.synth.views import ViewConfig
from kinflow.training.averaging import fast_at_first, weight_average
from kinflow.training.checkpoint import Part
from kinflow.training.loop import Loop, LoopConfig, Recipe
from kinflow.training.parts.loss import part_loss
from kinflow.training.processes import Processes
from kinflow.training.schedules import constant_and_linear_end
from kinflow.training.seeds import seed_everything

_UNCUT = ViewConfig(truncated_share=0.0)
_POOL_CELLS = 256
_VALIDATION_SEED = 1_000_003
_MAX_GRADIENT_NORM = 5.0
_EMPTY = 0.02
"""Probability in the mask below which a cell of the background is far from any outline."""


@dataclass(frozen=True)
class TrainPartsConfig:
    """Train the part parser on synthetic bodies; started again, it goes on where it was.

    Attributes:
        out: folder of the run; training continues from the checkpoint in it.
        poses: pose set written by `kinflow data poses`; without one, poses are the prior's.
        network: size of the network.
        crop: how bodies lie in the network's view.
        observation: clothes, occluders and the errors of detectors.
        bodies: bodies in the pool once it is full.
        first_bodies: bodies with which training begins.
        bodies_per_step: how fast the pool grows after that.
        validation_bodies: held-out bodies.
        batch_size: samples per step.
        steps: optimiser steps altogether; may be raised to go on.
        learning_rate: its constant value; falls linearly to zero over the last `decay` of the run.
        decay: that last part, as a fraction of the steps.
        weight_decay: of AdamW.
        empty_share: share of the empty background that counts in training.
        overlap_weight: weight of the soft Dice loss beside the cross entropy.
        ema_decay: decay of the weight average that is evaluated and kept.
        eval_every: steps between evaluations on held-out bodies, and checkpoints.
        seed: seeds everything.
    """

    out: Path
    poses: Path | None = None
    network: PartNetworkConfig = PartNetworkConfig()
    crop: CropConfig = CropConfig()
    observation: ObservationConfig = ObservationConfig()
    bodies: int = 3000
    first_bodies: int = 1500
    bodies_per_step: int = 1
    validation_bodies: int = 240
    batch_size: int = 8
    steps: int = 6000
    learning_rate: float = 2e-3
    decay: float = 0.25
    weight_decay: float = 1e-3
    empty_share: float = 0.15
    overlap_weight: float = 0.5
    ema_decay: float = 0.998
    eval_every: int = 400
    seed: int = 0

    def __post_init__(self) -> None:
        path(self, "out")
        path(self, "poses", or_none=True)
        nested(self, network=PartNetworkConfig, crop=CropConfig, observation=ObservationConfig)
        whole(self, "bodies", "first_bodies", "validation_bodies", at_least=1)
        whole(self, "batch_size", "steps", "eval_every", at_least=1)
        whole(self, "bodies_per_step", "seed")
        positive(self, "learning_rate")
        not_negative(self, "weight_decay", "overlap_weight")
        share(self, "decay", "empty_share")
        number(self, "ema_decay", at_least=0, below=1)


def pool_scenes(poses: Path | None, held_out: bool, seed: int) -> SceneConfig:
    """Scenes of whole bodies to cut later; held-out ones take the validation subjects' poses."""
    split = "validation" if held_out else "train"
    people = PeopleConfig(poses=poses, split=split, prior_share=0.0 if held_out else 0.25)
    scene_seed = seed + _VALIDATION_SEED * held_out
    return SceneConfig(people=people, views=_UNCUT, grid_cells=_POOL_CELLS, seed=scene_seed)


def train(config: TrainPartsConfig, command: str = "") -> Path:
    """Train to the end in `config.out`, continuing what is there; returns the best weights."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if Processes.started().count > 1:
        raise InputError("training of parts renders its own data and runs in one process")
    recipe = PartRecipe(config, command)
    return Loop(recipe, recipe.loop_config, config.out).run()


class PartRecipe(Recipe):
    """A part network that learns from a growing pool of rendered bodies."""

    network: PartNetwork
    average: AveragedModel
    weights_name = "parts.safetensors"
    score_name = "miou"

    def __init__(self, config: TrainPartsConfig, command: str = "") -> None:
        check_folder_destination(config.out)
        self.config = config
        data = "" if config.poses is None else PoseSet.load(config.poses).sha256
        self.info = PartNetworkInfo(command, config.seed, data)
        seed_everything(config.seed)
        self.network = PartNetwork(config.network)
        self.average = weight_average(self.network, fast_at_first(config.ema_decay))
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        free = {"out": Path(), "steps": 0, "poses": None}  # what may change from call to call
        settings = asdict(config) | free | {"data": data}
        self.run_key = json.dumps(settings, default=str)
        self.pool = self._pool("pool", held_out=False)
        self._validation: list[PartBatch] = []
        self._iou = np.full(NUM_LABELS, np.nan)

    @property
    def loop_config(self) -> LoopConfig:
        """How this recipe is trained."""
        config = self.config
        return LoopConfig(
            steps=config.steps,
            eval_every=config.eval_every,
            learning_rate=constant_and_linear_end(config.learning_rate, config.steps, config.decay),
            max_gradient_norm=_MAX_GRADIENT_NORM,
            seed=config.seed,
        )

    def parts(self) -> dict[str, Part]:
        averaged = self._averaged
        return {"network": self.network, "average": averaged, "optimizer": self.optimizer}

    @property
    def _averaged(self) -> PartNetwork:
        assert isinstance(self.average.module, PartNetwork)
        return self.average.module

    def prepare(self, bar: Progress, step: int) -> None:
        """Render the bodies to begin with, and those that are held out."""
        self._grow(bar, "rendering", self.pool, self._pool_size(step))
        held_out = self._pool("validation", held_out=True)
        self._grow(bar, "rendering held-out bodies", held_out, self.config.validation_bodies)
        self._validation = self._validation_batches(held_out)

    @staticmethod
    def _grow(bar: Progress, what: str, pool: BodyPool, size: int) -> None:
        task = bar.add_task(what, total=size)
        while len(pool.bodies) < size:
            pool.grow()
            bar.update(task, completed=len(pool.bodies))
        bar.remove_task(task)

    def _pool(self, name: str, held_out: bool) -> BodyPool:
        config = self.config
        source = SceneSource(pool_scenes(config.poses, held_out, config.seed))
        return BodyPool(config.out / name, source)

    def batch(self, step: int) -> PartBatch:
        """The samples of a step."""
        config = self.config
        rng = np.random.default_rng((config.seed, 1, step))
        count = min(len(self.pool.bodies), self._pool_size(step))
        bodies = self.pool.bodies[:count]
        return draw_batch(bodies, config.batch_size, config.crop, config.observation, rng)

    def _pool_size(self, step: int) -> int:
        config = self.config
        return min(config.bodies, config.first_bodies + config.bodies_per_step * step)

    def loss(self, step: int) -> Tensor:
        while len(self.pool.bodies) < self._pool_size(step):
            self.pool.grow()
        batch = self.batch(step)
        target = self._thinned(batch, step)
        scores = self.network(input_of(batch)).permute(0, 2, 3, 1)
        return part_loss(scores, target, self.config.overlap_weight)

    def _thinned(self, batch: PartBatch, step: int) -> Int[Tensor, "batch 96 96"]:
        """The target without most of the empty background, which has nothing to teach."""
        empty = (batch.target == 0) & (batch.mask < _EMPTY)
        generator = torch.Generator().manual_seed(step)
        dropped = torch.rand(batch.target.shape, generator=generator) > self.config.empty_share
        return torch.where(empty & dropped, IGNORED, batch.target)

    def _validation_batches(self, pool: BodyPool) -> list[PartBatch]:
        """Fixed samples of held-out bodies."""
        config = self.config
        rng = np.random.default_rng(_VALIDATION_SEED)
        bodies = pool.bodies[: config.validation_bodies]
        count = max(1, len(bodies) // config.batch_size)
        return [
            draw_batch(bodies, config.batch_size, config.crop, config.observation, rng)
            for _ in range(count)
        ]

    def evaluate(self) -> float:
        """Mean IoU of the parts on the held-out bodies."""
        self._iou = evaluate(self._averaged, self._validation)
        return mean_of_parts(self._iou)

    def figures(self, loss: float, score: float, steps_per_second: float) -> dict[str, float]:
        speed = self.config.batch_size * steps_per_second
        return {"loss": loss, "held-out mIoU": score, "samples per second": speed}

    def keep(self, path: Path, step: int, score: float) -> None:
        named = zip(PART_NAMES, self._iou, strict=True)
        metrics = {f"iou_{name}": round(float(v), 4) for name, v in named if not np.isnan(v)}
        metrics["miou"] = round(score, 4)
        save_part_network(self._averaged, replace(self.info, steps=step, metrics=metrics), path)


def input_of(batch: PartBatch) -> PartInput:
    """The network's input for a batch."""
    return part_input(batch.keypoints_cells, batch.depth_m, batch.mask, batch.inside, batch.pixels)


@torch.inference_mode()
def evaluate(network: PartNetwork, batches: list[PartBatch]) -> Float[np.ndarray, " labels"]:
    """Intersection over union of each label, over all cells that count."""
    confusion = np.zeros((NUM_LABELS, NUM_LABELS), np.int64)
    for batch in batches:
        found = network(input_of(batch)).argmax(1)
        counts = batch.target != IGNORED
        pairs = NUM_LABELS * batch.target[counts] + found[counts]
        confusion += np.bincount(pairs.numpy(), minlength=NUM_LABELS**2).reshape(confusion.shape)
    return intersection_over_union(confusion)


def mean_of_parts(iou: Float[np.ndarray, " labels"]) -> float:
    """Mean over the parts that occur; 0 if none does."""
    parts = iou[1:][~np.isnan(iou[1:])]
    return float(parts.mean()) if len(parts) else 0.0


def intersection_over_union(
    confusion: Int[np.ndarray, "labels labels"],
) -> Float[np.ndarray, " labels"]:
    """IoU of each label from counts by (truth, answer); NaN for labels that never occur."""
    both = np.diag(confusion)
    either = confusion.sum(0) + confusion.sum(1) - both
    return np.divide(both, either, out=np.full(len(both), np.nan), where=either > 0)
