"""Samples of one kind: who sits and who stands has hips bent, or not."""

from dataclasses import replace

import pytest
import torch

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.fitting.sample_kinds import hip_flexion_deg, legs_hidden, one_posture
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
    counts = one_posture(angles[..., None], hidden, of_latent, 0.5)
    assert counts[0].tolist() == [False, True, True, False, True]
    assert counts[1].tolist() == [True, True, False, True, True]
    assert counts[2].all()
    cautious = one_posture(angles[..., None], hidden, of_latent, 0.7)
    assert cautious[0].tolist() == [True, False, False, True, False]


def test_a_sure_knee_is_not_hidden(make_scene):
    person = make_scene((0.0,)).evidence.people[0]
    keypoints = person.keypoints_px.clone()
    keypoints[[KEYPOINT_INDEX["left_knee"], KEYPOINT_INDEX["right_knee"]], 2] = 0.1
    unseen = replace(person, keypoints_px=keypoints)
    one = keypoints.clone()
    one[KEYPOINT_INDEX["left_knee"], 2] = 0.9
    assert legs_hidden([unseen, replace(person, keypoints_px=one)]).tolist() == [True, False]
