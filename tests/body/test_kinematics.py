"""Positions and derivatives of joints and points against autograd, in float64."""

import pytest
import torch

from kinflow.body.kinematics import (
    MOVERS,
    forward_kinematics,
    free_spins,
    full_pose,
    joint_tree,
    joints_from_root_m,
    turning_jacobian,
)
from kinflow.body.skeleton import FREE_JOINTS, NUM_JOINTS, PARENTS
from kinflow.geometry.rotations import rotvec_to_matrix

POINTS, LATENT = 5, 7


def randn(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


class Case:
    """A random skeleton in a random pose, and points that are weighted sums of what rides on it."""

    def __init__(self) -> None:
        self.R_root = rotvec_to_matrix(randn(3, seed=0))
        self.R_free = rotvec_to_matrix(randn(len(FREE_JOINTS), 3, seed=1))
        self.t = randn(3, seed=2)
        self.offsets = 0.3 * randn(NUM_JOINTS, 3, seed=3)
        self.offsets[0] = 0
        self.omega = randn(len(FREE_JOINTS), 3, LATENT, seed=4)
        # points as skinning makes them: each rides on every joint, at a place of its own there
        self.weights = randn(POINTS, NUM_JOINTS, seed=5)
        self.places = randn(POINTS, NUM_JOINTS, 3, seed=6)

    def ridden(self, R_joints: torch.Tensor, joints_m: torch.Tensor) -> torch.Tensor:
        """(points, 22, 3): where each point would be if it rode on one joint alone."""
        return (R_joints @ self.places[..., None])[..., 0] + joints_m

    def points(self, root: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Points once the root has turned by a rotation vector and the free joints along `z`."""
        pose = full_pose(
            rotvec_to_matrix(root) @ self.R_root, rotvec_to_matrix(self.omega @ z) @ self.R_free
        )
        ridden = self.ridden(*forward_kinematics(pose, self.t, self.offsets))
        return (self.weights[..., None] * ridden).sum(1)


@pytest.fixture(scope="module")
def case() -> Case:
    return Case()


def test_joints_follow_from_their_parents(case):
    pose = full_pose(case.R_root, case.R_free)
    R_joints, joints_m = forward_kinematics(pose, case.t, case.offsets)
    assert R_joints.dtype == joints_m.dtype == torch.float64
    torch.testing.assert_close(R_joints[0], case.R_root)
    torch.testing.assert_close(joints_m[0], case.t)
    for joint in range(1, NUM_JOINTS):
        parent = PARENTS[joint]
        torch.testing.assert_close(R_joints[joint], R_joints[parent] @ pose[joint])
        bone = R_joints[parent] @ case.offsets[joint]
        torch.testing.assert_close(joints_m[joint] - joints_m[parent], bone)


def test_whoever_needs_no_derivatives_first_takes_them_from_nobody():
    with torch.inference_mode():
        joint_tree(torch.zeros(1, dtype=torch.bfloat16))  # a type that nothing else has
    tree = joint_tree(torch.zeros(1, dtype=torch.bfloat16))
    assert not any(tensor.is_inference() for tensor in (tree.above, tree.below, tree.at_rest))


def test_a_full_pose_has_every_rotation_in_its_place(case):
    pose = full_pose(case.R_root, case.R_free)
    torch.testing.assert_close(pose[list(MOVERS)], torch.cat([case.R_root[None], case.R_free]))
    (still,) = set(
        map(tuple, pose[[j not in MOVERS for j in range(NUM_JOINTS)]].flatten(1).tolist())
    )
    assert still == (1, 0, 0, 0, 1, 0, 0, 0, 1)


def test_points_turn_as_autograd_says(case):
    R_joints, joints_m = forward_kinematics(
        full_pose(case.R_root, case.R_free), case.t, case.offsets
    )
    below = joint_tree(joints_m).below
    shares = case.weights[..., None] * case.ridden(R_joints, joints_m)
    found = turning_jacobian(
        case.weights @ below.T, below @ shares, joints_m, free_spins(R_joints, case.omega)
    )
    still = (torch.zeros(3, dtype=torch.float64), torch.zeros(LATENT, dtype=torch.float64))
    expected = torch.autograd.functional.jacobian(case.points, still)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)


def test_joints_shift_with_bones_as_autograd_says(case):
    pose = full_pose(case.R_root, case.R_free)
    R_joints, _ = forward_kinematics(pose, case.t, case.offsets)
    directions = randn(4, NUM_JOINTS, 3, seed=7)
    directions[:, 0] = 0
    slopes = torch.autograd.functional.jacobian(
        lambda offsets: forward_kinematics(pose, case.t, offsets)[1], case.offsets
    )
    expected = torch.einsum("jdke,nke->njd", slopes, directions)
    found = joints_from_root_m(R_joints[None], directions)
    torch.testing.assert_close(found, expected)


def test_batches_are_rows_and_may_have_no_points(case):
    R_joints = rotvec_to_matrix(randn(2, 3, NUM_JOINTS, 3, seed=8))
    joints_m, omega = randn(2, 3, NUM_JOINTS, 3, seed=9), randn(2, 3, 19, 3, LATENT, seed=10)
    mass, moment_m = randn(POINTS, 20, seed=11), randn(2, 3, POINTS, 20, 3, seed=12)
    root, latent = turning_jacobian(mass, moment_m, joints_m, free_spins(R_joints, omega))
    row = turning_jacobian(
        mass, moment_m[1, 2], joints_m[1, 2], free_spins(R_joints[1, 2], omega[1, 2])
    )
    torch.testing.assert_close((root[1, 2], latent[1, 2]), row)
    none = turning_jacobian(mass[:0], moment_m[:, :, :0], joints_m, free_spins(R_joints, omega))
    assert [tuple(n.shape) for n in none] == [(2, 3, 0, 3, 3), (2, 3, 0, 3, LATENT)]
