"""Laws of the pose metrics."""

import pytest
import roma
import torch

from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.metrics.pose import mpjpe, pa_mpjpe, procrustes


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(6, 22, 3, generator=generator)
    return truth + 0.1 * torch.randn(6, 22, 3, generator=generator), truth


def test_a_similarity_transform_has_no_pa_error(pair):
    _, truth = pair
    R = rotvec_to_matrix(torch.randn(6, 3, generator=torch.Generator().manual_seed(1)))
    moved = 1.7 * truth @ R.mT + torch.tensor([3.0, -1.0, 2.0])
    assert pa_mpjpe(moved, truth).max() < 1e-5
    assert mpjpe(moved, truth).min() > 0.1


def test_a_reflection_is_not_forgiven(pair):
    _, truth = pair
    assert pa_mpjpe(truth * torch.tensor([-1.0, 1.0, 1.0]), truth).min() > 0.1


def test_alignment_agrees_with_roma(pair):
    predicted, truth = pair
    R, t, scale = roma.rigid_points_registration(predicted, truth, compute_scaling=True)
    expected = scale[:, None, None] * predicted @ R.mT + t[:, None]
    torch.testing.assert_close(procrustes(predicted, truth), expected, atol=1e-5, rtol=1e-5)


def test_no_similarity_does_better(pair):
    """The aligned points are a least-squares optimum: small further motions do not help."""
    predicted, truth = pair
    best = (procrustes(predicted, truth) - truth).square().sum()
    aligned = procrustes(predicted, truth)
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        R = rotvec_to_matrix(0.02 * torch.randn(3, generator=generator))
        nudged = (1 + 0.01 * torch.randn(1, generator=generator)) * aligned @ R.mT
        nudged = nudged + 0.01 * torch.randn(3, generator=generator)
        assert (nudged - truth).square().sum() >= best


def test_mpjpe_ignores_where_the_pelvis_is(pair):
    predicted, truth = pair
    torch.testing.assert_close(mpjpe(predicted + 5, truth), mpjpe(predicted, truth))
    assert mpjpe(truth, truth).max() < 1e-6
