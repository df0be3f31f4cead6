"""The tilt of a camera by lines, poses and habit."""

import math

import pytest
import torch

from kinflow.fitting.tilt import TiltConfig, TiltGrid
from kinflow.geometry.pinhole import Camera

CAMERA = Camera(600.0, (320.0, 240.0), (640, 480))
GRID = TiltGrid(TiltConfig())


def up_of(pitch_deg: float, roll_deg: float = 0.0) -> torch.Tensor:
    p, r = math.radians(pitch_deg), math.radians(roll_deg)
    return torch.tensor([math.sin(r), -math.cos(r) * math.cos(p), -math.cos(r) * math.sin(p)])


def walls(up: torch.Tensor, count: int = 12, noise_px: float = 0.0) -> torch.Tensor:
    """Images of upright edges at random places before the camera."""
    generator = torch.Generator().manual_seed(3)
    low = torch.rand(count, 3, generator=generator) * torch.tensor([6.0, 1.0, 3.0])
    low = low + torch.tensor([-3.0, 0.0, 5.0])
    ends = torch.stack([low, low + 1.5 * up], 1)
    px = CAMERA.project(ends)
    return (px + noise_px * torch.randn(px.shape, generator=generator)).flatten(1)


def away_deg(grid: TiltGrid, up: torch.Tensor, **given) -> float:
    found = torch.tensor(grid.best(grid.log_prob(CAMERA, **given)).up_cam)
    return math.degrees(math.acos(min(1.0, float(found @ up))))


def test_without_anything_the_camera_is_level():
    level = GRID.best(GRID.log_prob(CAMERA))
    assert level.up_cam == pytest.approx((0.0, -1.0, 0.0))
    assert 8 < level.std_deg < 18


@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (25, 3), (-30, -4), (12, 8)])
def test_upright_lines_tell_pitch_and_roll(pitch, roll):
    up = up_of(pitch, roll)
    assert away_deg(GRID, up, lines_px=walls(up, noise_px=0.5)) < 1.5
    certain = GRID.best(GRID.log_prob(CAMERA, lines_px=walls(up, noise_px=0.5)))
    assert certain.std_deg < 3


def test_lines_in_all_directions_say_nothing():
    generator = torch.Generator().manual_seed(0)
    middle = torch.rand(40, 2, generator=generator) * torch.tensor([640.0, 480.0])
    angle = torch.rand(40, generator=generator) * math.pi
    step = 30 * torch.stack([angle.cos(), angle.sin()], -1)
    scattered = torch.cat([middle - step, middle + step], -1)
    found = GRID.best(GRID.log_prob(CAMERA, lines_px=scattered))
    assert found.std_deg > 6


def test_a_line_without_length_says_nothing():
    up = up_of(12)
    lines = walls(up)
    with_point = torch.cat([lines, torch.tensor([[300.0, 200.0, 300.0, 200.0]])])
    expected = GRID.log_prob(CAMERA, lines_px=lines)
    torch.testing.assert_close(GRID.log_prob(CAMERA, lines_px=with_point), expected)


def told_by(votes: torch.Tensor, std_deg: float = 3.0):
    covariance = math.radians(std_deg) ** 2 * torch.eye(3).double().expand(len(votes), 3, 3)
    return GRID.best(GRID.log_prob(CAMERA) + GRID.by_votes(votes.double(), covariance))


def test_people_vote_and_one_who_lies_is_outvoted():
    up = up_of(20)
    standing = up.expand(3, 3)
    lying = torch.cat([standing, torch.tensor([[1.0, 0.0, 0.0]])])
    for votes, most_deg in ((standing, 6), (lying, 7)):
        found = torch.tensor(told_by(votes).up_cam)
        assert math.degrees(math.acos(min(1.0, float(found @ up)))) < most_deg
    alone = told_by(torch.tensor([[1.0, 0.0, 0.0]]))
    assert alone.up_cam[1] < -0.95  # nobody turns the camera on its side for one who lies


def test_more_votes_are_more_certain():
    votes = up_of(15).expand(4, 3)
    spreads = [told_by(votes[:n]).std_deg for n in (1, 2, 4)]
    assert spreads == sorted(spreads, reverse=True)
