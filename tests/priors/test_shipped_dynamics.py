"""The dynamics that ship: what they take for likely, and that what they draw stays human."""

import math

import pytest
import torch

from kinflow.body.skeleton import FREE_JOINTS, JOINT_NAMES
from kinflow.errors import InputError
from kinflow.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix
from kinflow.priors.dynamics import Dynamics, LatentMotion

DT_S = 1 / 30
FREE_NAMES = [JOINT_NAMES[joint] for joint in FREE_JOINTS]
WAY = (0.0, 0.0, 1.2)
"""Metres a second."""


@pytest.fixture(scope="module")
def dynamics() -> Dynamics:
    return Dynamics.load()


def walker(prior, frames: int, dt_s: float = DT_S) -> LatentMotion:
    """Somebody who walks ahead along z, 1.8 steps a second, arms swinging against legs."""
    t = torch.arange(frames) * dt_s
    swing = torch.sin(math.pi * 1.8 * t)
    rotvec = torch.zeros(frames, 19, 3)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        rotvec[:, FREE_NAMES.index(f"{side}_hip"), 0] = -0.1 - 0.4 * sign * swing
        rotvec[:, FREE_NAMES.index(f"{side}_knee"), 0] = 0.35 + 0.25 * sign * swing.roll(4)
        arm = rotvec_to_matrix(torch.stack([0.35 * sign * swing, 0 * t, 0 * t], -1))
        hang = rotvec_to_matrix(torch.tensor([0.0, 0.0, -sign * math.radians(75)]))
        rotvec[:, FREE_NAMES.index(f"{side}_shoulder")] = matrix_to_rotvec(arm @ hang)
        rotvec[:, FREE_NAMES.index(f"{side}_elbow"), 1] = -sign * 0.3
    with torch.no_grad():
        z = prior.encode(rotvec_to_matrix(rotvec))
    root_m = t[:, None] * torch.tensor(WAY) + torch.tensor([0.0, 0.95, 0.0])
    return LatentMotion(z, torch.eye(3).expand(frames, 3, 3), root_m)


def test_origin_is_recorded(dynamics, prior):
    info = dynamics.info
    assert info.command.startswith("kinflow train dynamics")
    assert len(info.data_sha256) == 64 and info.prior_sha256 == prior.info.data_sha256
    assert dynamics.latent_dim == prior.latent_dim
    assert dynamics.network.density.config.latent == prior.latent_dim


def test_smooth_motion_is_likelier_than_the_same_with_noise(dynamics, prior):
    motion = walker(prior, 40)
    shaken = LatentMotion(
        motion.z + 0.3 * torch.randn(motion.z.shape, generator=torch.Generator().manual_seed(0)),
        motion.R_root,
        motion.root_m,
    )
    assert dynamics.sequence_log_prob(motion, DT_S) > dynamics.sequence_log_prob(shaken, DT_S) + 500


def test_who_walks_ahead_is_likelier_than_who_slides_sideways(dynamics, prior):
    motion = walker(prior, 40)
    sideways = LatentMotion(motion.z, motion.R_root, motion.root_m[:, (2, 1, 0)])
    assert dynamics.sequence_log_prob(motion, DT_S) > dynamics.sequence_log_prob(sideways, DT_S)


def test_who_walks_goes_on(dynamics, prior):
    for rate_hz in (30, 15, 10):
        past = walker(prior, 3, 1 / rate_hz)
        ahead = dynamics.predict(past, rate_hz, 1 / rate_hz)
        went = ahead.root_m[-1] - past.root_m[-1]
        assert 0.6 < went[2] < 1.6 and abs(float(went[1])) < 0.2


def test_a_missing_step_is_filled_in_near_where_it_was(dynamics, prior):
    motion = walker(prior, 13)
    filled = dynamics.inbetween(motion.frames(0, 2), motion.frames(-1), 10, DT_S)
    assert filled.num_frames == 10
    assert (filled.root_m - motion.root_m[2:12]).norm(dim=-1).max() < 0.1
    R, truth = prior.decode(filled.z), prior.decode(motion.z[2:12])
    angle = matrix_to_rotvec(R.mT @ truth).norm(dim=-1)
    assert torch.rad2deg(angle).mean() < 10


def test_samples_of_five_seconds_stay_human(dynamics, prior):
    past = walker(prior, 2)
    rows = torch.zeros(16, dtype=torch.long)
    crowd = LatentMotion(past.z[None][rows], past.R_root[None][rows], past.root_m[None][rows])
    drawn = dynamics.sample(crowd, 150, DT_S, torch.Generator().manual_seed(0))
    for value in (drawn.z, drawn.R_root, drawn.root_m):
        assert value.isfinite().all()
    # latents of people are standard normal
    assert drawn.z.square().mean(-1).quantile(0.99) < 4
    knees = [FREE_NAMES.index(f"{side}_knee") for side in ("left", "right")]
    flexion = torch.rad2deg(matrix_to_rotvec(prior.decode(drawn.z))[..., knees, 0])
    assert ((flexion > -15) & (flexion < 160)).float().mean() > 0.95
    speed = torch.diff(drawn.root_m, dim=1).norm(dim=-1) / DT_S
    assert speed.median() < 3 and speed.max() < 12
    assert (drawn.R_root[..., 1, 1] > 0.5).float().mean() > 0.8  # most stay on their feet
    spread = drawn.root_m[:, -1].std(0)
    assert spread[0] > 0.05 and spread[2] > 0.05  # and go ways of their own


def test_another_frame_rate_than_was_trained_is_refused(dynamics, prior):
    with pytest.raises(InputError, match="every second or third frame"):
        dynamics.log_prob(walker(prior, 5), 1 / 60)
