"""The training loop: a run that was killed anywhere ends like one that was not, to the bit."""

import itertools
import random
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from forked import FORKED, start
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer
from toy_run import EVAL_EVERY, STEPS, run_slowly, toy_loop

from kinflow.errors import InputError
from kinflow.files.tensor_files import CHECKSUM, read_tensors
from kinflow.training import loop as loop_module
from kinflow.training.averaging import fast_at_first, mean_at_first, weight_average
from kinflow.training.checkpoint import save_checkpoint
from kinflow.training.loop import Loop, LoopConfig
from kinflow.training.processes import Processes
from kinflow.training.schedules import constant_and_linear_end, cosine, warm_up_and_cosine
from kinflow.training.seeds import RandomStates, seed_everything

SHORT = 3 * EVAL_EVERY


def what_is_left(folder: Path) -> dict[str, object]:
    """Everything that a finished run is judged by: weights, all states, and its log."""
    left: dict[str, object] = {"log": (folder / "log.csv").read_bytes()}
    for name in ("weights.safetensors", "checkpoint.safetensors"):
        with safe_open(folder / name, framework="pt") as file:
            left[name] = file.metadata()  # with a checksum of all that is in the file
            assert CHECKSUM in file.metadata()
    return left


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    toy_loop(folder).run()
    return folder


class Interrupted(Exception):
    pass


@pytest.fixture
def seconds_apart():
    """Event files are read in the order of their names, which hold whole seconds: no two runs here
    may begin within one."""
    clock = itertools.count(time.time())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_file_writer.time, "time", lambda: next(clock))
        yield


def interrupt(monkeypatch, target, name: str, call: int, afterwards: bool) -> None:
    """Stop the run at a call of a function, before it does anything or when it is done."""
    function, calls = getattr(target, name), []

    def stopping(*args, **kwargs):
        calls.append(args)
        if len(calls) == call and not afterwards:
            raise Interrupted
        result = function(*args, **kwargs)
        if len(calls) == call:
            raise Interrupted
        return result

    monkeypatch.setattr(target, name, stopping)


@pytest.mark.parametrize("afterwards", [False, True])
@pytest.mark.parametrize(
    ("where", "call"),
    [
        *(("train_step", step) for step in range(EVAL_EVERY, 2 * EVAL_EVERY + 2)),
        *(("keep", call) for call in (1, 2)),
        *(("write", call) for call in (1, 2, 3)),
        *(("save", call) for call in (1, 2, 3)),
        ("evaluate", 2),
    ],
)
def test_a_run_interrupted_around_a_checkpoint_ends_the_same(
    tmp_path, monkeypatch, seconds_apart, where, call, afterwards
):
    toy_loop(tmp_path / "whole", steps=SHORT).run()
    loop = toy_loop(tmp_path / "stopped", steps=SHORT)
    target = {"write": loop_module.RunLog, "keep": loop.recipe, "evaluate": loop.recipe}
    interrupt(monkeypatch, target.get(where, loop), where, call, afterwards)
    with pytest.raises(Interrupted):
        loop.run()
    monkeypatch.undo()
    seed_everything(999)  # whatever the state of the new process
    toy_loop(tmp_path / "stopped", steps=SHORT).run()
    assert what_is_left(tmp_path / "stopped") == what_is_left(tmp_path / "whole")
    events = EventAccumulator(str(tmp_path / "stopped")).Reload()
    assert [s.step for s in events.Scalars("score")] == [4, 8, 12]


