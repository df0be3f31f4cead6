"""Knees and elbows that are as straight as in photographs, unless something says otherwise."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from kinflow.body import BodyModel
from kinflow.body.hinges import hinge_flexion_deg
from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.kinematics import full_pose
from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.fitting.straight_limbs import KNEE, Bends, Unbending, _believed
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.priors.shape import ShapePrior

LIMBS = ("left_knee", "right_knee", "left_elbow", "right_elbow")
BENT_DEG = (38.0, 33.0, 60.0, 55.0)
TOWARDS = {"left_knee": (0, 1.0), "right_knee": (0, 1.0), "left_elbow": (1, -1.0)}
TOWARDS["right_elbow"] = (1, 1.0)
STD = 0.6


def posed(bent_deg, hips_deg: float = 0.0) -> torch.Tensor:
    """Free rotations of somebody whose limbs are bent so far."""
    rotvec = torch.zeros(len(FREE_JOINTS), 3)
    for name, angle in zip(LIMBS, bent_deg, strict=True):
        axis, sign = TOWARDS[name]
        rotvec[FREE_JOINTS.index(JOINT_INDEX[name]), axis] = sign * angle
    for side in ("left", "right"):
        rotvec[FREE_JOINTS.index(JOINT_INDEX[f"{side}_hip"]), 0] = -hips_deg
    return rotvec_to_matrix(torch.deg2rad(rotvec))


def pictured(angles_deg, seen: float = 1.0) -> Bends:
    angle = torch.tensor([angles_deg])
    return Bends(angle, torch.full_like(angle, 3.0), torch.full_like(angle, seen))


NOTHING = pictured([0.0] * 4, seen=0.0)


def unbending(prior, bends: Bends, hips_deg: float = 8.0, bent=BENT_DEG, hidden=False, std=STD):
    """Of a body of which as much is unknown as poses differ."""
    z = prior.encode(posed(bent, hips_deg)[None])
    covariance = std**2 * torch.eye(z.shape[1])[None]
    return Unbending.of(z, covariance, prior, bends, torch.tensor([hidden]))


def flexion_after(prior, bends: Bends, **body):
    """Flexions before and after of such a body."""
    less = unbending(prior, bends, **body)
    after = hinge_flexion_deg(prior.decode(less.latents(prior)))[0]
    return less.flexion_deg[0], after


def test_bends_are_angles_of_the_picture_of_what_was_seen(make_scene):
    person = make_scene((20.0,), seed=3).evidence.people[0]
    points = person.keypoints_px.clone()
    for name, at in (("left_hip", (0, 0)), ("left_knee", (0, 100)), ("left_ankle", (100, 100))):
        points[KEYPOINT_INDEX[name]] = torch.tensor([*at, 0.9])
    points[KEYPOINT_INDEX["right_ankle"], 2] = 0.1
    bends = Bends.of([replace(person, keypoints_px=points)])
    assert float(bends.angle_deg[0, 0]) == pytest.approx(90.0, abs=1e-3)
    assert float(bends.seen[0, 0]) == 1 and float(bends.seen[0, 1]) == 0
    larger = Bends.of([replace(person, keypoints_px=points * torch.tensor([2.0, 2.0, 1.0]))])
    assert float(larger.std_deg[0, 0]) == pytest.approx(float(bends.std_deg[0, 0]) / 2)


def test_straight_in_the_picture_is_likelier_of_straight_limbs_and_bent_of_bent_ones():
    bent = torch.full((1, 4), 40.0)
    told = [pictured([angle] * 4).log_odds(bent)[0, 0] for angle in (0.0, 10.0, 20.0, 40.0)]
    assert told[0] > 0 > told[2] and sorted(told, reverse=True) == told
    assert torch.equal(NOTHING.log_odds(bent), torch.zeros(1, 4))


def test_legs_of_which_nothing_is_known_are_straightened_and_arms_are_not(prior):
    before, after = flexion_after(prior, NOTHING, hidden=True)
    assert (before[:2] > 30).all() and (after[:2] < KNEE.straight_deg[0] + 10).all()
    torch.testing.assert_close(after[2:], before[2:], atol=2.0, rtol=0.0)


def test_limbs_that_the_picture_shows_bent_stay_bent(prior):
    before, after = flexion_after(prior, pictured([70.0, 2.0, 80.0, 80.0]))
    assert float(before[0] - after[0]) < 3.0 and float(before[1] - after[1]) > 10.0
    torch.testing.assert_close(after[2:], before[2:], atol=3.0, rtol=0.0)


def test_who_sits_keeps_bent_knees(prior):
    before, after = flexion_after(prior, NOTHING, hips_deg=80.0, bent=(60.0, 60.0, 60.0, 60.0))
    torch.testing.assert_close(after, before, atol=1.0, rtol=0.0)


def test_straight_legs_stay_as_they_are(prior):
    before, after = flexion_after(prior, pictured([2.0, 2.0, 70.0, 70.0]), bent=(6, 5, 60.0, 60.0))
    torch.testing.assert_close(after, before, atol=4.0, rtol=0.0)


def test_knees_that_are_surely_bent_stay(prior):
    before, after = flexion_after(prior, NOTHING, hidden=True, std=1e-3)
    torch.testing.assert_close(after, before, atol=1.0, rtol=0.0)


def samples_about(prior, less: Unbending, count: int = 64) -> torch.Tensor:
    z = prior.encode(less.R_free)
    noise = torch.randn(count, z.shape[1], generator=torch.Generator().manual_seed(0))
    return (z + 0.3 * STD * noise)[None]


def flexions_of(prior, z: torch.Tensor) -> torch.Tensor:
    return hinge_flexion_deg(prior.decode(z))[0]


def test_samples_of_straight_limbs_move_along_and_come_together(prior):
    less = unbending(prior, pictured([2.0, 80.0, 70.0, 70.0]))
    z = samples_about(prior, less)
    before, after = flexions_of(prior, z), flexions_of(prior, less.of_samples(z, prior))
    moved = (before - after).mean(0)
    assert float(less.less_deg[0, 0]) > 10
    torch.testing.assert_close(moved, less.less_deg[0], atol=3.0, rtol=0.0)
    spread = after.std(0) / before.std(0)
    assert 0.2 < float(spread[0]) < 0.8  # of the straight one it is known how far it is bent
    torch.testing.assert_close(spread[1:], torch.ones(3), atol=0.1, rtol=0.0)


def test_a_sample_in_the_middle_goes_where_the_middle_goes(prior):
    less = unbending(prior, pictured([2.0] * 4))
    (sample,) = less.of_samples(prior.encode(less.R_free)[:, None], prior)[0]
    torch.testing.assert_close(sample, less.latents(prior)[0], atol=1e-3, rtol=0.0)


def test_what_is_known_of_a_bend_is_by_how_it_goes_with_latents(prior):
    z = prior.encode(posed(BENT_DEG, 8.0)[None])
    along = torch.randn(z.shape[1], generator=torch.Generator().manual_seed(1))
    along = 0.02 * along / along.norm()
    ends = [hinge_flexion_deg(prior.decode(z + sign * along))[0] for sign in (-0.5, 0.5)]
    rise = ends[1] - ends[0]
    _, _, variance = _believed(z, 400.0 * torch.outer(along, along)[None], prior)
    expected = (400.0 * rise**2).clamp_min(16.0)
    torch.testing.assert_close(variance[0], expected, atol=0.5, rtol=0.02)


def test_hands_stay_in_their_direction_from_shoulders_where_nothing_else_holds_them(prior):
    straight = pictured([80.0, 80.0, 2.0, 2.0])
    less = unbending(prior, straight, bent=(10.0, 10.0, 40.0, 40.0))
    body = BodyModel.load("joints").with_shape(ShapePrior().decode(torch.zeros(1, 6)))
    shoulders, wrists = (
        [JOINT_INDEX[f"{side}_{joint}"] for side in ("left", "right")]
        for joint in ("shoulder", "wrist")
    )

    def arms(R_free: torch.Tensor) -> torch.Tensor:
        pose = full_pose(torch.eye(3)[None], R_free)
        joints_m = body.with_pose(pose, torch.zeros(1, 3)).joints_m[0]
        return joints_m[wrists] - joints_m[shoulders]

    before = arms(less.R_free)
    after = arms(prior.decode(replace(less, whole_arms=True).latents(prior)))
    only_elbows = arms(prior.decode(less.latents(prior)))
    assert (less.less_deg[0, 2:] > 10).all() and (after.norm(dim=1) > before.norm(dim=1)).all()
    cosine = [F.cosine_similarity(before, arm, dim=1) for arm in (after, only_elbows)]
    assert (cosine[0] > 0.999).all() and (cosine[1] < 0.995).all()
