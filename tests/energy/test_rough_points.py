"""Rough 3D keypoints: errors that all points have in common cost what they are said to."""

import math

import pytest
import torch

from kinflow.energy.rough_points import RoughPoints
from kinflow.geometry.rotations import rotvec_to_matrix

POINTS = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0)) * 0.4


def energy(rough: RoughPoints, points: torch.Tensor) -> torch.Tensor:
    own, common = rough.residual(points)
    return 0.5 * (own.square().sum((1, 2)) + common.square().sum(1))


def rough_of(points: torch.Tensor, scale_std: float = 0.2, tilt_std_deg: float = 10.0):
    return RoughPoints.of(points, torch.full_like(points, 200.0), scale_std, tilt_std_deg)


def test_a_shift_costs_nothing():
    shifted = POINTS + torch.tensor([1.0, -2.0, 5.0])
    torch.testing.assert_close(energy(rough_of(POINTS), shifted), torch.zeros(2), atol=1e-5, rtol=0)


@pytest.mark.parametrize("factor", [0.9, 1.05])
def test_a_factor_costs_its_own_deviations(factor):
    cost = energy(rough_of(POINTS, scale_std=0.05), factor * POINTS)
    torch.testing.assert_close(
        cost, torch.full((2,), 0.5 * ((factor - 1) / 0.05) ** 2), rtol=0.1, atol=0
    )
    fixed = energy(rough_of(POINTS, scale_std=0.0, tilt_std_deg=0.0), factor * POINTS)
    assert bool((fixed > cost).all())


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
    rough = rough_of(POINTS)
    body = POINTS + 0.05 * torch.randn(POINTS.shape, generator=torch.Generator().manual_seed(1))
    common = torch.zeros(2, rough.modes.shape[-1], requires_grad=True)

    def cost() -> torch.Tensor:
        own = body - POINTS - (rough.modes @ common[:, None, :, None])[..., 0]
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
