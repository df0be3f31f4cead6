"""Training of flow priors: seeded, resumable after a kill, stopped by unseen subjects.

A run lives in one folder: `prior.safetensors` (the best weights so far), `checkpoint.safetensors`
(everything needed to go on), `log.csv` and TensorBoard's events. Training in the same folder again
continues where it stands, and ends with the same weights as a run that was never interrupted.

Poses of unseen subjects are predicted best with large batches, dropout, averaged weights, and early
stopping on subjects that are not trained on.
"""

import copy
import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from kinflow.checks import not_negative, number, positive, share, whole
from kinflow.datasets.poses import PoseSet
from kinflow.errors import InputError
from kinflow.files.json_values import whole_number
from kinflow.priors.coordinates import SPACES, SpaceName
from kinflow.priors.families import FlowFamily, flow_config, make_flow
from kinflow.priors.flow import FlowPrior, point_log_prob, rotvec_log_prob
from kinflow.priors.interface import PriorInfo
from kinflow.priors.pose_space import Whitening
from kinflow.priors.storage import save_prior
from kinflow.training.checkpoint import load_checkpoint, replaceable, save_checkpoint
from kinflow.training.priors.stream import PoseStream, StreamConfig, noisy
from kinflow.training.run_log import RunLog


@dataclass(frozen=True)
class FlowTraining:
    """Shape of the flow and schedule of its training.

    Attributes:
        blocks: number of coupling blocks.
        hidden: width of the conditioning networks.
        depth: hidden layers in each of them.
        dropout: dropout probability in them.
        batch_size: poses per step.
        learning_rate: peak learning rate; cosine decay to zero over `max_steps`.
        weight_decay: of AdamW.
        max_steps: length of the schedule.
        eval_every: steps between evaluations on the validation subjects (and checkpoints).
        patience: evaluations without improvement after which training stops.
        ema_decay: decay of the weight average that is evaluated and kept.
        max_gradient_norm: gradient clipping.
        teacher_share: share of training poses that are samples of teachers, where there are any.
    """

    blocks: int = 6
    hidden: int = 128
    depth: int = 2
    dropout: float = 0.1
    batch_size: int = 512
    learning_rate: float = 6e-3
    weight_decay: float = 1e-4
    max_steps: int = 12_000
    eval_every: int = 200
    patience: int = 25
    ema_decay: float = 0.998
    max_gradient_norm: float = 10.0
    teacher_share: float = 0.5

    def __post_init__(self) -> None:
        sizes = ("blocks", "hidden", "batch_size", "max_steps", "eval_every", "patience")
        whole(self, *sizes, at_least=1)
        whole(self, "depth")
        number(self, "dropout", "ema_decay", at_least=0, below=1)
        positive(self, "learning_rate", "max_gradient_norm")
        not_negative(self, "weight_decay")
        share(self, "teacher_share")


