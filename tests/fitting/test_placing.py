"""Bodies of known pose go where they lie on their keypoints."""

import pytest
import torch

from kinflow.energy.body_energy import Targets
from kinflow.fitting.placing import placed

FOCAL, PRINCIPAL = 900.0, torch.tensor([640.0, 360.0])
TRUE_T = torch.tensor([[0.4, -0.2, 3.5], [-1.0, 0.3, 6.0]])


@pytest.fixture
def points():
    return 0.4 * torch.randn(2, 29, 3, generator=torch.Generator().manual_seed(0))


def seen(points, inverse_std=0.2):
    moved = points + TRUE_T[:, None]
    observed = FOCAL * moved[..., :2] / moved[..., 2:] + PRINCIPAL
    return Targets(
        focal_px=torch.full((2,), FOCAL),
        principal_px=PRINCIPAL.expand(2, 2),
        observed_px=observed,
        inverse_std_px=torch.full(points.shape[:2], inverse_std),
    )


BELIEVED = TRUE_T * 1.3 + torch.tensor([0.2, -0.1, 0.0])


def test_exact_keypoints_tell_the_place(points):
    t = placed(points, seen(points), BELIEVED, torch.full((2,), 10.0))
    torch.testing.assert_close(t, TRUE_T, atol=1e-3, rtol=0)


def test_one_keypoint_that_is_elsewhere_hardly_matters(points):
    targets = seen(points)
    targets.observed_px[:, 4] += 400.0
    t = placed(points, targets, TRUE_T, torch.full((2,), 10.0))
    torch.testing.assert_close(t, TRUE_T, atol=0.05, rtol=0)


def test_without_keypoints_the_belief_stays(points):
    t = placed(points, seen(points, 0.0), BELIEVED, torch.full((2,), 0.3))
    torch.testing.assert_close(t, BELIEVED)


def test_a_sure_belief_moves_less(points):
    sure, unsure = (
        placed(points, seen(points), BELIEVED, torch.full((2,), std)) for std in (1e-3, 1.0)
    )
    assert (sure - BELIEVED).norm() < 0.3 * (unsure - BELIEVED).norm()
