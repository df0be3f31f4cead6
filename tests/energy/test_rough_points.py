"""Rough 3D keypoints: errors that all points have in common cost what they are said to."""

import math

import pytest
import torch

from kinflow.energy.rough_points import RoughPoints
from kinflow.geometry.rotations import rotvec_to_matrix

POINTS = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0)) * 0.4


def energy(rough: RoughPoints, points: torch.Tensor) -> torch.Tensor:
    (own, common), _ = rough.residual(points)
    return 0.5 * (own.square().sum((1, 2)) + common.square().sum(1))


def rough_of(points: torch.Tensor, scale_std: float = 0.2, tilt_std_deg: float = 10.0):
    return RoughPoints.of(points, torch.full_like(points, 200.0), scale_std, tilt_std_deg)


def test_a_shift_costs_nothing():
    shifted = POINTS + torch.tensor([1.0, -2.0, 5.0])
    torch.testing.assert_close(energy(rough_of(POINTS), shifted), torch.zeros(2), atol=1e-5, rtol=0)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.3])
def test_size_says_nothing_where_it_is_free(factor):
    small = factor * (POINTS + 0.02 * torch.randn(POINTS.shape))
    free, same = rough_of(POINTS, scale_std=10.0), small / factor
    # a small body's errors weigh as much as those of a large one
    torch.testing.assert_close(energy(free, small), energy(free, same), rtol=0.01, atol=0)
    fixed = rough_of(POINTS, scale_std=0.0, tilt_std_deg=0.0)
    assert bool((energy(fixed, small) > 2 * energy(free, small)).all())


def test_a_held_size_stays_near():
    cost = [energy(rough_of(POINTS, scale_std=std), 0.8 * POINTS) for std in (0.001, 0.01, 1.0)]
    assert bool((cost[0] > cost[1]).all()) and bool((cost[1] > cost[2]).all())


@pytest.mark.parametrize("scale_std", [0.0, 0.2])
def test_derivatives_match_finite_differences(scale_std):
    rough = rough_of(POINTS.double(), scale_std=scale_std)
    body = (1.1 * POINTS + 0.05).double()
    columns = torch.randn(2, 9, 3, 4, generator=torch.Generator().manual_seed(2)).double()
    _, jacobians = rough.residual(body, columns)
    assert jacobians is not None
    step = 1e-6
    for k in range(4):
        ahead, _ = rough.residual(body + step * columns[..., k])
        behind, _ = rough.residual(body - step * columns[..., k])
        for analytic, a, b in zip(jacobians, ahead, behind, strict=True):
            torch.testing.assert_close(analytic[..., k], (a - b) / (2 * step), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_lean_costs_its_own_deviations(axis):
    rotvec = torch.zeros(3)
    rotvec[axis] = math.radians(1.5)
    turned = POINTS @ rotvec_to_matrix(rotvec).T
    cost = energy(rough_of(POINTS, tilt_std_deg=1.0), turned)
    torch.testing.assert_close(cost, torch.full((2,), 0.5 * 1.5**2), rtol=0.15, atol=0)


def test_a_turn_in_the_image_is_an_error_of_the_points():
    rotvec = torch.tensor([0.0, 0.0, math.radians(6.0)])
    turned = POINTS @ rotvec_to_matrix(rotvec).T
    stiff = RoughPoints.of(POINTS, torch.full_like(POINTS, 200.0))
    free = rough_of(POINTS, scale_std=0.0)
    torch.testing.assert_close(energy(free, turned), energy(stiff, turned), rtol=0.25, atol=0)


def test_common_errors_are_the_cheapest_explanation():
    """Against a direct minimum over the common errors."""
    rough = rough_of(POINTS, scale_std=0.0)
    body = POINTS + 0.05 * torch.randn(POINTS.shape, generator=torch.Generator().manual_seed(1))
    common = torch.zeros(2, rough.modes.shape[-1], requires_grad=True)

    def cost() -> torch.Tensor:
        own = body - rough.points_m - (rough.modes @ common[:, None, :, None])[..., 0]
        own = (own * rough.inverse_std_m).square().sum((1, 2))
        return 0.5 * (own + (common * rough.mode_inverse_std).square().sum(1))

    search = torch.optim.LBFGS([common], max_iter=200, line_search_fn="strong_wolfe")

    def step() -> torch.Tensor:
        search.zero_grad()
        total = cost().sum()
        total.backward()
        return total

    search.step(step)
    torch.testing.assert_close(energy(rough, body), cost().detach(), rtol=1e-3, atol=1e-3)


def test_points_of_no_weight_say_nothing():
    weight = torch.full_like(POINTS, 200.0)
    weight[:, 5:] = 0
    rough = RoughPoints.of(POINTS, weight, 0.2, 10.0)
    elsewhere = POINTS.clone()
    elsewhere[:, 5:] += 3.0
    torch.testing.assert_close(energy(rough, elsewhere), torch.zeros(2), atol=1e-5, rtol=0)
    nobody = RoughPoints.of(POINTS, torch.zeros_like(POINTS), 0.2, 10.0)
    assert not nobody.known().any() and rough.known().all()
    assert bool((energy(nobody, elsewhere) == 0).all())
