"""Bodies as vectors in the axes of a look, and back."""

import math

import torch
from random_looks import look, looks_of

from kinflow.energy.unknowns import Unknowns
from kinflow.geometry import Camera
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.predictors import Looks
from kinflow.predictors.coordinates import PLACE, ROTATION, ViewFrame


def bodies(count: int) -> Unknowns:
    generator = torch.Generator().manual_seed(1)
    t = torch.rand(count, 3, generator=generator) + torch.tensor([-0.5, -0.5, 2.0])
    R = rotvec_to_matrix(torch.randn(count, 3, generator=generator))
    z, s = (torch.randn(count, size, generator=generator) for size in (42, 6))
    return Unknowns(R, t, z, s, torch.zeros(count))


def test_vectors_and_bodies_are_the_same_thing():
    frame, truth = ViewFrame.of(looks_of(3), 42), bodies(3)
    base = rotvec_to_matrix(0.4 * torch.randn(3, 3))
    back = frame.to_unknowns(frame.to_vector(truth, base), base)
    for name, value in vars(truth).items():
        torch.testing.assert_close(getattr(back, name), value, atol=1e-5, rtol=1e-5)


def test_the_view_looks_along_the_ray_to_the_middle_of_the_region():
    camera = Camera.from_fov((640, 480), 60.0)
    seen = Looks.of([look(0, (500.0, 100.0))], [camera])
    R = seen.R_cam_view()[0]
    torch.testing.assert_close(R @ R.mT, torch.eye(3), atol=1e-6, rtol=0)
    px = camera.project(3.0 * R[:, 2])
    torch.testing.assert_close(px, torch.tensor([500.0, 100.0]), atol=1e-2, rtol=0)


def test_a_body_in_the_middle_of_the_region_has_no_offset():
    camera = Camera.from_fov((640, 480), 60.0)
    seen = Looks.of([look(0, (500.0, 100.0))], [camera])
    truth = bodies(1)
    ray = 4.0 * seen.R_cam_view()[:, :, 2]
    at = Unknowns(truth.R_cam_root, ray, truth.z, truth.s, truth.log_focal)
    place = ViewFrame.of(seen, 42).to_vector(at, torch.eye(3)[None])[0, PLACE]
    torch.testing.assert_close(place[:2], torch.zeros(2), atol=1e-5, rtol=0)
    wide_m = 4.0 * 220.0 / camera.focal_px
    torch.testing.assert_close(place[2], torch.tensor(math.log(wide_m)), atol=1e-5, rtol=1e-5)


def test_a_turned_crop_turns_the_view():
    camera = Camera.from_fov((640, 480), 60.0)
    level, turned = (
        Looks.of([look(0, (320.0, 240.0), roll=roll)], [camera]).R_cam_view()[0]
        for roll in (0.0, 0.5)
    )
    rotvec = torch.tensor([0.0, 0.0, 0.5])
    torch.testing.assert_close(turned, level @ rotvec_to_matrix(rotvec), atol=1e-6, rtol=0)
    vector = ViewFrame.of(looks_of(1), 42).to_vector(bodies(1), torch.eye(3)[None])
    assert float(vector[0, ROTATION].norm()) <= math.pi + 1e-5
