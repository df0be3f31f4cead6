"""Cleaning: a walk that is made and spoilt here comes back, and good motion stays as it is."""

from dataclasses import replace

import numpy as np
import pytest
import roma
import torch

from kinflow.body import BodyModel
from kinflow.body.kinematics import forward_kinematics
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.export.clean_motion import CleanConfig, clean
from kinflow.export.foot_lock import contacts, sliding_m_s
from kinflow.export.motion import Motion
from kinflow.export.quality import jitter_of
from kinflow.export.smoothing import smoothed
from kinflow.synth.rendering import coarse_mesh
from kinflow.synth.walks import walking

SHAPE = torch.tensor([0.3, 0.8, 0.5, 0.5, 0.5, 0.5])
UNHELD = CleanConfig(hold_feet=False)


@pytest.fixture(scope="module", params=[30.0, 120.0])
def walk(request) -> Motion:
    """Four seconds of somebody who walks and turns."""
    rate_hz = request.param
    body = coarse_mesh(BodyModel.load()).body
    person = walking(SHAPE, round(4 * rate_hz), rate_hz, body, 0.3)
    offsets_m = BodyModel.load("joints").with_shape(SHAPE).joint_offsets_m()
    return Motion(
        identity=0,
        start_s=0.0,
        period_s=1 / rate_hz,
        pose=person.pose.double().numpy(),
        t_world_root_m=person.root_m.double().numpy(),
        offsets_m=offsets_m.double().numpy(),
        shape=SHAPE.double().numpy(),
        seen=np.ones(len(person), bool),
    )


def noisy(motion: Motion, std_deg: float = 2.0, std_m: float = 0.01) -> Motion:
    rng = np.random.default_rng(0)
    rotvec = rng.normal(0, np.radians(std_deg), (len(motion), 22, 3))
    pose = motion.pose @ roma.rotvec_to_rotmat(torch.from_numpy(rotvec)).numpy()
    root_m = motion.t_world_root_m + rng.normal(0, std_m, (len(motion), 3))
    return replace(motion, pose=pose, t_world_root_m=root_m)


def flipped(motion: Motion, frames: slice, joint: str, turn_deg: float = 180.0) -> Motion:
    pose = motion.pose.copy()
    axis = torch.tensor([0.0, np.radians(turn_deg), 0.0], dtype=torch.float64)
    pose[frames, JOINT_INDEX[joint]] = (
        pose[frames, JOINT_INDEX[joint]] @ roma.rotvec_to_rotmat(axis).numpy()
    )
    return replace(motion, pose=pose)


def error_mm(a: Motion, b: Motion) -> float:
    """Mean distance of joints; some 4 mm of it are what the floor is off."""
    return 1000 * float(np.linalg.norm(joints_m(a) - joints_m(b), axis=-1).mean())


def joints_m(motion: Motion) -> np.ndarray:
    arrays = (motion.pose, motion.t_world_root_m, motion.offsets_m)
    return forward_kinematics(*map(torch.from_numpy, arrays))[1].numpy()


def test_good_motion_stays_as_it_is(walk):
    cleaned = clean(walk, UNHELD)
    assert not cleaned.glitches.any()
    assert error_mm(cleaned.motion, walk) < 5
    held = clean(walk)
    assert error_mm(held.motion, walk) < 15
    assert held.after.foot_sliding_cm_s < 0.5


def test_noise_goes_and_the_motion_stays(walk):
    spoilt = noisy(walk)
    cleaned = clean(spoilt, UNHELD).motion
    assert error_mm(cleaned, walk) < 0.5 * error_mm(spoilt, walk)
    assert jitter_of(spoilt) > 10 * jitter_of(walk)
    assert jitter_of(cleaned) < jitter_of(walk)
    much = clean(spoilt, CleanConfig(smoothing=3.0, hold_feet=False)).motion
    assert jitter_of(much) < jitter_of(cleaned)