def test_a_run_killed_at_random_moments_ends_the_same(tmp_path):
    def started(name):
        begins = FORKED.Event()
        process = start(run_slowly, tmp_path / name, begins, told=tmp_path / f"{name}.txt")
        assert begins.wait(120), (tmp_path / f"{name}.txt").read_text()
        return process

    def ended(name):
        process = started(name)
        process.join(120)
        assert process.exitcode == 0, (tmp_path / f"{name}.txt").read_text()

    # in a process of the same kind
    ended("whole")
    rng = random.Random(0)
    for _ in range(4):
        process = started("killed")
        time.sleep(rng.uniform(0.1, 1.2))
        process.kill()
        process.join(120)
        assert process.exitcode == -signal.SIGKILL
    ended("killed")
    assert what_is_left(tmp_path / "killed") == what_is_left(tmp_path / "whole")


def test_a_finished_run_is_left_alone_and_may_be_made_longer(tmp_path, undisturbed):
    toy_loop(tmp_path, steps=SHORT).run()
    before = what_is_left(tmp_path)
    toy_loop(tmp_path, steps=SHORT).run()
    assert what_is_left(tmp_path) == before
    toy_loop(tmp_path).run()
    assert what_is_left(tmp_path) == what_is_left(undisturbed)


def test_a_torn_row_of_the_log_is_written_again(tmp_path):
    toy_loop(tmp_path, steps=SHORT).run()
    whole = (tmp_path / "log.csv").read_bytes()
    (tmp_path / "log.csv").write_bytes(whole + b"16,0.1234,-0.2000\r\n1")
    toy_loop(tmp_path, steps=SHORT).run()
    assert (tmp_path / "log.csv").read_bytes() == whole


def test_the_best_weights_are_those_of_the_best_evaluation(undisturbed):
    rows = [line.split(",") for line in (undisturbed / "log.csv").read_text().splitlines()]
    assert [int(row[0]) for row in rows] == list(range(EVAL_EVERY, STEPS + 1, EVAL_EVERY))
    texts, weights = read_tensors(undisturbed / "weights.safetensors", what="weights")
    best = max(rows, key=lambda row: float(row[2]))
    assert texts["step"] == best[0]
    loop = toy_loop(undisturbed)
    loop.recipe.average.module.load_state_dict(weights)
    assert loop.recipe.evaluate() == pytest.approx(float(best[2]), abs=1e-4)


def test_training_stops_without_improvement(tmp_path, monkeypatch):
    loop = toy_loop(tmp_path)
    scores = iter([0.5, 1.0, 0.9, 0.8, 0.7, 2.0])
    monkeypatch.setattr(loop.recipe, "evaluate", lambda: next(scores))
    loop.config = LoopConfig(STEPS, EVAL_EVERY, lambda _: 0.01, patience=3)
    loop.run()
    assert (loop.step, loop.best_step, loop.best_score) == (5 * EVAL_EVERY, 2 * EVAL_EVERY, 1.0)


def test_a_budget_of_time_is_kept_over_interruptions(tmp_path, capsys):
    rates = []

    def timed(seconds: float) -> Loop:
        loop = toy_loop(tmp_path)
        peak = warm_up_and_cosine(0.01, 1000)
        loop.config = LoopConfig(1000, 1, lambda step: rates.append(step) or peak(step))
        loop.config = replace(loop.config, minutes=seconds / 60, eval_seconds=0.1)
        return loop

    first = timed(0.6)
    first.run()
    assert 0.6 <= first.clock.seconds < 5 and first.is_over()
    assert rates == sorted(rates) and rates[0] < 200 and rates[-1] > 500
    assert capsys.readouterr().out.count("score") >= 2  # a line for each evaluation
    rates.clear()
    longer = timed(20.0)
    longer.resume()
    assert longer.clock.seconds == pytest.approx(first.clock.seconds, abs=0.5)
    assert longer.step == first.step and not longer.is_over()
    again = timed(0.6)
    again.run()
    assert again.step == first.step and not rates


