"""Linear blend skinning against its definition, in float64."""

import torch

from kinflow.body.skeleton import NUM_JOINTS
from kinflow.body.skinning import blended, joint_maps, moved_m, translations_m
from kinflow.geometry.rotations import rotvec_to_matrix

GENERATOR = torch.Generator().manual_seed(0)


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


def test_points_are_weighted_sums_of_rigidly_moved_ones():
    R_joints = rotvec_to_matrix(randn(2, NUM_JOINTS, 3))
    Q_rest = rotvec_to_matrix(randn(NUM_JOINTS, 3))
    joints_m, rest_joints_m, rest_m = randn(2, NUM_JOINTS, 3), randn(NUM_JOINTS, 3), randn(6, 3)
    weights = randn(6, NUM_JOINTS).softmax(-1)
    found = moved_m(blended(weights, joint_maps(R_joints, joints_m, rest_joints_m, Q_rest)), rest_m)
    expected = torch.zeros(2, 6, 3, dtype=torch.float64)
    for j in range(NUM_JOINTS):
        rigid = (rest_m - rest_joints_m[j]) @ (R_joints[:, j] @ Q_rest[j]).mT + joints_m[:, j, None]
        expected += weights[:, j, None] * rigid
    torch.testing.assert_close(found, expected)


def test_a_body_that_rests_stays_where_it_is():
    Q_rest = rotvec_to_matrix(randn(NUM_JOINTS, 3))
    rest_joints_m, rest_m = randn(NUM_JOINTS, 3), randn(6, 3)
    maps = joint_maps(Q_rest.mT, rest_joints_m, rest_joints_m, Q_rest)
    weights = randn(6, NUM_JOINTS).softmax(-1)
    torch.testing.assert_close(moved_m(blended(weights, maps), rest_m), rest_m)


def test_translations_are_linear_in_the_joints():
    W = rotvec_to_matrix(randn(NUM_JOINTS, 3))
    a, b, da, db = randn(4, NUM_JOINTS, 3)
    change = translations_m(W, a + da, b + db) - translations_m(W, a, b)
    torch.testing.assert_close(change, translations_m(W, da, db))
