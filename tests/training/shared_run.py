"""A run without dropout that several processes share."""

import time
from pathlib import Path

import torch
from torch import Tensor, nn
from toy_run import ToyRecipe

from kinflow.training.averaging import mean_at_first, weight_average
from kinflow.training.loop import Loop, LoopConfig
from kinflow.training.processes import Processes
from kinflow.training.schedules import warm_up_and_cosine

STEPS, EVAL_EVERY = 40, 4


class SharedRecipe(ToyRecipe):
    """Each process works on its part of the same numbers."""

    is_shared = True

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(3, 8), nn.SiLU(), nn.Linear(8, 1))
        self.average = weight_average(self.network, mean_at_first(0.9))
        self.optimizer = torch.optim.AdamW(self.network.parameters(), 0.01)
        self.dropped: list[float] = []

    def loss(self, step: int) -> Tensor:
        x = self.stream.read() + 0.1 * torch.randn(8, 3)
        x = self.processes.own_part(x)
        if self.processes.count > 1:  # as dropout would, whose numbers one process lacks later
            self.dropped.append(float(torch.rand(())))
        y = x.sin().sum(1, keepdim=True)
        return (self.network(x) - y).square().mean()


def shared_loop(folder: Path, steps: int = STEPS, processes: Processes | None = None) -> Loop:
    """The run in a folder."""
    schedule = warm_up_and_cosine(0.02, STEPS, warm_up=5)
    config = LoopConfig(steps, EVAL_EVERY, schedule, max_gradient_norm=1.0, seed=11)
    return Loop(SharedRecipe(), config, folder, processes)


def run_shared(folder: Path, steps: int, slowly: bool = False) -> None:
    """The part of one process, which finds in its environment what a launcher says there."""
    torch.set_num_threads(1)
    processes = Processes.started()
    loop = shared_loop(folder, steps, processes)
    if slowly:  # until it is killed
        step = loop.train_step
        loop.train_step = lambda: (time.sleep(0.1), step())[1]
    loop.run()
    (folder / f"drawn{processes.index}.txt").write_text(str(loop.recipe.dropped[-1]))