def test_flips_and_spikes_are_found_and_filled(walk):
    rate_hz = walk.rate_hz
    one, some = round(rate_hz), round(2.5 * rate_hz)
    few = max(2, round(0.15 * rate_hz))
    spoilt = flipped(walk, slice(one, one + 1), "left_elbow", 100.0)
    spoilt = flipped(spoilt, slice(some, some + few), "pelvis")
    root_m = spoilt.t_world_root_m.copy()
    root_m[some + 30, 1] += 0.6
    spoilt = replace(spoilt, t_world_root_m=root_m)
    cleaned = clean(spoilt, UNHELD)
    expected = np.zeros_like(cleaned.glitches)
    expected[one, JOINT_INDEX["left_elbow"]] = True
    expected[some : some + few, 0] = True
    expected[some + 30, -1] = True
    np.testing.assert_array_equal(cleaned.glitches, expected)
    assert error_mm(spoilt, walk) > 10
    assert error_mm(cleaned.motion, walk) < 5
    # without smoothing all other frames are what they were
    kept = clean(spoilt, CleanConfig(smoothing=0.0, hold_feet=False)).motion
    np.testing.assert_allclose(
        kept.pose[~expected[:, :-1]], walk.pose[~expected[:, :-1]], atol=1e-9
    )
    assert error_mm(kept, walk) < 5


def test_who_jumps_and_stays_there_is_believed(walk):
    turned = flipped(walk, slice(len(walk) // 2, None), "left_shoulder", 90.0)
    assert not clean(turned, UNHELD).glitches.any()


@pytest.mark.parametrize("share", [0.8, 1.2])
def test_the_way_fits_the_steps(walk, share):
    way = np.array([share, 1.0, share])
    spoilt = replace(walk, t_world_root_m=walk.t_world_root_m * way)
    cleaned = clean(spoilt)
    standing = contacts(cleaned.motion)
    assert sliding_m_s(spoilt, standing) > 0.2
    assert cleaned.after.foot_sliding_cm_s < 1
    assert cleaned.before.foot_sliding_cm_s > 20
    ends_m = [m.t_world_root_m[-1] - m.t_world_root_m[0] for m in (walk, spoilt, cleaned.motion)]
    off_m = [np.linalg.norm(end - ends_m[0]) for end in ends_m]
    assert off_m[2] < 0.4 * off_m[1]


def test_who_walks_on_the_spot_is_left_there(walk):
    spoilt = replace(walk, t_world_root_m=walk.t_world_root_m * np.array([0.0, 1.0, 0.0]))
    assert np.abs(clean(spoilt).motion.t_world_root_m[:, [0, 2]]).max() < 0.05


def test_everything_at_once(walk):
    spoilt = noisy(walk)
    spoilt = replace(spoilt, t_world_root_m=spoilt.t_world_root_m * np.array([0.8, 1.0, 0.8]))
    for joint, at in (("right_knee", 0.7), ("spine2", 1.9), ("left_collar", 3.1)):
        first = round(at * walk.rate_hz)
        spoilt = flipped(spoilt, slice(first, first + 3), joint)
    cleaned = clean(spoilt)
    before, after = cleaned.before, cleaned.after
    assert after.jitter_10m_s3 < 0.1 * before.jitter_10m_s3
    assert after.foot_sliding_cm_s < 5 < 50 < before.foot_sliding_cm_s
    assert after.below_floor_worst_cm < 2
    root = np.array([0])
    relative = [joints_m(m) - joints_m(m)[:, root] for m in (walk, spoilt, cleaned.motion)]
    errors = [np.linalg.norm(r - relative[0], axis=-1).mean() for r in relative[1:]]
    assert errors[1] < 0.5 * errors[0]


def test_a_curve_follows_what_is_smooth_and_forgets_what_is_not():
    t = np.linspace(0, 6, 300)
    truth = np.stack([np.sin(t), np.cos(2 * t)], -1)
    rng = np.random.default_rng(0)
    known = np.ones(300, bool)
    np.testing.assert_allclose(smoothed(truth, known, 0.01), truth, atol=1e-4)
    values = truth + rng.normal(0, 0.1, truth.shape)
    values[::17] += 3.0
    known[100:112] = False
    values[100:112] = 50.0
    curve = smoothed(values, known, 0.01)
    assert np.sqrt(np.square(curve - truth).mean()) < 0.04
    assert np.abs(curve - truth).max() < 0.2
    two = np.zeros(300, bool)
    two[:2] = True
    np.testing.assert_array_equal(smoothed(values, two, 0.01), values)
