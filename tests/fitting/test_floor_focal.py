"""Focal lengths by the floor that people share."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from kinflow.energy.unknowns import Unknowns
from kinflow.evidence.image import Photo
from kinflow.fitting.floor import FloorConfig
from kinflow.fitting.floor_focal import FACTORS, FloorFocal
from kinflow.fitting.gravity import GravityConfig
from kinflow.fitting.photo import PhotoFitter
from kinflow.fitting.stances import Stances, flesh_m
from kinflow.fitting.tilt import TiltConfig
from kinflow.geometry.pinhole import Camera
from kinflow.pipeline.reconstructor import Reconstructor, ReconstructorConfig

ASSUMED = Camera.centred((640, 480), 600.0)
PLACES = [(-1.0, 4.0), (0.5, 6.0), (1.2, 9.0), (-2.0, 14.0)]
"""Aside and away, in metres, before the assumed lens."""
ADULTS = torch.full((len(PLACES),), -4.0)


def standing(factor: float, pitch_deg: float, places=PLACES, camera_m: float = 1.6) -> Stances:
    """People on a floor under a lens of `factor` times the assumed one, as they are taken to be
    with that one: points at head and foot."""
    pitch = math.radians(pitch_deg)
    up = torch.tensor([0.0, -math.cos(pitch), -math.sin(pitch)], dtype=torch.float64)
    ahead = torch.tensor([0.0, -math.sin(pitch), math.cos(pitch)], dtype=torch.float64)
    aside = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    feet = torch.stack([x * aside + factor * z * ahead - camera_m * up for x, z in places])
    points = torch.stack([feet, feet + 1.7 * up], 1)
    along = 0.03 * points[..., :, None]
    truth = Stances(
        up_cam=up.expand(len(places), 3),
        up_cov=1e-3 * torch.eye(3, dtype=torch.float64).expand(len(places), 3, 3),
        points_cam_m=points,
        point_cov_m2=along @ along.mT,
        flesh_m=torch.tensor([0.0, -torch.inf], dtype=torch.float64),
        legs=torch.ones(len(places), dtype=torch.float64),
    )
    return truth.farther(1 / factor)


def found(stances: Stances, odds: torch.Tensor = ADULTS) -> float:
    finder = FloorFocal(TiltConfig(), FloorConfig())
    camera = finder.camera(ASSUMED, ASSUMED, None, stances, odds[: len(stances)])
    return camera.focal_px / ASSUMED.focal_px


@pytest.mark.parametrize(
    ("factor", "pitch_deg"), [(0.6, 25.0), (2.0, 10.0), (3.0, 10.0), (4.5, 8.0)]
)
def test_another_lens_is_found_where_people_stand_near_and_far(factor, pitch_deg):
    """Floors look as much steeper as the lens is longer; usual lenses are likelier."""
    told = math.log(found(standing(factor, pitch_deg))) / math.log(factor)
    assert 0.5 < told < 1.2


@pytest.mark.parametrize("pitch_deg", [-5.0, 0.0, 10.0])
def test_the_right_lens_stays(pitch_deg):
    assert found(standing(1.0, pitch_deg)) == 1.0


def test_what_does_not_tell_changes_nothing():
    assert found(standing(3.0, 10.0)[:1]) == 1.0
    side_by_side = [(-1.0, 6.0), (0.0, 6.0), (1.0, 6.0)]
    assert found(standing(3.0, 10.0, side_by_side)) == 1.0
    assert found(standing(3.0, 0.0)) == 1.0, "a level floor is level under any lens"


def test_many_people_are_not_looked_at_all():
    crowd = [(0.3 * i - 5, 4.0 + 0.4 * i) for i in range(30)]
    odds = torch.full((30,), -4.0)
    assert 2.0 < found(standing(3.0, 10.0, crowd), odds) < 3.6
    assert found(standing(1.0, 10.0, crowd), odds) == 1.0


@pytest.mark.parametrize("factor", [0.7, 2.5])
def test_a_longer_lens_shows_people_who_are_farther_away_alike(factor):
    stances = standing(1.0, 6.0)
    moved = stances.farther(factor)
    before, after = (
        f * s.points_cam_m[..., :2] / s.points_cam_m[..., 2:]
        for f, s in ((1.0, stances), (factor, moved))
    )
    torch.testing.assert_close(after, before)
    depth, was = (s.points_cam_m[..., 2].diff(dim=1) for s in (moved, stances))
    torch.testing.assert_close(depth, was)
    back = moved.farther(1 / factor)
    torch.testing.assert_close(back.points_cam_m, stances.points_cam_m)
    torch.testing.assert_close(back.point_cov_m2, stances.point_cov_m2)


def test_people_at_the_camera_and_beyond_reason_are_no_trouble():
    stances = standing(3.0, 10.0)
    for away_m in (0.0, -0.3, 4.5e7):
        points = stances.points_cam_m.clone()
        points[0, :, 2] = away_m
        odd = replace(stances, points_cam_m=points)
        assert odd.farther(2.0).points_cam_m.isfinite().all()
        assert FACTORS[0] <= found(odd) <= FACTORS[-1]


def test_factors_go_up_and_have_the_assumed_lens_among_them():
    assert 1.0 in FACTORS and list(FACTORS) == sorted(FACTORS)


@pytest.fixture(scope="module")
def photo(fitter: PhotoFitter, see):
    """Four grown-ups on a floor, by a long lens in the stands."""
    long = replace(ASSUMED, focal_px=3 * ASSUMED.focal_px)
    model, generator = fitter.fitter.model, torch.Generator().manual_seed(3)
    pitch = math.radians(18.0)
    up = torch.tensor([0.0, -math.cos(pitch), -math.sin(pitch)])
    ahead = torch.tensor([0.0, -math.sin(pitch), math.cos(pitch)])
    R = torch.stack([torch.tensor([1.0, 0.0, 0.0]), up, -ahead], 1)
    places = [(-1.0, 18.0), (0.5, 21.0), (2.0, 26.0), (-2.5, 31.0)]
    count = len(places)
    z = 0.2 * torch.randn(count, model.prior.latent_dim, generator=generator)
    at = torch.stack([torch.tensor([x, 0.0, 0.0]) + away * ahead for x, away in places])
    truth = Unknowns(R.expand(count, 3, 3), at, z, torch.zeros(count, 6), torch.zeros(count))
    points = model.evaluate(truth, with_jacobian=False).keypoints_cam_m
    lowest = (points @ up - flesh_m(fitter.fitter.names)).amin(1)
    truth = replace(truth, t_cam_root_m=at - (6.5 + lowest)[:, None] * up)
    return see(truth, long, torch.Generator().manual_seed(4), rough=True), long


def test_a_photo_that_says_nothing_of_its_lens_is_fitted_with_the_one_that_is_found(fitter, photo):
    scene, long = photo
    fit = fitter.fit(scene.evidence, ASSUMED, lens_known=False)
    assert 1.5 * ASSUMED.focal_px < fit.camera.focal_px < 1.3 * long.focal_px
    assert all(person.camera == fit.camera for person in fit.people)
    known = fitter.fit(scene.evidence, ASSUMED)
    assert known.camera == ASSUMED
    far, was = (
        [
            abs(math.log(float(p.t_cam_root_m.norm() / t.norm())))
            for p, t in zip(some.people, scene.t_cam_root_m, strict=True)
        ]
        for some in (fit, known)
    )
    assert max(far) < min(was)


@pytest.mark.parametrize(
    "off", [{"floor_focal": False}, {"gravity": GravityConfig(shared_floor=False)}]
)
def test_it_can_be_turned_off(fitter, photo, off):
    scene, _ = photo
    still = PhotoFitter(fitter.fitter.model.prior, replace(fitter.config, **off))
    assert still.fit(scene.evidence, ASSUMED, lens_known=False).camera == ASSUMED


@pytest.mark.parametrize(
    ("options", "exif_px", "known"),
    [
        ({}, None, False),
        ({}, 500.0, True),
        ({"fov_deg": 55.0}, None, True),
        ({"focal_px": 9e2}, None, True),
    ],
)
def test_a_lens_is_known_by_options_or_exif(options, exif_px, known):
    shot = Photo(np.zeros((48, 64, 3), np.uint8), exif_px)
    assert Reconstructor(ReconstructorConfig(**options)).knows_lens(shot) is known
