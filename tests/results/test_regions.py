"""Regions of joints: their radii follow from deviations, and hold the share that they should."""

import pytest
import torch

from kinflow.body.skeleton import JOINT_NAMES
from kinflow.results.regions import JOINT_GROUPS, SHAPES, group_rows, radius_m, weibull_scale


def test_groups_share_out_all_joints_but_the_pelvis():
    named = [name for names in JOINT_GROUPS.values() for name in names]
    assert sorted(named) == sorted(set(JOINT_NAMES) - {"pelvis"})
    assert len(group_rows()) == len(JOINT_NAMES)
    assert set(SHAPES) == set(JOINT_GROUPS)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_so_many_errors_of_a_deviation_are_within_its_radius(share):
    """Errors drawn as the module says have the deviation that is stated."""
    std_m = torch.full((22,), 0.05)
    shape = torch.tensor(list(SHAPES.values()))[group_rows()]
    u = torch.rand(100_000, 22, generator=torch.Generator().manual_seed(0))
    drawn = std_m * weibull_scale(shape) * (-torch.log1p(-u)) ** (1 / shape)
    deviation = (drawn.square().mean(0) / 3).sqrt()
    torch.testing.assert_close(deviation, std_m, rtol=0.02, atol=0.0)
    inside = (drawn < radius_m(std_m, share)).float().mean(0)
    torch.testing.assert_close(inside, torch.full((22,), share), rtol=0.0, atol=0.01)


def test_radii_grow_with_deviation_and_share():
    std_m = torch.linspace(0.0, 0.3, 22)
    half, most = radius_m(std_m, 0.5), radius_m(std_m, 0.9)
    assert half[0] == 0 and (most[1:] > 1.5 * half[1:]).all()
    torch.testing.assert_close(radius_m(2 * std_m, 0.9), 2 * most)
    assert radius_m(std_m, 0.0).abs().max() == 0
