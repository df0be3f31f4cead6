"""The recurrent regressor learns what constant velocity does not know, and remembers."""

import torch

from kinflow.evaluation.motion_models import going_on, rolled_out
from kinflow.evaluation.recurrent_model import Recurrent, RecurrentConfig, fitted
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.priors.dynamics import LatentMotion
from kinflow.priors.dynamics.state import contexts, steps
from kinflow.training.priors.dynamics_data import LONGEST, Recorded, Steps

DT_S = 1 / 30


def swinging(frames: int, phase: float) -> Recorded:
    """One whose latents swing while they walk straight on, as one sequence."""
    t = torch.arange(frames) / 30
    z = torch.stack([(4 * t + phase).sin(), (4 * t + phase).cos()], -1)
    R = rotvec_to_matrix(torch.zeros(frames, 3))
    root_m = t[:, None] * torch.tensor([0.0, 0.0, 1.0])
    rows = torch.arange(2, frames)
    inner = torch.arange(1, frames - LONGEST)
    nothing = torch.zeros(0)
    return Recorded(
        LatentMotion(z, R, root_m),
        {1: rows},
        {1: torch.ones(len(rows))},
        {1: inner},
        {1: torch.ones(len(inner))},
        nothing.reshape(0, 22, 3),
        nothing.reshape(0, 19, 3, 3),
    )


def steps_of(recorded: Recorded) -> Steps:
    found = recorded.steps(recorded.last[1], 1)
    noise = 1e-3 * torch.randn(found.x.shape, generator=torch.Generator().manual_seed(0))
    return Steps(found.x + noise, found.context, found.dt_s)


def test_before_training_it_is_constant_velocity():
    training = steps_of(swinging(120, 0.0))
    model = Recurrent(training, 2, DT_S, 8)
    motion = swinging(60, 1.0).motion
    past = LatentMotion(motion.z[None, :2], motion.R_root[None, :2], motion.root_m[None, :2])
    found, x = model.steps_ahead(past, 5)
    goes_on = rolled_out(going_on(2, DT_S), past, 5, DT_S)
    torch.testing.assert_close(found.z, goes_on.z)
    torch.testing.assert_close(found.root_m, goes_on.root_m)
    torch.testing.assert_close(steps(past.frames(-1).then(found), torch.tensor([DT_S])), x)


def test_training_makes_forecasts_of_others_better():
    recorded, other = swinging(200, 0.0), swinging(200, 2.0)
    training = steps_of(recorded)
    config = RecurrentConfig(hidden=24, frames=10, batch=32, steps=120, rate=1e-2, asked=30)
    model = fitted([recorded], training, steps_of(other), DT_S, config)
    rows = torch.arange(10, 100, 7)[:, None] + torch.arange(0, 12)
    motion = other.motion_at(rows)
    past, truth = motion.frames(0, 2), motion.frames(2)
    with torch.no_grad():
        found, _ = model.steps_ahead(past, 10)
    goes_on = rolled_out(going_on(2, DT_S), past, 10, DT_S)
    error, before = ((m.z - truth.z).norm(dim=-1).mean() for m in (found, goes_on))
    assert error < 0.5 * before
    context = contexts(motion.frames(0, 2), torch.tensor([DT_S]))[:, 0]
    assert model.mean(context).shape == (len(rows), 8)
