"""Samples of one kind: who sits and who stands has hips bent, or not."""

from dataclasses import replace

import pytest
import torch

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.evidence.types import Surroundings
from kinflow.fitting.sample_kinds import (
    Postures,
    hip_flexion_deg,
    legs_hidden,
    may_ride,
    sitting_log_odds,
    surroundings_log_odds,
)
from kinflow.geometry.rotations import about_axis

HIPS = [FREE_JOINTS.index(JOINT_INDEX[f"{side}_hip"]) for side in ("left", "right")]


def bent(angle_deg: torch.Tensor) -> torch.Tensor:
    """Poses in which both hips are bent forward by angles and all else is straight."""
    R = torch.eye(3).expand(*angle_deg.shape, len(FREE_JOINTS), 3, 3).clone()
    R[..., HIPS, :, :] = about_axis("x", -torch.deg2rad(angle_deg))[..., None, :, :]
    return R


def of_latent(z: torch.Tensor) -> torch.Tensor:
    """Decodes a latent that is the angle of the hips."""
    return bent(z[..., 0])


def test_flexion_is_that_of_the_hips():
    angles = torch.tensor([5.0, 45.0, 90.0])
    torch.testing.assert_close(hip_flexion_deg(bent(angles)), angles, atol=0.1, rtol=0.0)
    aside = torch.eye(3).repeat(len(FREE_JOINTS), 1, 1)
    aside[HIPS[0]] = about_axis("z", torch.tensor(0.5))  # one leg to the side
    assert float(hip_flexion_deg(aside)) == pytest.approx(0.25 * 57.3, abs=0.1)


def test_the_more_likely_posture_counts_where_nobody_saw_legs():
    angles = torch.tensor([[10.0, 80, 85, 20, 90], [10.0, 12, 85, 20, 15], [10.0, 80, 85, 20, 90]])
    hidden = torch.tensor([True, True, False])
    counts = Postures.of(angles[..., None], hidden, of_latent, 0.5).counts
    assert counts[0].tolist() == [False, True, True, False, True]
    assert counts[1].tolist() == [True, True, False, True, True]
    assert counts[2].all()
    cautious = Postures.of(angles[..., None], hidden, of_latent, 0.7).counts
    assert cautious[0].tolist() == [True, False, False, True, False]


def test_who_is_among_people_who_sit_rather_sits():
    """Two in five samples of the first sit, of the others all, or none."""
    angles = torch.tensor([10.0, 80, 85, 20, 12])
    hidden = torch.tensor([True, False, False])

    def sits(others_deg: float, company: float) -> bool:
        others = torch.full((2, 5), others_deg)
        z = torch.cat([angles[None], others])[..., None]
        return bool(Postures.of(z, hidden, of_latent, 0.5, company).counts[0, 1])

    assert sits(85.0, 0.5) and not sits(10.0, 0.5)
    assert not sits(85.0, 0.0)


def test_only_people_of_the_same_photo_are_company():
    bent = torch.tensor([[True, True, False, False], [True] * 4, [False] * 4])
    photo = torch.tensor([3, 3, 8])
    apart = torch.cat([sitting_log_odds(bent[:2], 0.5), sitting_log_odds(bent[2:], 0.5)])
    torch.testing.assert_close(sitting_log_odds(bent, 0.5, photo), apart)
    assert float(apart[0]) > 0 and not torch.allclose(apart, sitting_log_odds(bent, 0.5))


def test_a_sure_knee_is_not_hidden(make_scene):
    person = make_scene((0.0,)).evidence.people[0]
    keypoints = person.keypoints_px.clone()
    keypoints[[KEYPOINT_INDEX["left_knee"], KEYPOINT_INDEX["right_knee"]], 2] = 0.1
    unseen = replace(person, keypoints_px=keypoints)
    one = keypoints.clone()
    one[KEYPOINT_INDEX["left_knee"], 2] = 0.9
    assert legs_hidden([unseen, replace(person, keypoints_px=one)]).tolist() == [True, False]


