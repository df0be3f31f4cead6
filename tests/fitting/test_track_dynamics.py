"""People through frames, and what the dynamics say: likelier motion, and nothing where they do not
know the frame rate or the pose prior."""

from dataclasses import replace

import pytest
import torch

import kinflow.priors
from kinflow.energy.dynamics import StepModel
from kinflow.energy.unknowns import Unknowns
from kinflow.errors import InputError
from kinflow.fitting.sequence import TrackFitter
from kinflow.fitting.sequence_config import SequenceConfig
from kinflow.fitting.starts import R_CAM_UPRIGHT
from kinflow.fitting.track_dynamics import (
    TrackDynamicsConfig,
    bridged,
    dynamics_for,
    steps_about,
)
from kinflow.fitting.track_targets import TrackWindow
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.metrics.pose import pa_mpjpe
from kinflow.priors.dynamics import Dynamics, LatentMotion

FRAMES, DT_S = 26, 1 / 30
MISSED = range(9, 18)
UP = torch.tensor([0.0, -1.0, 0.0])
R_WORLD_CAM = torch.diag(torch.tensor([1.0, -1.0, -1.0]))


@pytest.fixture(scope="module")
def drawn() -> Unknowns:
    """Somebody who moves as the dynamics say, from standing on."""
    dynamics = Dynamics.load()
    z = torch.zeros(2, dynamics.latent_dim)
    start = LatentMotion(
        z,
        (R_WORLD_CAM @ R_CAM_UPRIGHT).expand(2, 3, 3),
        torch.tensor([0.0, 0.0, -4.0]).expand(2, 3),
    )
    ahead = dynamics.sample(start, 30 + FRAMES, DT_S, torch.Generator().manual_seed(5), 0.8)
    motion = ahead.frames(30)
    place = motion.root_m - motion.root_m.mean(0) + torch.tensor([0.0, 0.0, -4.0])
    s = torch.zeros(FRAMES, 6)
    return Unknowns(
        R_WORLD_CAM.mT @ motion.R_root, place @ R_WORLD_CAM, motion.z, s, torch.zeros(FRAMES)
    )


@pytest.fixture(scope="module")
def window(drawn, camera, see) -> TrackWindow:
    scene = see(drawn, camera, torch.Generator().manual_seed(1), noise_px=4.0)
    seen = [None if i in MISSED else one for i, one in enumerate(scene.evidence.people)]
    return TrackWindow(DT_S * torch.arange(FRAMES), tuple(seen))


def motion_of(bodies: Unknowns) -> LatentMotion:
    place = bodies.t_cam_root_m @ R_WORLD_CAM.mT
    return LatentMotion(bodies.z, R_WORLD_CAM @ bodies.R_cam_root, place)


def nats(bodies: Unknowns) -> float:
    return float(Dynamics.load().sequence_log_prob(motion_of(bodies), DT_S))


def test_motion_is_likelier_and_gaps_are_filled_as_people_move(fitter, drawn, window, camera):
    fits = []
    for weight in (0.0, TrackDynamicsConfig().weight):
        config = SequenceConfig(dynamics=TrackDynamicsConfig(weight))
        (fit,), _ = TrackFitter(fitter, config).fit([window], camera)
        fits.append(fit.bodies)
    without, with_them = fits
    assert nats(with_them) > nats(without) + 5 * FRAMES
    rows = torch.tensor(list(MISSED))
    truth = fitter.fitter.joints_m(drawn[rows])
    errors = [float(pa_mpjpe(fitter.fitter.joints_m(b[rows]), truth).mean()) for b in fits]
    assert errors[1] < errors[0]


def test_gaps_begin_on_the_way_that_the_dynamics_give_and_nothing_else_moves(drawn, window):
    dynamics = Dynamics.load()
    turns = rotvec_to_matrix(torch.tensor([[0.0, 0.02, 0.0]]) * torch.arange(FRAMES)[:, None])
    panned = replace(window, R_still_cam=turns)
    for track, bodies in ((window, drawn), (panned, panned.in_own(drawn))):
        found = track.in_still(bridged(dynamics, track, bodies, UP))
        past, goal = motion_of(drawn).frames(7, 9), motion_of(drawn).frames(18, 19)
        way = dynamics.inbetween(past, goal, len(MISSED), DT_S)
        rows = list(MISSED)
        torch.testing.assert_close(found.z[rows], way.z, atol=1e-4, rtol=1e-4)
        place = way.root_m @ R_WORLD_CAM
        torch.testing.assert_close(found.t_cam_root_m[rows], place, atol=1e-4, rtol=1e-4)
        others = [row for row in range(FRAMES) if row not in MISSED]
        torch.testing.assert_close(found.t_cam_root_m[others], drawn.t_cam_root_m[others])
        assert torch.equal(found.z[others], drawn.z[others])
    settled = replace(window, settled=12, known=drawn[:12], known_rows=torch.arange(12))
    assert torch.equal(bridged(dynamics, settled, drawn, UP).z[:12], drawn.z[:12])


def test_frame_rates_that_the_dynamics_do_not_know_are_left_to_accelerations(drawn, window):
    dynamics, config = Dynamics.load(), TrackDynamicsConfig()

    def model(times_s: torch.Tensor) -> StepModel | None:
        return steps_about(dynamics, replace(window, times_s=times_s), drawn, UP, config)

    steady = model(window.times_s)
    assert steady is not None and bool((steady.weight == config.weight).all())
    assert model(0.5 * window.times_s) is None
    late = window.times_s.clone()
    late[20:] += 0.05  # one frame was lost
    uneven = model(late)
    assert uneven is not None
    assert torch.nonzero(uneven.weight == 0)[:, 0].tolist() == [18, 19]


def test_only_latents_that_the_dynamics_know_are_judged():
    config = TrackDynamicsConfig()
    assert dynamics_for(kinflow.priors.load(), config) is Dynamics.load()
    assert dynamics_for(kinflow.priors.load("gaussian"), config) is None
    assert dynamics_for(kinflow.priors.load(), TrackDynamicsConfig(weight=0.0)) is None


@pytest.mark.parametrize(
    "change", [{"weight": -1.0}, {"cutoff": 0.0}, {"acceleration_widening": 0.0}]
)
def test_options_out_of_range_are_refused(change):
    with pytest.raises(InputError):
        TrackDynamicsConfig(**change)
