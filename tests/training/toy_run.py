"""A run that draws from every generator and reads its data in order."""

import json
import random
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import torch
import torch.utils.tensorboard  # which takes longer than the run
from rich.progress import Progress
from torch import Tensor, nn

from kinflow.files.tensor_files import write_tensors
from kinflow.training.averaging import mean_at_first, weight_average
from kinflow.training.checkpoint import Part
from kinflow.training.loop import Loop, LoopConfig, Recipe
from kinflow.training.schedules import warm_up_and_cosine
from kinflow.training.seeds import seed_everything

STEPS, EVAL_EVERY = 60, 4


class Stream:
    """Numbers in an order of its own, with a state."""

    def __init__(self) -> None:
        self._generator, self._read = torch.Generator().manual_seed(3), 0

    def read(self) -> Tensor:
        self._read += 1
        return torch.randn(8, 3, generator=self._generator) + 0.01 * self._read

    def state_dict(self) -> dict[str, Tensor]:
        return {"generator": self._generator.get_state(), "read": torch.tensor(self._read)}

    def load_state_dict(self, states: dict[str, Tensor]) -> None:
        self._generator.set_state(states["generator"])
        self._read = int(states["read"])


class ToyRecipe(Recipe):
    """Dropout, batch statistics and noise from torch, numpy and Python."""

    weights_name, score_name = "weights.safetensors", "score"

    def __init__(self, pause_s: float = 0.0) -> None:
        seed_everything(11)
        self.network = nn.Sequential(
            nn.Linear(3, 8), nn.BatchNorm1d(8), nn.SiLU(), nn.Dropout(0.2), nn.Linear(8, 1)
        )
        self.average = weight_average(self.network, mean_at_first(0.9))
        self.optimizer = torch.optim.AdamW(self.network.parameters(), 0.01, fused=True)
        self.run_key = json.dumps("toy")
        self.stream, self.pause_s = Stream(), pause_s

    def prepare(self, bar: Progress, step: int) -> None:
        """Draws numbers, more of them the first time."""
        torch.rand(10 if step == 0 else 1), np.random.rand(), random.random()

    def loss(self, step: int) -> Tensor:
        time.sleep(self.pause_s)
        x = self.stream.read() + 0.1 * float(np.random.randn()) + 0.1 * random.gauss(0, 1)
        y = x.sin().sum(1, keepdim=True) + 0.1 * torch.randn(len(x), 1)
        return (self.network(x) - y).square().mean()

    @torch.no_grad()
    def evaluate(self) -> float:
        x = torch.linspace(-1, 1, 30).view(10, 3)
        return -float((self.average.module(x) - x.sin().sum(1, keepdim=True)).square().mean())

    def keep(self, path: Path, step: int, score: float) -> None:
        write_tensors(path, self.average.module.state_dict(), {"step": str(step)})

    def parts(self) -> dict[str, Part]:
        return {
            "network": self.network,
            "average": self.average.module,
            "optimizer": self.optimizer,
            "stream": self.stream,
        }


def toy_loop(folder: Path, pause_s: float = 0.0, steps: int = STEPS) -> Loop:
    """The run in a folder."""
    schedule = warm_up_and_cosine(0.02, STEPS, warm_up=5)
    config = LoopConfig(steps, EVAL_EVERY, schedule, max_gradient_norm=1.0, seed=11)
    return Loop(ToyRecipe(pause_s), config, folder)


def run_slowly(folder: Path, begins: Event) -> None:
    """The run in a folder, in a process of its own."""
    torch.set_num_threads(1)
    loop = toy_loop(folder, pause_s=0.05)
    begins.set()
    loop.run()
