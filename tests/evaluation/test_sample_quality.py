import math

import pytest
import torch

from kinflow.evaluation.sample_quality import geodesic_distance_rad, sample_quality
from kinflow.priors.pose_space import rotvec_to_matrix


def poses(n: int, seed: int, spread: float = 0.3, offset: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return rotvec_to_matrix(offset + spread * torch.randn(n, 2, 3, generator=generator))


def test_distance_is_the_angle_of_rotation():
    turned = torch.zeros(2, 3, 3)
    turned[1, :, 1] = torch.tensor([0.3, 1.0, math.pi])
    distance = geodesic_distance_rad(rotvec_to_matrix(turned[:1]), rotvec_to_matrix(turned))
    expected = math.sqrt((0.3**2 + 1.0 + math.pi**2) / 3)
    torch.testing.assert_close(distance, torch.tensor([[0.0, expected]]), atol=2e-3, rtol=0)


def test_samples_of_the_same_distribution_are_precise_and_cover():
    quality = sample_quality(poses(400, 0), poses(400, 1))
    assert quality.precision > 0.9
    # A ball holds k of n real poses, so it stays empty with probability about e^-k.
    assert quality.coverage > 0.93


def test_narrow_samples_are_precise_but_do_not_cover():
    quality = sample_quality(poses(400, 0, spread=0.05), poses(400, 1))
    assert quality.precision > 0.95
    assert quality.coverage < 0.4


@pytest.mark.parametrize("offset", [1.5, -1.5])
def test_samples_elsewhere_are_neither(offset):
    quality = sample_quality(poses(400, 0, offset=offset), poses(400, 1))
    assert quality.precision < 0.05
    assert quality.coverage < 0.05
