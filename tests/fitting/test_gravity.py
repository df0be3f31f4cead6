"""What is up in a photo: people who stand tell, who lies does not fool them, lines agree."""

import math
from dataclasses import dataclass, replace

import pytest
import torch

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.energy.unknowns import Unknowns
from kinflow.fitting.stances import Stances
from kinflow.fitting.tilt import TiltConfig, TiltGrid
from kinflow.geometry import Camera
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.results import Gravity

PITCH_DEG = 25.0


@dataclass(frozen=True)
class Someone:
    """How somebody is placed in a world with y up, x to the camera's right."""

    heading_deg: float
    lies: bool = False

    def R_world_root(self) -> torch.Tensor:
        heading = rotvec_to_matrix(torch.tensor([0.0, math.radians(self.heading_deg), 0.0]))
        down = rotvec_to_matrix(torch.tensor([-math.pi / 2, 0.0, 0.0]))
        return heading @ down if self.lies else heading


def pitched(pitch_deg: float) -> Gravity:
    p = math.radians(pitch_deg)
    return Gravity((0.0, -math.cos(p), -math.sin(p)), 0.0)


def off_deg(gravity: Gravity, truth: Gravity) -> float:
    a, b = torch.tensor(gravity.up_cam), torch.tensor(truth.up_cam)
    return math.degrees(math.acos(min(1.0, float(a @ b))))


def trunk_elevation_deg(person, gravity: Gravity) -> float:
    """Angle of the trunk over the ground."""
    trunk = person.joints_cam_m[JOINT_INDEX["neck"]] - person.joints_cam_m[0]
    sine = float(trunk @ torch.tensor(gravity.up_cam)) / float(trunk.norm())
    return math.degrees(math.asin(sine))


@pytest.fixture(scope="module")
def photograph(fitter, camera, see):
    """Call with people side by side before a camera that looks down."""

    def taken(people, pitch_deg=PITCH_DEG, seed=0):
        generator = torch.Generator().manual_seed(seed)
        R_cam_world = pitched(pitch_deg).R_world_cam().mT
        count = len(people)
        x = torch.linspace(-1.2, 1.2, count) if count > 1 else torch.zeros(1)
        at = torch.stack([x, torch.tensor([-0.8 * p.lies for p in people]), 0.3 * x.abs()], -1)
        truth = Unknowns(
            R_cam_world @ torch.stack([p.R_world_root() for p in people]),
            at @ R_cam_world.mT + torch.tensor([0.0, 0.0, 4.5]),
            0.4 * torch.randn(count, fitter.fitter.model.prior.latent_dim, generator=generator),
            0.5 * torch.randn(count, 6, generator=generator),
            torch.zeros(count),
        )
        return see(truth, camera, generator, rough=True)

    return taken


STANDING = (Someone(0.0), Someone(140.0), Someone(-60.0))


@pytest.mark.parametrize("pitch_deg", [PITCH_DEG, 0.0, -15.0])
def test_people_who_stand_tell_how_a_camera_is_pitched(fitter, photograph, camera, pitch_deg):
    people = (*STANDING, Someone(60.0))
    found = fitter.fit(photograph(people, pitch_deg).evidence, camera).gravity
    assert abs(found.pitch_deg - pitch_deg) < 8 and abs(found.roll_deg) < 5
    assert found.std_deg < 8


def test_who_lies_among_others_does_not_turn_the_world(fitter, photograph, camera):
    truth = pitched(PITCH_DEG)
    alone = fitter.fit(photograph(STANDING).evidence, camera)
    with_one = fitter.fit(photograph((*STANDING, Someone(90.0, lies=True))).evidence, camera)
    assert off_deg(with_one.gravity, truth) < off_deg(alone.gravity, truth) + 4
    *standing, lying = with_one.people
    assert all(trunk_elevation_deg(p, truth) > 65 for p in standing)
    assert abs(trunk_elevation_deg(lying, truth)) < 20


@pytest.mark.parametrize("heading_deg", [0.0, 90.0, -135.0])
def test_who_lies_alone_keeps_lying(fitter, photograph, camera, heading_deg):
    person = Someone(heading_deg, lies=True)
    fit = fitter.fit(photograph((person,)).evidence, camera)
    assert abs(trunk_elevation_deg(fit.people[0], pitched(PITCH_DEG))) < 30
    assert fit.gravity.std_deg > 5, "one body that is not upright proves nothing"