def test_time_that_is_up_while_a_checkpoint_is_written_stays_up(tmp_path, monkeypatch):
    def slowly(*args) -> None:
        time.sleep(0.3)
        save_checkpoint(*args)

    monkeypatch.setattr(loop_module, "save_checkpoint", slowly)
    steps = []
    for _ in range(2):
        loop = toy_loop(tmp_path)
        loop.config = replace(loop.config, steps=1000, minutes=0.6 / 60, eval_seconds=0.1)
        loop.run()
        steps.append(loop.step)
    assert steps[0] == steps[1] > 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_run_and_leaves_its_files(tmp_path, monkeypatch, value):
    loop = toy_loop(tmp_path)
    loss = loop.recipe.loss
    monkeypatch.setattr(loop.recipe, "loss", lambda step: loss(step) * (value if step == 9 else 1))
    with pytest.raises(InputError, match=r"The loss of step 10 in .* is (nan|inf).*learning rate"):
        loop.run()
    assert all(parameter.isfinite().all() for parameter in loop.recipe.network.parameters())
    fresh = toy_loop(tmp_path)
    fresh.resume()
    assert fresh.step == 2 * EVAL_EVERY


def test_scores_that_are_no_numbers_leave_no_weights(tmp_path, monkeypatch):
    loop = toy_loop(tmp_path, steps=SHORT)
    monkeypatch.setattr(loop.recipe, "evaluate", lambda: float("nan"))
    with pytest.raises(InputError, match="never gave a score that is a number"):
        loop.run()


def test_generators_go_on_where_they_were():
    seed_everything(5)
    np.random.randn(), random.gauss(0, 1)  # each keeps the second of a pair for the next call
    states = RandomStates().state_dict()
    drawn = [
        (torch.rand(2).tolist(), np.random.randn(), np.random.rand(), random.gauss(0, 1))
        for _ in range(2)
    ]
    RandomStates().load_state_dict(states)
    assert drawn[0] == (
        torch.rand(2).tolist(),
        np.random.randn(),
        np.random.rand(),
        random.gauss(0, 1),
    )


def test_schedules():
    for schedule in (cosine(2.0, 1000), warm_up_and_cosine(2.0, 1000)):
        assert schedule(1000) == pytest.approx(0.0, abs=1e-9)
        assert schedule(500) == pytest.approx(1.0)
    assert cosine(2.0, 1000)(0) == 2.0
    assert warm_up_and_cosine(2.0, 1000)(0) == pytest.approx(0.02)
    constant = constant_and_linear_end(2.0, 1000, end=0.25)
    assert constant(0) == pytest.approx(0.02) and constant(100) == constant(750) == 2.0
    assert constant(875) == pytest.approx(1.0) and constant(999) == pytest.approx(0.008)
    assert constant_and_linear_end(2.0, 1000, end=0.0)(999) == 2.0


@pytest.mark.parametrize("decay", [mean_at_first(0.9), fast_at_first(0.9)])
def test_averages_follow_weights_and_running_statistics(decay):
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    average = weight_average(network, decay)
    expected = {k: v.clone() for k, v in network.state_dict().items()}
    for count in range(1, 40):
        network(torch.randn(4, 2))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += torch.randn_like(parameter)
        average.update_parameters(network)
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                expected[name] = decay(count) * expected[name] + (1 - decay(count)) * value
    assert decay(1) <= 0.5 and decay(1000) == 0.9
    for name, value in average.module.state_dict().items():
        torch.testing.assert_close(value, expected[name])


def test_a_mean_at_first_is_the_plain_mean():
    network = torch.nn.Linear(1, 1, bias=False)
    average = weight_average(network, mean_at_first(0.999))
    seen = [network.weight.item()]
    for value in (1.0, -2.0, 5.0):
        network.weight.data.fill_(value)
        average.update_parameters(network)
        seen.append(value)
    assert average.module.weight.item() == pytest.approx(sum(seen) / len(seen), abs=1e-6)


def test_several_processes_take_accelerate(monkeypatch):
    assert Processes.started().count == 1 and Processes.started().is_main
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(InputError, match=r"pip install 'kinflow\[train\]'"):
        Processes.started()
