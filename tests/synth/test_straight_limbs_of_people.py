"""Poses of motion capture with limbs as straight as in photographs."""

import pytest
import torch

from kinflow.body.hinges import HINGES, hinge_flexion_deg
from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.synth.straight_limbs import straightened_limbs

ROW = {name: FREE_JOINTS.index(JOINT_INDEX[name]) for name in HINGES}


def pose_of(knee_deg: float, elbow_deg: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    rotvec = 0.2 * torch.randn(len(FREE_JOINTS), 3, generator=generator)
    for side, sign in (("left", -1.0), ("right", 1.0)):
        knee, elbow = torch.deg2rad(torch.tensor([knee_deg, sign * elbow_deg]))
        rotvec[ROW[f"{side}_knee"]] = torch.tensor([float(knee), 0.0, 0.0])
        rotvec[ROW[f"{side}_elbow"]] = torch.tensor([0.0, float(elbow), 0.0])
    return rotvec_to_matrix(rotvec)


@pytest.mark.parametrize(
    ("knee", "elbow", "expected"), [(28.0, 42.0, (5.0, 20.0)), (0.0, 0.0, (0.0, 0.0))]
)
def test_limbs_are_bent_as_the_tables_say(knee, elbow, expected):
    told = hinge_flexion_deg(straightened_limbs(pose_of(knee, elbow)))
    wanted = torch.tensor([expected[0]] * 2 + [expected[1]] * 2)
    torch.testing.assert_close(told, wanted, atol=0.01, rtol=0.0)


@pytest.mark.parametrize("angle", [-5.0, 95.0, 120.0])
def test_what_is_bent_by_far_or_overstretched_stays(angle):
    pose = pose_of(angle, angle)
    torch.testing.assert_close(straightened_limbs(pose), pose, atol=1e-5, rtol=0.0)


def test_more_bent_stays_more_bent():
    told = [hinge_flexion_deg(straightened_limbs(pose_of(a, a))) for a in range(2, 100, 7)]
    assert (torch.stack(told).diff(dim=0) > 0).all()