def test_the_same_photo_gives_the_same_gravity(fitter, photograph, camera):
    scene = photograph(STANDING)
    first, second = (fitter.fit(scene.evidence, camera) for _ in range(2))
    assert first.gravity == second.gravity
    assert torch.equal(first.people[0].joints_cam_m, second.people[0].joints_cam_m)


def upright_lines(camera: Camera, gravity: Gravity, lines: int = 12) -> torch.Tensor:
    """Poles at several places, as they are seen."""
    up = torch.tensor(gravity.up_cam)
    x = torch.linspace(-2.0, 2.0, lines)
    foot = torch.stack([x, torch.full((lines,), 0.6), 5.0 + x.abs()], -1)
    return torch.cat([camera.project(foot), camera.project(foot + 1.2 * up)], -1)


@pytest.mark.parametrize("pitch_deg", [-12.0, 0.0, 20.0])
def test_lines_that_are_upright_tell_it_without_anybody(camera, pitch_deg):
    truth, grid = pitched(pitch_deg), TiltGrid(TiltConfig())
    lines_px = upright_lines(camera, truth)
    told, untold = (grid.best(grid.log_prob(camera, lines)) for lines in (lines_px, None))
    assert off_deg(told, truth) < 3
    assert told.std_deg < untold.std_deg
    assert untold.up_cam == pytest.approx((0.0, -1.0, 0.0))


def test_lines_of_any_direction_tell_little(camera):
    generator = torch.Generator().manual_seed(0)
    start = torch.rand(20, 2, generator=generator) * torch.tensor([1200.0, 900.0])
    angle = math.pi * torch.rand(20, generator=generator)
    end = start + 100 * torch.stack([angle.cos(), angle.sin()], -1)
    grid = TiltGrid(TiltConfig())
    told, untold = (
        grid.best(grid.log_prob(camera, lines)) for lines in (torch.cat([start, end], -1), None)
    )
    assert told.std_deg > 0.7 * untold.std_deg


def by_votes(camera: Camera, votes, stds_deg) -> Gravity:
    grid = TiltGrid(TiltConfig())
    covariance = torch.deg2rad(torch.tensor(stds_deg, dtype=torch.float64)).square()
    cov = covariance[:, None, None] * torch.eye(3, dtype=torch.float64)
    up = torch.tensor(votes, dtype=torch.float64)
    return grid.best(grid.log_prob(camera) + grid.by_votes(up, cov))


def test_a_vote_counts_by_how_well_the_pose_is_known(camera):
    sure, unsure = pitched(20.0), pitched(-5.0)
    found = by_votes(camera, [sure.up_cam, unsure.up_cam], [2.0, 15.0])
    assert off_deg(found, sure) < 8
    other = by_votes(camera, [sure.up_cam, unsure.up_cam], [15.0, 2.0])
    assert off_deg(other, unsure) < 8


def test_lines_that_agree_by_chance_do_not_tilt_a_camera_that_people_call_level(camera):
    """A rail or a ramp may look like a vanishing point far from where heads are."""
    ramp = upright_lines(camera, pitched(-50.0), lines=25)
    grid, votes = TiltGrid(TiltConfig()), torch.tensor([[0.0, -1.0, 0.0]] * 3).double()
    cov = math.radians(3.0) ** 2 * torch.eye(3).double().expand(3, 3, 3)
    found = grid.best(grid.log_prob(camera, ramp) + grid.by_votes(votes, cov))
    assert off_deg(found, pitched(0.0)) < 6


@pytest.mark.parametrize("seed", range(4))
def test_spreads_are_spreads_where_hardly_anything_was_seen(fitter, make_scene, camera, seed):
    """Directions that nothing speaks of have hardly any precision, and never less than none."""
    hidden = tuple(name for name in BLAZEPOSE33 if name not in ("left_elbow", "nose"))
    evidence = make_scene((20.0,), seed=seed, hidden=hidden).evidence
    alone = replace(evidence, people=tuple(replace(p, world_m=None) for p in evidence.people))
    targets = fitter.targets(alone, camera)
    found = fitter.fitter.fit(targets)
    rows = torch.zeros(len(found.energy), dtype=torch.long)
    stances = Stances.of(
        fitter.fitter.energy, found.unknowns, targets[rows], fitter.flesh_m, torch.ones(len(rows))
    )
    for covariance in (stances.up_cov, stances.point_cov_m2):
        assert (covariance.diagonal(dim1=-2, dim2=-1) > 0).all()
    height_m, variance = stances.ground_m(torch.tensor([[0.0, -1.0, 0.0]]).double())
    assert height_m.isfinite().all() and (variance > 0).all()
