"""The loop of every training run: seeded, resumable after a kill at any moment, stopped in time.

A recipe says what is learned; the loop does everything else. A run lives in one folder: the best
weights so far, `checkpoint.safetensors` (everything needed to go on), `log.csv` and TensorBoard's
events. Started again in the same folder, a run continues where it stands and, on one device, ends
with the same weights to the bit as a run that was never interrupted.

That takes an order of writing: best weights, log, checkpoint. Each file is replaced as a whole; if
a kill comes between two of them, the run goes on from the checkpoint before and writes the earlier
ones again, with the same content.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from kinflow.errors import InputError
from kinflow.files.json_values import number as json_number
from kinflow.files.json_values import whole_number
from kinflow.training.averaging import set_count
from kinflow.training.checkpoint import Part, load_checkpoint, replaceable, save_checkpoint
from kinflow.training.processes import Processes
from kinflow.training.run_log import RunLog
from kinflow.training.schedules import Schedule
from kinflow.training.seeds import RandomStates

CHECKPOINT_NAME = "checkpoint.safetensors"
_LONGEST_S = 1e9


@dataclass(frozen=True)
class LoopConfig:
    """Length and manners of a run.

    With a budget of time, the learning rate goes through its `steps` steps in that time, whatever
    number is really done, and evaluations come by the clock; such runs differ from each other.

    Attributes:
        steps: optimiser steps altogether.
        eval_every: steps between evaluations, each with a checkpoint.
        learning_rate: as a function of the steps done.
        max_gradient_norm: to which gradients are clipped; None for not at all.
        patience: evaluations without improvement after which training stops; None for never.
        seed: seed of the run.
        device: where the recipe computes.
        minutes: time that training takes altogether, interruptions left out; None for as long as
            the steps take.
        eval_seconds: then, time between evaluations.
    """

    steps: int
    eval_every: int
    learning_rate: Schedule
    max_gradient_norm: float | None = None
    patience: int | None = None
    seed: int = 0
    device: str = "cpu"
    minutes: float | None = None
    eval_seconds: float = 30.0


class Recipe(ABC):
    """What a run learns. Its seed is set before its network is made (`seed_everything`).

    Attributes:
        network: the weights that are learned.
        average: their average (`kinflow.training.averaging`), if there is one.
        optimizer: of the network's weights.
        weights_name: file of the best weights in the run's folder.
        score_name: what `evaluate` gives, as checkpoints call it.
        learning_rate_option: what to change where training diverges.
        run_key: tells this run's settings and data from others'.
        is_shared: whether `loss` takes its part of what it draws (`Processes.own_part`), so that
            several processes can train together.
        processes: that train together; the loop sets them.
    """

    network: nn.Module
    average: AveragedModel | None = None
    optimizer: torch.optim.Optimizer
    weights_name: str
    score_name: str
    learning_rate_option: str = "learning_rate"
    run_key: str
    is_shared: bool = False
    processes: Processes = Processes()

    def prepare(self, bar: Progress, step: int) -> None:  # noqa: B027 (most need nothing)
        """What has to be there before training goes on at `step`, for example data."""

    @abstractmethod
    def loss(self, step: int) -> Tensor:
        """Loss of the next batch, after `step` steps, or of this process's part of it."""

    @abstractmethod
    def evaluate(self) -> float:
        """How good the weights are that would be kept; higher is better."""

    @abstractmethod
    def keep(self, path: Path, step: int, score: float) -> None:
        """Write the weights that were just evaluated, the best so far, atomically."""

    @abstractmethod
    def parts(self) -> dict[str, Part]:
        """All that changes during the run, but for random generators, by name."""

    def figures(self, loss: float, score: float, steps_per_second: float) -> Mapping[str, float]:
        """What to log at an evaluation: the mean loss since the last one, the score, the speed."""
        return {"loss": loss, self.score_name: score}


class Clock:
    """How long a run has been training, over all its calls.

    Attributes:
        before: seconds of the calls before this one.
    """

    def __init__(self) -> None:
        self.before = 0.0
        self._begin: float | None = None

    def start(self) -> None:
        """Training goes on now."""
        self._begin = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self.before + (0.0 if self._begin is None else time.perf_counter() - self._begin)


