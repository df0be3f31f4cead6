"""Knees and elbows, how far they are bent, and bending them less."""

import pytest
import torch

from kinflow.body.hinges import HINGES, hinge_flexion_deg, unbent
from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.geometry.rotations import rotvec_to_matrix

ROW = {name: FREE_JOINTS.index(JOINT_INDEX[name]) for name in (*HINGES, "left_hip", "left_ankle")}
AXES = ((1.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 1.0, 0.0))
DOWN = torch.tensor([0.0, -1.0, 0.0])


def bent_by(*angles_deg: float) -> torch.Tensor:
    """A pose of which hinges are bent so far, and all else is turned at random."""
    generator = torch.Generator().manual_seed(0)
    rotvec = 0.3 * torch.randn(len(FREE_JOINTS), 3, generator=generator)
    for name, axis, angle in zip(HINGES, AXES, angles_deg, strict=True):
        rotvec[ROW[name]] = torch.deg2rad(torch.tensor(angle)) * torch.tensor(axis)
    return rotvec_to_matrix(rotvec)


def test_flexions_are_the_angles_that_limbs_were_bent_by():
    angles = torch.tensor([(30.0, 100.0, 50.0, 140.0), (-4.0, 0.0, -8.0, 7.0)])
    poses = torch.stack([bent_by(*row.tolist()) for row in angles])
    torch.testing.assert_close(hinge_flexion_deg(poses), angles, atol=1e-3, rtol=0.0)


def test_limbs_are_bent_by_so_much_less():
    less = torch.tensor([12.0, 40.0, -10.0, 0.0])
    told = hinge_flexion_deg(unbent(bent_by(30.0, 70.0, 50.0, 20.0), less))
    torch.testing.assert_close(told, torch.tensor([18.0, 30.0, 60.0, 20.0]), atol=1e-3, rtol=0.0)


def test_nothing_less_is_the_same_pose():
    poses = torch.stack([bent_by(30.0, 70.0, 50.0, 20.0)] * 2)
    torch.testing.assert_close(unbent(poses, torch.zeros(2, 4)), poses, atol=1e-6, rtol=0.0)


def test_ankles_keep_their_direction_feet_and_trunks_do_not_turn():
    pose = bent_by(40.0, 40.0, 40.0, 40.0)
    moved = unbent(pose, torch.tensor([25.0, 0.0, 0.0, 30.0]))

    def leg(R: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        thigh = R[ROW["left_hip"]]
        shin = thigh @ R[ROW["left_knee"]]
        return thigh @ DOWN + shin @ DOWN, shin @ R[ROW["left_ankle"]]

    (ankle, foot), (ankle_after, foot_after) = leg(pose), leg(moved)
    torch.testing.assert_close(foot_after, foot, atol=1e-5, rtol=0.0)
    cosine = torch.nn.functional.cosine_similarity(ankle, ankle_after, dim=0)
    assert float(cosine) == pytest.approx(1.0, abs=1e-5)
    assert float(ankle_after.norm()) > float(ankle.norm()) + 0.05
    changed = (moved - pose).abs().amax((-1, -2)) > 1e-6
    assert changed.nonzero()[:, 0].tolist() == sorted(
        ROW[name] for name in ("left_hip", "left_knee", "left_ankle", "right_elbow")
    )