def test_means_are_bent_as_samples_are():
    """Latents of which the hips' angle is a square: their mean is bent less than they are."""
    z = 3 + 6 * torch.rand(1, 400, 1, generator=torch.Generator().manual_seed(0))

    def decode(latent: torch.Tensor) -> torch.Tensor:
        return bent(latent[..., 0].square())

    hidden = torch.tensor([True])
    postures = Postures.of(z, hidden, decode, 0.35)
    weight = postures.counts.float()
    y = torch.cat([-2 * z, z], -1)  # what goes with the pose moves with it
    centre = (weight[..., None] * y).sum(1) / weight.sum(1, keepdim=True)
    covariance = torch.tensor([[[4.0, -2.0], [-2.0, 1.0]]])
    moved, sure = postures.as_bent(centre, covariance, slice(1, 2), decode)
    wanted = float((weight * postures.flexion_deg).sum() / weight.sum())
    assert wanted - float(hip_flexion_deg(decode(centre[:, 1:]))) > 0.3
    assert float(hip_flexion_deg(decode(moved[:, 1:]))) == pytest.approx(wanted, abs=0.05)
    torch.testing.assert_close(moved[:, 0], -2 * moved[:, 1], atol=1e-4, rtol=0.0)
    slope = 2 * float(moved[0, 1])  # degrees for each of the latent
    variance = float((weight * (postures.flexion_deg - wanted).square()).sum() / weight.sum())
    assert slope**2 * float(sure[0, 1, 1]) == pytest.approx(min(variance, slope**2), rel=0.02)
    seen = Postures.of(z, ~hidden, decode, 0.35)
    assert torch.equal(seen.as_bent(centre, covariance, slice(1, 2), decode)[0], centre)


def test_things_about_people_tell_who_sits_whose_legs_nobody_saw(make_scene, camera):
    person = make_scene((0.0,)).evidence.people[0]
    at_table, at_oven = (
        Surroundings(seat=0.5, seat_anywhere=0.5),
        Surroundings(kitchen_anywhere=0.5),
    )
    people = [person, *(replace(person, surroundings=one) for one in (at_table, at_oven))]
    hidden = torch.tensor([True] * 3)
    unlooked, table, oven = surroundings_log_odds(people, [camera] * 3, hidden).tolist()
    assert abs(unlooked) < 2 and table - unlooked > 2 and oven - unlooked < -2
    assert surroundings_log_odds(people, [camera] * 3, ~hidden).tolist() == [0.0] * 3


def test_who_is_low_in_the_picture_rather_sits(make_scene, camera):
    person = make_scene((0.0,)).evidence.people[0]
    lower = person.keypoints_px + torch.tensor([0.0, 0.2 * camera.image_size[1], 0.0])
    people, hidden = [person, replace(person, keypoints_px=lower)], torch.tensor([True, True])
    more = surroundings_log_odds(people, [camera] * 2, hidden)
    assert 0.5 < float(more[1] - more[0]) < 1.5
    crop = replace(camera, image_size=(camera.image_size[0], 2 * camera.image_size[1]))
    below = surroundings_log_odds(people, [crop] * 2, hidden)
    assert (below < more).all(), "of a picture that goes on below"


def test_what_is_ridden_counts_although_legs_are_seen(make_scene, camera):
    person = make_scene((0.0,)).evidence.people[0]
    rider = replace(person, surroundings=Surroundings(ridden=0.8))
    assert may_ride([person, rider]).tolist() == [False, True]
    angles = torch.tensor([10.0, 12, 85, 20, 90]).repeat(2, 1)[..., None]
    asked = may_ride([person, rider])
    more = surroundings_log_odds([person, rider], [camera] * 2, torch.tensor([False, False]))
    counts = Postures.of(angles, asked, of_latent, 0.5, more_log_odds=more).counts
    assert counts[0].all()
    assert counts[1].tolist() == [False, False, True, False, True]