class Loop:
    """A run of a recipe in a folder."""

    def __init__(
        self,
        recipe: Recipe,
        config: LoopConfig,
        folder: Path,
        processes: Processes | None = None,
    ) -> None:
        self.recipe, self.config, self.folder = recipe, config, folder
        self.step, self.best_score, self.best_step = 0, -math.inf, 0
        self.clock = Clock()
        self._processes = recipe.processes = processes or Processes()
        self._random = RandomStates(config.device)
        self._main_s = 0.0
        """What the clock of the main process showed at the last step."""
        if self._processes.count > 1 and not recipe.is_shared:
            raise InputError(
                "This training runs in one process; start it without a launcher of several."
            )

    @property
    def checkpoint(self) -> Path:
        """The file from which the run goes on."""
        return self.folder / CHECKPOINT_NAME

    def run(self) -> Path:
        """Train to the end, continuing what is there; returns the best weights.

        Raises:
            InputError: the folder holds another run, or the loss or all scores were no numbers.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            self.resume()
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, disable=not self._processes.is_main) as bar:
            states = self._random.state_dict()
            self._begin_alike()
            self.recipe.prepare(bar, self.step)
            self._random.load_state_dict(states)  # data may be there already the next time
            self.clock.start()
            if self._processes.is_main:
                with RunLog(self.folder, self.step) as log:
                    self._train(bar, log)
            else:
                self._train(bar, None)
        self._processes.wait()
        weights = self.folder / self.recipe.weights_name
        if not weights.exists():
            raise InputError(
                f"Training in '{self.folder}' never gave a score that is a number; take a lower "
                "learning rate or look at the data.",
                {"learning rate": self.recipe.learning_rate_option},
            )
        return weights

    def _begin_alike(self) -> None:
        """Take the clock of the main process; all have to stand where that one does."""
        self._main_s = self._processes.mean(self.clock.before)
        weights = self.recipe.network.state_dict().values()
        self._processes.check_alike(self.step, weights)

    def _train(self, bar: Progress, log: RunLog | None) -> None:
        task = bar.add_task("training", total=self.config.steps, completed=self.schedule_step)
        first = self.step
        while not self.is_over():
            begin, begin_s, losses = time.perf_counter(), self._seconds, []
            while not losses or not self._is_evaluation_due(begin_s):
                losses.append(self.train_step())
                bar.update(task, completed=self.schedule_step)
            speed = len(losses) / (time.perf_counter() - begin)
            figures = self._evaluate(math.fsum(losses) / len(losses), speed, log)
            named = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
            bar.update(task, description=f"{self.step}: {named}")
            if log is not None and not bar.console.is_terminal:
                print(f"{self.step}: {named}", flush=True)  # where no bar is drawn
        if log is not None and self.config.minutes is not None and self.step > first:
            self.save()  # time may have been up while the last one was written: it stays up

    def _evaluate(self, loss: float, speed: float, log: RunLog | None) -> Mapping[str, float]:
        """Evaluate, and write best weights, log and checkpoint, in this order."""
        recipe = self.recipe
        score = self._processes.mean(recipe.evaluate())
        figures = recipe.figures(loss, score, speed)
        if score > self.best_score:
            self.best_score, self.best_step = score, self.step
            if log is not None:
                recipe.keep(self.folder / recipe.weights_name, self.step, score)
        if log is not None:
            log.write(self.step, figures)
            self.save()
        return figures

    def train_step(self) -> float:
        """One optimiser step; returns the loss.

        Raises:
            InputError: the loss is not finite; weights and files are as they were.
        """
        recipe, config = self.recipe, self.config
        for group in recipe.optimizer.param_groups:
            group["lr"] = config.learning_rate(self.schedule_step)
        recipe.network.train()
        loss = recipe.loss(self.step)
        recipe.optimizer.zero_grad()
        loss.backward()
        self._processes.draw_alike()
        weights = recipe.network.parameters()
        value, self._main_s = self._processes.average(weights, loss, self.clock.seconds)
        if not math.isfinite(value):
            raise InputError(
                f"The loss of step {self.step + 1} in '{self.folder}' is {value}, which nothing "
                "can be learned from; take a lower learning rate or look at the data.",
                {"learning rate": recipe.learning_rate_option},
            )
        if config.max_gradient_norm is not None:
            nn.utils.clip_grad_norm_(recipe.network.parameters(), config.max_gradient_norm)
        recipe.optimizer.step()
        self.step += 1
        if recipe.average is not None:
            recipe.average.update_parameters(recipe.network)
        return value

    def is_over(self) -> bool:
        """Whether all steps are done or the time is up, or the last improvement is too long ago."""
        config = self.config
        if self.schedule_step >= config.steps:
            return True
        if config.patience is None:
            return False
        return self.step - self.best_step >= config.patience * config.eval_every

    @property
    def schedule_step(self) -> int:
        """How much of `steps` is over, by number or by time."""
        config = self.config
        if config.minutes is None:
            return self.step
        return min(config.steps, int(config.steps * self._seconds / (60 * config.minutes)))

    @property
    def _seconds(self) -> float:
        """How long the run has been training, the same for all its processes."""
        return self.clock.seconds if self._processes.count == 1 else self._main_s

    def _is_evaluation_due(self, begin_s: float) -> bool:
        config = self.config
        if config.minutes is None:
            return self.step % config.eval_every == 0 or self.step >= config.steps
        return self._seconds - begin_s >= config.eval_seconds or self.is_over()

    def save(self) -> None:
        """Write everything needed to go on, atomically."""
        progress = {
            "step": self.step,
            f"best_{self.recipe.score_name}": self.best_score,
            "best_step": self.best_step,
        }
        if self.config.minutes is not None:  # without, a run's files do not depend on the machine
            progress["seconds"] = self.clock.seconds
        save_checkpoint(self.checkpoint, self._parts(), progress, self.recipe.run_key)

    def resume(self) -> None:
        """Go on from the checkpoint; InputError if it belongs to another run."""
        progress = load_checkpoint(self.checkpoint, self._parts(), self.recipe.run_key)
        with replaceable(self.checkpoint):
            self.step = whole_number(progress, "step", 0)
            self.best_step = whole_number({"best_step": self.step} | progress, "best_step", 0)
            self.clock.before = json_number({"seconds": 0.0} | progress, "seconds", 0, _LONGEST_S)
            # minus infinity where no score was a number
            self.best_score = float(progress[f"best_{self.recipe.score_name}"])
        if self.recipe.average is not None:
            set_count(self.recipe.average, self.step + 1)

    def _parts(self) -> dict[str, Part]:
        return {**self.recipe.parts(), "rng": self._random}