class FlowTrainer:
    """The mutable state of a run: weights, their average, optimiser and progress."""

    def __init__(
        self,
        config: FlowTraining,
        stream: StreamConfig,
        whitening: Whitening,
        train: PoseSet,
        validation: PoseSet,
        info: PriorInfo,
        device: str = "cpu",
        family: FlowFamily = "realnvp",
        space: SpaceName = "rotvec",
        teachers: Float[Tensor, "drawn 57"] | None = None,
    ) -> None:
        if not len(train) or not len(validation):
            raise InputError("the pose set holds no training or no validation subjects")
        self.config, self.info, self.device = config, info, device
        self.space = SPACES[space]
        self.whitening = copy.deepcopy(whitening).to(device)
        self.stream = PoseStream(train, stream, teachers, config.teacher_share)
        self.validation_rotvec = noisy(
            validation.rotvec[::4].flatten(1), stream.noise_rad, seed=1
        ).to(device)
        torch.manual_seed(info.seed)
        self.shape = flow_config(
            family, whitening.num_kept, config.blocks, config.hidden, config.depth, config.dropout
        )
        self.flow = make_flow(self.shape).to(device)
        self.average = make_flow(self.shape).to(device).eval()
        self.average.load_state_dict(self.flow.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.flow.parameters(),
            config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.step, self.best_nats, self.best_step = 0, -math.inf, 0
        taught = None if teachers is None else float(teachers.double().sum())
        origin = [info.data_sha256, info.seed, device, family, space, taught]
        settings = [asdict(config), asdict(stream), *origin]
        self._run_key = json.dumps(settings)

    def train_step(self) -> float:
        """One optimiser step; returns the training log density in nats per pose."""
        config = self.config
        warm_up = min(1.0, (self.step + 1) / 100)
        cosine = 0.5 + 0.5 * math.cos(math.pi * self.step / config.max_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * warm_up * cosine
        batch = self.stream.batch(config.batch_size).to(self.device)
        points, weight = self.space.lift(batch)
        log_prob = (point_log_prob(self.flow, self.whitening, points) + weight).mean()
        self.optimizer.zero_grad()
        (-log_prob).backward()
        torch.nn.utils.clip_grad_norm_(self.flow.parameters(), config.max_gradient_norm)
        self.optimizer.step()
        self.step += 1
        decay = min(config.ema_decay, 1.0 - 1.0 / (self.step + 1))
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.flow.parameters(), strict=True)
            for averaged, current in pairs:
                averaged.lerp_(current, 1.0 - decay)
        return log_prob.item()

    @torch.no_grad()
    def evaluate(self) -> float:
        """Mean log density of the validation poses under the averaged weights, nats per pose."""
        nats = rotvec_log_prob(self.average, self.whitening, self.space, self.validation_rotvec)
        return nats.mean().item()

    def prior(self) -> FlowPrior:
        """The averaged weights as a prior."""
        flow = make_flow(self.shape)
        flow.load_state_dict(self.average.state_dict())
        metrics = {"validation_nats": self.best_nats, "steps": float(self.best_step)}
        return FlowPrior(
            flow,
            copy.deepcopy(self.whitening).cpu(),
            replace(self.info, metrics=metrics),
            self.space.name,
        )

    def save_checkpoint(self, path: Path) -> None:
        """Write everything needed to go on, atomically."""
        random = {"rng.cpu": torch.get_rng_state()}
        if self.device.startswith("cuda"):
            random["rng.cuda"] = torch.cuda.get_rng_state()
        progress = {"step": self.step, "best_nats": self.best_nats, "best_step": self.best_step}
        save_checkpoint(path, self._networks, self.optimizer, progress, self._run_key, random)

    def load_checkpoint(self, path: Path) -> None:
        """Continue from a checkpoint; InputError if it belongs to another run."""
        progress, tensors = load_checkpoint(path, self._networks, self.optimizer, self._run_key)
        with replaceable(path):
            self.step = whole_number(progress, "step", 0)
            self.best_step = whole_number(progress, "best_step", 0)
            self.best_nats = float(progress["best_nats"])  # minus infinity before the first
            torch.set_rng_state(tensors["rng.cpu"])
            if "rng.cuda" in tensors:
                torch.cuda.set_rng_state(tensors["rng.cuda"])

    @property
    def _networks(self) -> dict[str, torch.nn.Module]:
        return {"flow": self.flow, "average": self.average}

    def run(self, folder: Path) -> Path:
        """Train to the end in `folder`, continuing what is there; returns the best weights."""
        folder.mkdir(parents=True, exist_ok=True)
        weights, checkpoint = folder / "prior.safetensors", folder / "checkpoint.safetensors"
        if checkpoint.exists():
            self.load_checkpoint(checkpoint)
        config = self.config
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns) as bar, RunLog(folder) as log:
            task = bar.add_task("training", total=config.max_steps, completed=self.step)
            while self.step < config.max_steps and not self._out_of_patience():
                nats = [self.train_step() for _ in range(config.eval_every)]
                train_nats, validation_nats = sum(nats) / len(nats), self.evaluate()
                if validation_nats > self.best_nats:
                    self.best_nats, self.best_step = validation_nats, self.step
                    save_prior(self.prior(), weights)
                self.save_checkpoint(checkpoint)
                nats_now = {"nats/train": train_nats, "nats/validation": validation_nats}
                log.write(self.step, nats_now)
                text = f"{self.step}: train {train_nats:.2f}, validation {validation_nats:.2f} nats"
                bar.update(task, completed=self.step, description=text)
        if not weights.exists():
            raise InputError(
                f"Training in '{folder}' never gave a density that is a number; lower "
                "--flow.learning-rate or look at the pose set."
            )
        return weights

    def _out_of_patience(self) -> bool:
        return self.step - self.best_step >= self.config.patience * self.config.eval_every
