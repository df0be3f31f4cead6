"""What is up: angles of a camera, and the world that they make."""

import math

import pytest
import torch

from kinflow.errors import InputError
from kinflow.geometry import Camera
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.results import Floor, Frame, Gravity


def looking(pitch_deg: float, roll_deg: float = 0.0) -> Gravity:
    """A level camera that is pitched down, then turned clockwise about its line of sight."""
    p, r = math.radians(pitch_deg), math.radians(roll_deg)
    pitched = rotvec_to_matrix(torch.tensor([p, 0.0, 0.0], dtype=torch.float64))
    rolled = rotvec_to_matrix(torch.tensor([0.0, 0.0, r], dtype=torch.float64))
    x, y, z = (rolled @ pitched @ torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)).tolist()
    return Gravity((x, y, z), 1.0)


def test_a_level_camera():
    gravity = Gravity((0.0, -1.0, 0.0), 2.0)
    assert gravity.pitch_deg == 0 and gravity.roll_deg == 0
    torch.testing.assert_close(gravity.R_world_cam(), torch.diag(torch.tensor([1.0, -1.0, -1.0])))


@pytest.mark.parametrize("pitch_deg", [-40.0, 0.0, 15.0, 70.0])
def test_pitch_is_how_far_the_line_of_sight_falls(pitch_deg):
    gravity = looking(pitch_deg)
    assert gravity.pitch_deg == pytest.approx(pitch_deg, abs=1e-6)
    sight = gravity.R_world_cam() @ torch.tensor([0.0, 0.0, 1.0])
    assert math.degrees(math.asin(float(-sight[1]))) == pytest.approx(pitch_deg, abs=1e-3)


@pytest.mark.parametrize("roll_deg", [-90.0, -20.0, 8.0, 90.0])
@pytest.mark.parametrize("pitch_deg", [-30.0, 0.0, 25.0])
def test_the_world_is_upright_whatever_the_camera(pitch_deg, roll_deg):
    gravity = looking(pitch_deg, roll_deg)
    R = gravity.R_world_cam()
    torch.testing.assert_close(R @ R.mT, torch.eye(3), atol=1e-6, rtol=0)
    assert float(torch.linalg.det(R)) == pytest.approx(1, abs=1e-5)
    up = R @ torch.tensor(gravity.up_cam)
    torch.testing.assert_close(up, torch.tensor([0.0, 1.0, 0.0]), atol=1e-6, rtol=0)
    # the camera looks to the back of the world, not towards its viewer
    assert float((R @ torch.tensor([0.0, 0.0, 1.0]))[2]) < 0.3


@pytest.mark.parametrize("up", [(0.0, -0.9, 0.0), (0.0, 0.0, 0.0), (1.0, -1.0, 0.0)])
def test_directions_of_another_length_are_refused(up):
    with pytest.raises(InputError, match="length 1"):
        Gravity(up, 1.0)


def test_numbers_that_are_none_are_refused():
    for up, std_deg in (((0.0, math.nan, 0.0), 1.0), ((0.0, -1.0, 0.0), -1.0)):
        with pytest.raises(InputError):
            Gravity(up, std_deg)


def test_a_floor_is_level_so_that_it_needs_gravity():
    camera = Camera.from_fov((64, 48), 55.0)
    floor = Floor(-1.5, 0.1)
    assert Frame(0, 0.0, camera, Gravity((0.0, -1.0, 0.0), 2.0), floor).floor == floor
    with pytest.raises(InputError, match="needs gravity"):
        Frame(0, 0.0, camera, None, floor)
    with pytest.raises(InputError, match="std_m"):
        Floor(-1.5, -0.1)
