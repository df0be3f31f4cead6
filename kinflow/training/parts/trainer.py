"""`kinflow train parts`: train the part parser's network on renders of our own body.

A run lives in one folder: `parts.safetensors` (the best averaged weights so far),
`checkpoint.safetensors` (everything needed to go on), `log.csv` and the pool of rendered bodies,
which grows while training goes on. Started again, a run continues from its last checkpoint; with
more `steps` than before it goes on longer, since the learning rate is constant until the last
part. Held-out bodies are other people in poses of subjects that are not trained on.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from kinflow.body.parts import PART_NAMES
from kinflow.checks import nested, not_negative, number, path, positive, share, whole
from kinflow.datasets.poses import PoseSet
from kinflow.evidence.part_network import (
    NUM_LABELS,
    PartInput,
    PartNetwork,
    PartNetworkConfig,
    PartNetworkInfo,
    part_input,
    save_part_network,
)
from kinflow.files import json_values
from kinflow.files.destinations import check_folder_destination
from kinflow.synth.body_pool import BodyPool
from kinflow.synth.observation import ObservationConfig
from kinflow.synth.part_samples import IGNORED, CropConfig, PartBatch, draw_batch
from kinflow.synth.people import PeopleConfig
from kinflow.synth.scene import SceneConfig, SceneSource
from kinflow.synth.views import ViewConfig
from kinflow.training.checkpoint import load_checkpoint, replaceable, save_checkpoint
from kinflow.training.run_log import RunLog

_UNCUT = ViewConfig(truncated_share=0.0)
_POOL_CELLS = 256
_VALIDATION_SEED = 1_000_003
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
    return PartTrainer(config, command).run()


class PartTrainer:
    """The mutable state of a run: pool, weights, their average, optimiser and progress."""

    def __init__(self, config: TrainPartsConfig, command: str = "") -> None:
        check_folder_destination(config.out)
        self.config = config
        data = "" if config.poses is None else PoseSet.load(config.poses).sha256
        self.info = PartNetworkInfo(command, config.seed, data)
        torch.manual_seed(config.seed)
        self.network = PartNetwork(config.network)
        self.average = PartNetwork(config.network).eval()
        self.average.load_state_dict(self.network.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.step, self.best_miou = 0, -1.0
        free = {"out": Path(), "steps": 0, "poses": None}  # what may change from call to call
        settings = asdict(config) | free | {"data": data}
        self._run_key = json.dumps(settings, default=str)
        self.pool = self._pool("pool", held_out=False)

    def _pool(self, name: str, held_out: bool) -> BodyPool:
        config = self.config
        source = SceneSource(pool_scenes(config.poses, held_out, config.seed))
        return BodyPool(config.out / name, source)

    def batch(self) -> PartBatch:
        """The samples of the current step."""
        config = self.config
        rng = np.random.default_rng((config.seed, 1, self.step))
        count = min(len(self.pool.bodies), self._pool_size())
        bodies = self.pool.bodies[:count]
        return draw_batch(bodies, config.batch_size, config.crop, config.observation, rng)

    def _pool_size(self) -> int:
        config = self.config
        return min(config.bodies, config.first_bodies + config.bodies_per_step * self.step)

    def train_step(self) -> float:
        """One optimiser step; returns the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * self._schedule()
        while len(self.pool.bodies) < self._pool_size():
            self.pool.grow()
        batch = self.batch()
        self.network.train()
        target = self._thinned(batch)
        scores = self.network(input_of(batch)).permute(0, 2, 3, 1)
        loss = part_loss(scores, target, self.config.overlap_weight)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.step += 1
        self._update_average()
        return loss.item()

    def _thinned(self, batch: PartBatch) -> Int[Tensor, "batch 96 96"]:
        """The target without most of the empty background, which has nothing to teach."""
        empty = (batch.target == 0) & (batch.mask < _EMPTY)
        generator = torch.Generator().manual_seed(self.step)
        dropped = torch.rand(batch.target.shape, generator=generator) > self.config.empty_share
        return torch.where(empty & dropped, IGNORED, batch.target)

    def _schedule(self) -> float:
        warm_up = min(1.0, (self.step + 1) / 100)
        left = (self.config.steps - self.step) / max(
            1, round(self.config.decay * self.config.steps)
        )
        return warm_up * min(1.0, left)

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.config.ema_decay, (self.step + 1) / (self.step + 10))
        current = self.network.state_dict()
        for name, value in self.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(current[name], 1.0 - decay)

    def save_checkpoint(self, path: Path) -> None:
        """Write everything needed to go on, atomically."""
        progress = {"step": self.step, "best_miou": self.best_miou}
        save_checkpoint(path, self._networks, self.optimizer, progress, self._run_key)

    def load_checkpoint(self, path: Path) -> None:
        """Continue from a checkpoint; InputError if it belongs to another run."""
        progress, _ = load_checkpoint(path, self._networks, self.optimizer, self._run_key)
        with replaceable(path):
            self.step = json_values.whole_number(progress, "step", 0)
            self.best_miou = json_values.number(progress, "best_miou", -1, 1)

    @property
    def _networks(self) -> dict[str, torch.nn.Module]:
        return {"network": self.network, "average": self.average}

    def run(self) -> Path:
        """Train to the end, continuing what is there; returns the best weights."""
        config, folder = self.config, self.config.out
        weights, checkpoint = folder / "parts.safetensors", folder / "checkpoint.safetensors"
        if checkpoint.exists():
            self.load_checkpoint(checkpoint)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns) as bar, RunLog(folder) as log:
            rendering = bar.add_task("rendering", total=config.first_bodies)
            while len(self.pool.bodies) < self._pool_size():
                self.pool.grow()
                bar.update(rendering, completed=len(self.pool.bodies))
            bar.remove_task(rendering)
            validation = self._validation_batches(bar)
            task = bar.add_task("training", total=config.steps, completed=self.step)
            while self.step < config.steps:
                begin, losses = time.perf_counter(), []
                for _ in range(min(config.eval_every, config.steps - self.step)):
                    losses.append(self.train_step())
                    bar.update(task, completed=self.step)
                per_second = config.batch_size * len(losses) / (time.perf_counter() - begin)
                iou = evaluate(self.average, validation)
                miou = mean_of_parts(iou)
                if miou > self.best_miou:
                    self.best_miou = miou
                    save_part_network(self.average, self._info(iou), weights)
                self.save_checkpoint(checkpoint)
                loss = math.fsum(losses) / len(losses)
                log.write(
                    self.step,
                    {"loss": loss, "held-out mIoU": miou, "samples per second": per_second},
                )
                bar.update(task, description=f"loss {loss:.3f}, held-out mIoU {miou:.3f}")
        return weights

    def _validation_batches(self, bar: Progress) -> list[PartBatch]:
        """Fixed samples of held-out bodies."""
        config = self.config
        pool = self._pool("validation", held_out=True)
        task = bar.add_task("rendering held-out bodies", total=config.validation_bodies)
        while len(pool.bodies) < config.validation_bodies:
            pool.grow()
            bar.update(task, completed=len(pool.bodies))
        bar.remove_task(task)
        rng = np.random.default_rng(_VALIDATION_SEED)
        bodies = pool.bodies[: config.validation_bodies]
        count = max(1, len(bodies) // config.batch_size)
        return [
            draw_batch(bodies, config.batch_size, config.crop, config.observation, rng)
            for _ in range(count)
        ]

    def _info(self, iou: Float[np.ndarray, " labels"]) -> PartNetworkInfo:
        named = zip(PART_NAMES, iou, strict=True)
        metrics = {f"iou_{name}": round(float(v), 4) for name, v in named if not np.isnan(v)}
        metrics["miou"] = round(mean_of_parts(iou), 4)
        return replace(self.info, steps=self.step, metrics=metrics)


def input_of(batch: PartBatch) -> PartInput:
    """The network's input for a batch."""
    return part_input(batch.keypoints_cells, batch.depth_m, batch.mask, batch.inside, batch.pixels)


def part_loss(
    scores: Float[Tensor, "*cells labels"], target: Int[Tensor, "*cells"], overlap_weight: float
) -> Float[Tensor, ""]:
    """Cross entropy over the cells that count, plus one minus the soft Dice of the parts.

    Dice (Milletari et al. 2016) weighs a hand as much as a torso; it is taken over the whole batch,
    so that parts that a sample does not show do no harm.
    """
    counts = (target != IGNORED).flatten()
    labels = target.flatten()[counts]
    log_p = scores.flatten(0, -2)[counts].log_softmax(-1)
    p = log_p.exp()
    log_p_true = log_p.gather(1, labels[:, None])[:, 0]
    # sums over the cells of each label, without a one-hot copy of the target
    both = p.new_zeros(NUM_LABELS).index_add(0, labels, log_p_true.exp())
    total = p.sum(0) + torch.bincount(labels, minlength=NUM_LABELS)
    dice = (2 * both[1:] + 1) / (total[1:] + 1)
    return overlap_weight * (1 - dice.mean()) - log_p_true.mean()


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
