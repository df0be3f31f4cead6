"""Feet that stand are held, on our skeleton and on one with longer legs."""

from dataclasses import replace

import numpy as np
import pytest
import roma
import torch

from kinflow.body.kinematics import forward_kinematics
from kinflow.body.model import BodyModel
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.errors import InputError
from kinflow.export.foot_lock import contacts, lock_feet, on_other_legs, sliding_m_s
from kinflow.export.motion import Motion
from kinflow.synth.walks import walking

LEGS = [JOINT_INDEX[f"{s}_{p}"] for s in ("left", "right") for p in ("knee", "ankle", "foot")]
BALLS = [JOINT_INDEX["left_foot"], JOINT_INDEX["right_foot"]]


def swaying(frames: int = 90, sway_m: float = 0.03, lift: bool = True) -> Motion:
    """Somebody who stands with soft knees, whose feet slide as the pelvis sways and jitters; in
    the middle the left foot is lifted high."""
    t = np.arange(frames) / 30
    rng = np.random.default_rng(0)
    rotvec = np.zeros((frames, 22, 3))
    for side in ("left", "right"):
        rotvec[:, JOINT_INDEX[f"{side}_hip"], 0] = -0.35
        rotvec[:, JOINT_INDEX[f"{side}_knee"], 0] = 0.6
        rotvec[:, JOINT_INDEX[f"{side}_ankle"], 0] = -0.25
    if lift:
        up = np.clip(np.minimum(t - 1.0, 2.0 - t) / 0.3, 0, 1)
        rotvec[:, JOINT_INDEX["left_hip"], 0] -= 1.0 * up
        rotvec[:, JOINT_INDEX["left_knee"], 0] += 1.0 * up
    rotvec[:, 0, 1] = 0.05 * np.sin(2 * np.pi * 0.5 * t)
    pose = roma.rotvec_to_rotmat(torch.from_numpy(rotvec)).numpy()
    root_m = np.zeros((frames, 3)) + [0.0, 0.85, 0.0]
    root_m[:, 0] += sway_m * np.sin(2 * np.pi * 0.5 * t) + rng.normal(0, 0.002, frames)
    root_m[:, 1] += rng.normal(0, 0.002, frames)
    shape = torch.full((6,), 0.5)
    shape[1] = 0.8
    offsets_m = BodyModel.load("joints").with_shape(shape).joint_offsets_m().double().numpy()
    seen = np.ones(frames, bool)
    return Motion(0, 0.0, 1 / 30, pose, root_m, offsets_m, shape.double().numpy(), seen)


def joints_of(motion: Motion) -> np.ndarray:
    arrays = (motion.pose, motion.t_world_root_m, motion.offsets_m)
    return forward_kinematics(*map(torch.from_numpy, arrays))[1].numpy()


def test_feet_that_stand_do_not_slide():
    motion = swaying()
    standing = contacts(motion)
    held = lock_feet(motion)
    assert sliding_m_s(motion, standing) > 0.05
    assert sliding_m_s(held, standing) < 0.002
    for ball, stands in zip(BALLS, standing, strict=True):
        assert np.ptp(joints_of(held)[stands][:30, ball], axis=0).max() < 0.002  # nor do they lift
    assert np.abs(joints_of(held) - joints_of(motion)).max() < 0.06


def test_contacts_are_found():
    left, right = contacts(swaying())
    assert right.mean() > 0.9
    assert left[:25].mean() > 0.8 and left[65:].mean() > 0.8 and not left[38:55].any()


def test_bones_and_the_upper_body_stay():
    motion = swaying()
    held = lock_feet(motion)
    others = [j for j in range(22) if j not in LEGS and "hip" not in list(JOINT_INDEX)[j]]
    np.testing.assert_array_equal(held.pose[:, others], motion.pose[:, others])
    gram = held.pose @ held.pose.swapaxes(-1, -2)
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(3), gram.shape), atol=1e-9)
    # the lifted foot moves as before
    left = BALLS[0]
    np.testing.assert_allclose(
        joints_of(held)[42:48, left], joints_of(motion)[42:48, left], atol=1e-6
    )


def test_a_body_too_high_for_its_legs_sinks():
    motion = swaying(lift=False)
    hop = 0.12 * np.exp(-np.square((np.arange(90) - 45) / 2.0))
    high = replace(motion, t_world_root_m=motion.t_world_root_m + hop[:, None] * [0, 1, 0])
    # stands on its toes for an instant: too short for a flight, and farther than legs reach
    held = lock_feet(high)
    drop_m = high.t_world_root_m[:, 1] - held.t_world_root_m[:, 1]
    assert drop_m.min() >= 0
    assert np.abs(np.diff(drop_m)).max() < 0.06


@pytest.mark.parametrize("longer", [1.15, 0.87])
def test_on_other_legs_feet_stand_too(longer):
    """Directions of bones are kept and the way of the root is scaled by the length of the legs."""

    def worn_by_another(motion: Motion) -> Motion:
        offsets_m = motion.offsets_m.copy()
        offsets_m[LEGS] *= longer
        return replace(motion, offsets_m=offsets_m, t_world_root_m=longer * motion.t_world_root_m)

    motion = swaying()
    standing = contacts(motion)
    assert sliding_m_s(worn_by_another(motion), standing) > 0.05
    assert sliding_m_s(worn_by_another(lock_feet(motion)), standing) < 0.01


def walking_in_a_circle(frames: int = 90) -> Motion:
    """A walk whose feet stand, seen with the errors of a fit: what is held has to be found."""
    shape = torch.full((6,), 0.5)
    shape[1] = 0.8
    body = BodyModel.load("joints")
    walker = walking(shape, frames, 30.0, BodyModel.load(), turn_rad_s=0.9)
    rng = np.random.default_rng(0)
    root_m = walker.root_m.double().numpy() + np.cumsum(rng.normal(0, 0.001, (frames, 3)), 0)
    offsets_m = body.with_shape(shape).joint_offsets_m().double().numpy()
    pose = walker.pose.double().numpy()
    seen = np.ones(frames, bool)
    return Motion(0, 0.0, 1 / 30, pose, root_m, offsets_m, shape.double().numpy(), seen)


@pytest.mark.parametrize("legs", [0.85, 1.15])
def test_who_turns_on_other_legs_stands_if_these_are_told(legs):
    motion = walking_in_a_circle()
    standing = contacts(motion)
    assert np.mean(standing) > 0.3
    untold = sliding_m_s(on_other_legs(lock_feet(motion), legs), standing)
    told = sliding_m_s(on_other_legs(lock_feet(motion, legs), legs), standing)
    assert sliding_m_s(on_other_legs(motion, legs), standing) > 0.02
    # hips are as wide as before, and go round with the pelvis: 15 % of 0.1 m, 0.9 times a second
    assert untold == pytest.approx(0.15 * 0.1 * 0.9, rel=0.4)
    assert told < 0.002
    with pytest.raises(InputError, match="legs has to be"):
        lock_feet(motion, 0.0)


def test_nobody_stands_in_the_air():
    motion = swaying(lift=False)
    flying = replace(
        motion, t_world_root_m=motion.t_world_root_m + np.linspace(0, 6, 90)[:, None] * [1, 0, 0]
    )
    assert not np.any(contacts(flying))
    held = lock_feet(flying)
    np.testing.assert_array_equal(held.pose, flying.pose)
    assert np.isnan(sliding_m_s(held, contacts(flying)))


def test_one_frame():
    motion = swaying(frames=1)
    held = lock_feet(motion)
    np.testing.assert_array_equal(held.pose, motion.pose)
