"""Two processes that train together take the way of one, also when one of them is killed."""

import importlib.util
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from forked import start
from shared_run import EVAL_EVERY, STEPS, SharedRecipe, run_shared, shared_loop
from toy_run import toy_loop

from kinflow.errors import InputError
from kinflow.files.tensor_files import read_tensors
from kinflow.training.loop import Loop
from kinflow.training.processes import Processes

needs_accelerate = pytest.mark.skipif(
    importlib.util.find_spec("accelerate") is None,
    reason="needs accelerate (pip install 'kinflow[train]')",
)


@contextmanager
def started(folder: Path, steps: int, *more: bool, count: int = 2) -> Iterator[list]:
    """Processes as `accelerate launch` and `torchrun` start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        start(
            run_shared,
            *(folder, steps, *more),
            told=told_by(folder, rank),
            WORLD_SIZE=str(count),
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=str(port),
            CUDA_VISIBLE_DEVICES="",
        )
        for rank in range(count)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.join()


def told_by(folder: Path, rank: int) -> Path:
    return folder.with_name(f"{folder.name}_{rank}.txt")


def run_together(folder: Path, steps: int = STEPS) -> None:
    with started(folder, steps) as processes:
        for rank, process in enumerate(processes):
            process.join(120)
            assert process.exitcode == 0, told_by(folder, rank).read_text()


def curve(folder: Path) -> np.ndarray:
    """Step, loss and score of each evaluation."""
    return np.loadtxt(folder / "log.csv", delimiter=",")


def weights(folder: Path) -> torch.Tensor:
    _, tensors = read_tensors(folder / "weights.safetensors", what="weights")
    return torch.cat([tensor.flatten() for tensor in tensors.values()])


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """The run of one process."""
    folder = tmp_path_factory.mktemp("alone")
    shared_loop(folder).run()
    return folder


@needs_accelerate
def test_two_processes_learn_what_one_learns(alone, tmp_path):
    run_together(tmp_path)
    assert len(curve(alone)) == STEPS // EVAL_EVERY
    assert np.allclose(curve(tmp_path), curve(alone), atol=2e-4)
    torch.testing.assert_close(weights(tmp_path), weights(alone), rtol=1e-4, atol=1e-5)
    drawn = {(tmp_path / f"drawn{index}.txt").read_text() for index in (0, 1)}
    assert len(drawn) == 2, "dropout of two processes is not the same"
    events = [path.name for path in tmp_path.iterdir() if path.name.startswith("events")]
    assert len(events) == 1, "only one process writes"


@needs_accelerate
def test_a_run_whose_process_is_killed_goes_on_with_as_many_or_fewer(alone, tmp_path):
    with started(tmp_path, STEPS, True) as processes:
        deadline = time.monotonic() + 100
        while not (tmp_path / "checkpoint.safetensors").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        processes[1].kill()
        # what a launcher does to the others, if they do not notice
    done = len(curve(tmp_path))
    assert done < STEPS // EVAL_EVERY
    run_together(tmp_path, steps=24)
    assert len(curve(tmp_path)) == 6
    shared_loop(tmp_path).run()
    assert np.allclose(curve(tmp_path), curve(alone), atol=2e-4)
    torch.testing.assert_close(weights(tmp_path), weights(alone), rtol=1e-4, atol=1e-5)


class Two:
    """What accelerate is for one of two processes, the other of which has only zeros."""

    device, num_processes = torch.device("cpu"), 2

    def __init__(self, process_index: int) -> None:
        self.process_index = process_index

    def reduce(self, tensor: torch.Tensor, reduction: str) -> torch.Tensor:
        assert reduction == "mean"
        return tensor / 2


def test_gradients_losses_and_the_main_clock_are_shared():
    parameters = [torch.nn.Parameter(torch.ones(2, 3)), torch.nn.Parameter(torch.ones(1))]
    parameters[0].grad = torch.arange(6.0).view(2, 3)
    told = Processes(Two(0)).average(parameters, torch.tensor(3.0), 7.0)
    assert told == (1.5, 7.0)
    assert torch.equal(parameters[0].grad, torch.arange(6.0).view(2, 3) / 2)
    assert parameters[1].grad is None
    assert Processes(Two(1)).average([], torch.tensor(3.0), 7.0) == (1.5, 0.0)


def test_parts_of_a_batch_make_the_whole_and_random_numbers_agree_afterwards():
    batch = torch.arange(8)
    parts, own, alike = [], [], []
    for index in (0, 1):
        torch.manual_seed(5)
        processes = Processes(Two(index))
        parts += [processes.own_part(batch), processes.own_part(batch)]
        own.append(torch.rand(1).item())
        processes.draw_alike()
        alike.append(torch.rand(1).item())
    torch.manual_seed(5)
    assert torch.equal(torch.cat(parts[::2]), batch) and torch.equal(parts[0], parts[1])
    assert own[0] != own[1]
    assert alike[0] == alike[1] == torch.rand(1).item()
    assert Processes().own_part(batch) is batch
    with pytest.raises(InputError, match="A batch of 7 cannot be divided among 2"):
        Processes(Two(0)).own_part(batch[:7])


def test_who_cannot_be_shared_or_does_not_begin_alike_is_told(tmp_path):
    loop = toy_loop(tmp_path)
    with pytest.raises(InputError, match="runs in one process"):
        Loop(loop.recipe, loop.config, tmp_path, Processes(Two(0)))
    with pytest.raises(InputError, match="do not begin alike"):
        Processes(Two(0)).check_alike(3, SharedRecipe().network.state_dict().values())
