"""A person and their mirror image, as one belief."""

from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch
from random_looks import look
from test_view_frame import bodies

import kinflow.priors
from kinflow.body.keypoints import MIRROR_KEYPOINTS
from kinflow.evidence.blazepose import BlazePose
from kinflow.evidence.region import Region
from kinflow.evidence.weights import RuntimeConfig
from kinflow.geometry import Camera
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.predictors import Looks
from kinflow.predictors.both_sides import mirrored, of_both_sides
from kinflow.predictors.coordinates import ROTATION

CAMERA = Camera.from_fov((640, 480), 60.0)
MIRROR = list(MIRROR_KEYPOINTS[:33])


@pytest.fixture(scope="module")
def prior():
    return kinflow.priors.load()


@pytest.fixture
def seen() -> Looks:
    return Looks.of(
        [look(i, (240.0 + 70 * i, 250.0), roll=0.2 * i) for i in range(3)], [CAMERA] * 3
    )


def test_mirror_images_of_mirror_images_are_the_bodies(prior):
    some = bodies(4)
    some = replace(some, z=0.5 * some.z)
    there = mirrored(some, prior)
    assert float((there.R_cam_root - some.R_cam_root).abs().amax()) > 0.1
    assert torch.linalg.det(there.R_cam_root).tolist() == pytest.approx([1.0] * 4, abs=1e-5)
    back = mirrored(there, prior)
    torch.testing.assert_close(back.t_cam_root_m, some.t_cam_root_m)
    torch.testing.assert_close(back.R_cam_root, some.R_cam_root)
    # latents of poses that priors cannot express exactly come back nearly
    apart = prior.decode(back.z) - prior.decode(some.z)
    assert float(apart.abs().mean()) < 0.02


def test_a_camera_sees_the_mirrored_view_in_a_mirror(seen):
    R, there = seen.R_cam_view(), seen.in_mirror().R_cam_view()
    flip = torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(there, R * flip[:, None] * flip, atol=1e-6, rtol=0)


def test_whoever_has_no_mirror_image_is_believed_as_before(prior, predictor, seen):
    own, other = predictor(seen), predictor(seen.in_mirror())
    has = torch.tensor([False, True, False])
    both = of_both_sides(own, other, has, prior)
    same = (both.guess.centre == own.guess.centre).all(1)
    assert same.tolist() == [True, False, True]


def test_who_faces_the_other_way_in_the_mirror_does_not_count(prior, predictor, seen):
    own, other = predictor(seen), predictor(seen.in_mirror())
    base = other.frame.R_cam_view.mT @ mirrored(own.point(), prior).R_cam_root
    turn = torch.tensor([[0.0, 0.5, 0.0], [0.0, 1.4, 0.0], [0.0, 1.7, 0.0]])
    guess = other.guess._replace(R_view_base=base @ rotvec_to_matrix(turn))
    everybody = torch.ones(3, dtype=torch.bool)
    both = of_both_sides(own, replace(other, guess=guess), everybody, prior)
    angle = (both.guess.centre - own.guess.centre)[:, ROTATION].norm(dim=-1)
    torch.testing.assert_close(angle, torch.tensor([0.25, 0.7, 0.0]), atol=0.01, rtol=0)


def test_the_guess_is_in_the_middle_of_both(prior, predictor, seen):
    """Of which the mirror image is said to be the mirrored guess, and taller."""
    own, other = predictor(seen), predictor(seen.in_mirror())
    there = mirrored(own.point(), prior)
    base = other.frame.R_cam_view.mT @ there.R_cam_root
    centre = other.frame.to_vector(replace(there, s=there.s + 2.0), base)
    other = replace(other, guess=other.guess._replace(R_view_base=base, centre=centre))
    both = of_both_sides(own, other, torch.ones(3, dtype=torch.bool), prior)
    body, expected = both.point(), own.point()
    torch.testing.assert_close(body.s, expected.s + 1.0)
    torch.testing.assert_close(body.R_cam_root, expected.R_cam_root, atol=1e-4, rtol=0)
    torch.testing.assert_close(body.t_cam_root_m, expected.t_cam_root_m, atol=1e-4, rtol=1e-4)
    apart = prior.decode(body.z) - prior.decode(expected.z)
    assert float(apart.abs().mean()) < 0.02


def test_the_network_sees_in_the_mirror_what_it_sees_of_the_mirrored_photo():
    """Real photo: region in the picture, or mirrored region in the mirrored picture; and a person
    in the mirror has left and right exchanged."""
    photo = skimage.data.astronaut()
    blazepose = BlazePose(RuntimeConfig(threads=1))
    region = Region((222.0, 240.0), 480.0, 0.1)
    there = blazepose.in_mirror(photo, region)
    width = photo.shape[1]
    opposite = Region((width - 222.0, 240.0), 480.0, -0.1)
    same = blazepose(np.ascontiguousarray(photo[:, ::-1]), opposite).close_look()
    torch.testing.assert_close(there.landmarks, same.landmarks, atol=1e-3, rtol=0)
    torch.testing.assert_close(there.world_m, same.world_m, atol=1e-3, rtol=0)
    own = blazepose(photo, region).close_look()
    seen = slice(0, 13)  # face and shoulders
    x, there_x = own.landmarks[seen, 0], there.landmarks[:, 0]
    assert float((x + there_x[MIRROR][seen]).abs().mean()) < 0.01
    assert float((x + there_x[seen]).abs().mean()) > 0.05
