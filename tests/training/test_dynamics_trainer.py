"""`kinflow train dynamics`: it learns how people move, and goes on after a kill."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kinflow.body.skeleton import FREE_JOINTS, JOINT_NAMES
from kinflow.datasets.motion_sets import MotionSet
from kinflow.errors import InputError
from kinflow.evaluation.motion_models import GaussianSteps, autoregression
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.priors.dynamics import Dynamics
from kinflow.training.priors import dynamics_trainer
from kinflow.training.priors.dynamics_data import Recorded
from kinflow.training.priors.dynamics_trainer import (
    DynamicsRecipe,
    TrainDynamicsConfig,
    jittered,
    noise_std,
    train,
)

SUBJECTS = ("01", "02", "03", "05")
ARMS = [FREE_JOINTS.index(JOINT_NAMES.index(f"{side}_shoulder")) for side in ("left", "right")]
FRAMES = 150


def waving_people(subjects: tuple[str, ...] = SUBJECTS) -> MotionSet:
    """People who wave their arms, at paces of their own, and walk along their heading."""
    generator = torch.Generator().manual_seed(0)
    t = torch.arange(FRAMES) / 30
    R_free, R_root, root_m = [], [], []
    for _ in subjects:
        pace, phase, heading = (6.0 * torch.rand(3, generator=generator)).tolist()
        rotvec = 0.02 * torch.randn(FRAMES, 19, 3, generator=generator)
        swing = 0.8 * torch.sin((3 + pace) * t + phase)
        rotvec[:, ARMS[0], 2] = swing - 0.5
        rotvec[:, ARMS[1], 2] = swing + 0.5
        R_free.append(rotvec_to_matrix(rotvec))
        turn = torch.zeros(FRAMES, 3)
        turn[:, 1] = heading + 0.3 * t
        R_root.append(rotvec_to_matrix(turn))
        ahead = torch.stack([t.new_full((FRAMES,), math.sin(heading)), 0 * t, t * 0 + 1], -1)
        root_m.append(ahead * t[:, None] + torch.tensor([0.0, 0.95, 0.0]))
    sequence = torch.arange(len(subjects)).repeat_interleave(FRAMES)
    return MotionSet(
        torch.cat(R_free), torch.cat(R_root), torch.cat(root_m), sequence, subjects, subjects
    )


def config_of(out: Path, **changed) -> TrainDynamicsConfig:
    short = TrainDynamicsConfig(
        (Path("motions"),), out, hidden=16, couplings=1, batch_size=32, steps=12, eval_every=4
    )
    return replace(short, **changed)


@pytest.fixture
def recorded_people(monkeypatch):
    monkeypatch.setattr(dynamics_trainer, "read_motion_set", lambda folders: waving_people())


def test_it_begins_as_the_autoregression_that_fits_best(prior):
    recipe = DynamicsRecipe(config_of(Path("out")), waving_people(), prior)
    both = [part.steps(part.last[1], 1) for part in recipe.training]
    steps = dynamics_trainer.joined(both)
    noise = noise_std(steps)[0]
    var = GaussianSteps.about(autoregression(steps.context, steps.x), steps.context, steps.x, noise)
    blurred = jittered(steps, torch.Generator().manual_seed(0))
    with torch.no_grad():
        density = recipe.network.density
        own = density.log_prob(blurred.x, blurred.context, blurred.dt_s).mean()
    # correlations are shared by the frame rates, so a little is lost
    expected = float(var.log_prob(blurred.x, blurred.context).mean())
    assert float(own) == pytest.approx(expected, abs=2.5)


def test_training_helps_on_people_it_has_not_seen(prior):
    config = config_of(Path("out"), hidden=32, batch_size=64, dropout=0.0)
    recipe = DynamicsRecipe(config, waving_people(), prior)
    before, course = recipe.evaluate(), recipe._course_error
    for step in range(150):
        recipe.optimizer.zero_grad()
        recipe.loss(step).backward()
        recipe.optimizer.step()
        recipe.average.update_parameters(recipe.network)
    assert recipe.evaluate() > before and recipe._course_error < course


def test_a_killed_run_continues_to_the_same_weights(recorded_people, tmp_path, monkeypatch):
    whole = config_of(tmp_path / "whole")
    train(whole, "a command")
    killed, calls, keep = replace(whole, out=tmp_path / "killed"), [], DynamicsRecipe.keep

    def killed_at_the_second(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        keep(*args)

    monkeypatch.setattr(DynamicsRecipe, "keep", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        train(killed, "a command")
    monkeypatch.setattr(DynamicsRecipe, "keep", keep)
    torch.manual_seed(123)  # whatever the state of the new process
    train(killed, "a command")
    a, b = (Dynamics.load(c.out / "dynamics.safetensors") for c in (whole, killed))
    assert a.info == b.info and a.info.command == "a command"
    assert len(a.info.data_sha256) == 64 and "validation_nats" in a.info.metrics
    for name, value in a.network.state_dict().items():
        assert torch.equal(value, b.network.state_dict()[name])


def test_recordings_without_validation_subjects_are_refused(prior):
    with pytest.raises(InputError, match="no validation"):
        DynamicsRecipe(config_of(Path("out")), waving_people(("01", "03")), prior)


def test_noise_in_metres_is_more_velocity_at_a_higher_rate(prior):
    recorded = Recorded.of(waving_people(("01",)), prior)
    fast, slow = (noise_std(recorded.steps(recorded.last[s][:1], s))[0] for s in (1, 3))
    torch.testing.assert_close(fast[-6:], 3 * slow[-6:])
    assert torch.equal(fast[:-6], slow[:-6])
