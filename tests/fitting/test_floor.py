"""The floor that people share: who is on it, what it says of up, and children who come nearer."""

import math
from dataclasses import replace

import pytest
import torch

from kinflow.energy.unknowns import Unknowns
from kinflow.fitting.floor import FloorConfig, guess_floor
from kinflow.fitting.nearer import nearer
from kinflow.fitting.photo import PhotoFitter
from kinflow.fitting.size_by_floor import child_nats_by_floor, with_floors
from kinflow.fitting.size_signs import SizeSigns
from kinflow.fitting.sizes import child_log_odds
from kinflow.fitting.stances import Stances, flesh_m
from kinflow.results import Gravity

LEVEL = torch.tensor([[0.0, -1.0, 0.0]], dtype=torch.float64)


def standing_at(places_m, std_share: float = 0.05, legs: float = 1.0) -> Stances:
    """People of one point each, whose distance from the camera is known to a share of it."""
    points = torch.tensor(places_m, dtype=torch.float64)[:, None]
    along = std_share * points[..., :, None]
    count = len(points)
    return Stances(
        up_cam=LEVEL.expand(count, 3),
        up_cov=torch.zeros(count, 3, 3, dtype=torch.float64),
        points_cam_m=points,
        point_cov_m2=along @ along.mT,
        flesh_m=torch.zeros(1, dtype=torch.float64),
        legs=torch.full((count,), legs, dtype=torch.float64),
    )


def directions(pitches_deg) -> torch.Tensor:
    pitch = torch.deg2rad(torch.tensor(pitches_deg, dtype=torch.float64))
    return torch.stack([0 * pitch, -pitch.cos(), -pitch.sin()], -1)


def test_the_floor_is_where_most_people_stand():
    stances = standing_at([(-1.0, 1.5, 3.0), (0.5, 1.45, 5.0), (1.0, 1.55, 4.0), (0.0, 0.2, 4.0)])
    guess = guess_floor(stances, LEVEL, FloorConfig())
    assert float(guess.height_m) == pytest.approx(-1.5, abs=0.06)
    assert (guess.on_it[:3] > 0.9).all() and guess.on_it[3] < 0.1, "somebody is on a wall"
    alone = guess_floor(stances[:1], LEVEL, FloorConfig())
    assert guess.std_m < alone.std_m


def test_people_at_several_distances_tell_how_the_floor_lies():
    pitch_deg, up = 20.0, directions([20.0])[0]
    sideways, ahead = torch.tensor([1.0, 0.0, 0.0]).double(), directions([-70.0])[0]
    assert abs(float(up @ ahead)) < 1e-9
    places = [x * sideways + z * ahead - 1.6 * up for x, z in ((-1.0, 3.0), (0.3, 5.0), (1.0, 7.0))]
    stances = standing_at(torch.stack(places).tolist(), 0.03)
    asked = [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]
    guess = guess_floor(stances, directions(asked), FloorConfig(child_share=0.0))
    best = int(guess.log_likelihood.argmax())
    assert abs(asked[best] - pitch_deg) <= 5
    assert guess.log_likelihood[best] > guess.log_likelihood[0] + 1
    assert float(guess.height_m[4]) == pytest.approx(-1.6, abs=0.05)


def test_one_person_says_nothing_of_the_way_that_the_floor_lies():
    guess = guess_floor(
        standing_at([(0.3, 1.4, 4.0)]), directions([-20.0, 0.0, 20.0]), FloorConfig()
    )
    assert float(guess.log_likelihood.max() - guess.log_likelihood.min()) < 0.2


def test_of_two_who_disagree_the_farther_is_a_child_and_not_the_nearer_a_giant():
    stances = standing_at([(-0.5, 1.4, 4.0), (0.5, 2.4, 7.0)])
    guess = guess_floor(stances, LEVEL, FloorConfig())
    assert float(guess.height_m) == pytest.approx(-1.4, abs=0.1)
    assert guess.on_it[0] > 0.5 and guess.nearer[0] < 0.2
    assert guess.nearer[1] > 0.5 and float(guess.distance[1]) == pytest.approx(1.4 / 2.4, abs=0.05)


def test_who_hides_the_legs_may_sit_and_is_no_child_for_that():
    places = [(-0.5, 1.4, 4.0), (0.5, 2.0, 5.8)]
    seen, hidden = (
        guess_floor(standing_at(places, legs=legs), LEVEL, FloorConfig()) for legs in (1.0, 0.0)
    )
    assert seen.nearer[1] > 0.3 and hidden.nearer.max() < 1e-9
    assert hidden.on_it.min() > 0.5 and hidden.std_m > seen.std_m


@pytest.mark.parametrize(("log_odds", "is_child"), [(-4.0, False), (0.0, True), (4.0, True)])
def test_who_looks_grown_up_is_no_child_for_standing_further_away(log_odds, is_child):
    stances = standing_at([(-0.5, 1.4, 4.0), (0.5, 1.8, 5.2)])
    odds = torch.tensor([-4.0, log_odds])
    guess = guess_floor(stances, LEVEL, FloorConfig(), odds)
    assert (float(guess.nearer[1]) > 0.5) == is_child
    surely = guess_floor(stances, LEVEL, FloorConfig(), torch.tensor([-4.0, 40.0]))
    assert surely.log_likelihood.isfinite().all() and surely.nearer[1] > 0.5


def test_what_is_not_known_of_children_is_as_usual():
    stances = standing_at([(-0.5, 1.4, 4.0), (0.5, 2.4, 7.0)])
    unknown = torch.full((2,), math.nan)
    usual, told = (guess_floor(stances, LEVEL, FloorConfig(), odds) for odds in (None, unknown))
    assert torch.equal(usual.nearer, told.nearer)


def test_grown_ups_near_and_far_tell_what_is_up_where_children_might_tell_otherwise():
    """The same heads and feet could be a child's who is nearer, under a camera that is level."""
    up, sideways, ahead = directions([8.0])[0], torch.tensor([1.0, 0.0, 0.0]).double(), None
    ahead = directions([-82.0])[0]
    places = [
        x * sideways + z * ahead - 1.6 * up for x, z in ((-1.0, 3.0), (0.3, 9.0), (1.0, 10.0))
    ]
    stances = standing_at(torch.stack(places).tolist(), 0.05)
    asked = directions([0.0, 8.0])

    def pitched(log_odds: float) -> float:
        odds = torch.full((3,), log_odds)
        level, right = guess_floor(stances, asked, FloorConfig(), odds).log_likelihood
        return float(right - level)

    assert pitched(-4.0) > pitched(0.0)


def test_directions_that_stand_for_their_neighbours_tell_less_of_who_is_far_apart():
    """From one direction of a grid to the next the ground of who is far away moves far."""
    up, ahead = directions([10.4])[0], directions([-79.6])[0]
    places = [z * ahead - 2.0 * up for z in (10.0, 30.0, 60.0)]
    stances = standing_at(torch.stack(places).tolist(), 0.001)
    exact, coarse = (
        guess_floor(stances, directions([10.0, 40.0]), FloorConfig(child_share=0.0), None, step)
        for step in (0.0, 1.0)
    )
    assert coarse.on_it[:, 0].min() > 0.5 > exact.on_it[:, 0].min()
    assert coarse.log_likelihood[0] > coarse.log_likelihood[1]


def test_a_floor_at_the_height_of_the_camera_is_no_trouble():
    guess = guess_floor(standing_at([(0.0, 0.0, 4.0), (1.0, 0.0, 3.0)]), LEVEL, FloorConfig())
    assert guess.log_likelihood.isfinite().all() and float(guess.height_m) == pytest.approx(0.0)


@pytest.mark.parametrize("factor", [0.9, 0.7, 0.5])
def test_a_body_nearer_is_as_much_smaller(fitter, factor):
    model = fitter.fitter.model
    body = Unknowns(
        torch.diag(torch.tensor([1.0, -1.0, -1.0]))[None],
        torch.tensor([[0.4, 0.2, 5.0]]),
        torch.zeros(1, model.prior.latent_dim),
        torch.zeros(1, 6),
        torch.zeros(1),
    )
    small = nearer(model, body, torch.tensor([factor]))
    adult, child = (
        model.evaluate(b, with_jacobian=False).keypoints_cam_m[0] for b in (body, small)
    )
    assert float(child[:, 2].mean() / adult[:, 2].mean()) == pytest.approx(factor, abs=0.03)
    extent = [
        float((p[:, 1] / p[:, 2]).amax() - (p[:, 1] / p[:, 2]).amin()) for p in (adult, child)
    ]
    assert extent[1] == pytest.approx(extent[0], rel=0.05), "it looks as tall as before"


def on_floor(fitter, place, s) -> Unknowns:
    """People who face a level camera 1.5 m above their floor."""
    model, generator = fitter.fitter.model, torch.Generator().manual_seed(3)
    count = len(place)
    facing = torch.diag(torch.tensor([1.0, -1.0, -1.0])).expand(count, 3, 3)
    z = 0.3 * torch.randn(count, model.prior.latent_dim, generator=generator)
    truth = Unknowns(facing, place, z, s, torch.zeros(count))
    points = model.evaluate(truth, with_jacobian=False).keypoints_cam_m
    drop = 1.5 - (points[..., 1] + flesh_m(fitter.fitter.names)).amax(1)
    return replace(truth, t_cam_root_m=place + torch.stack([0 * drop, drop, 0 * drop], -1))


@pytest.fixture(scope="module")
def family(fitter, camera, see):
    """Two adults and a child of four."""
    s = torch.zeros(3, 6)
    s[1, 1] = -4.0
    place = torch.tensor([[-1.0, 0.0, 4.0], [0.0, 0.0, 3.5], [1.3, 0.0, 5.0]])
    truth = on_floor(fitter, place, s)
    scene = see(truth, camera, torch.Generator().manual_seed(4), rough=True)
    return scene, truth.t_cam_root_m


def test_a_child_among_adults_stands_on_their_floor(fitter, family, camera):
    scene, place = family
    fit = fitter.fit(scene.evidence, camera)
    assert fit.floor is not None and fit.floor.height_m == pytest.approx(-1.5, abs=0.25)
    assert fit.gravity.std_deg < 8
    off = [
        float((p.t_cam_root_m - t).norm() / t.norm())
        for p, t in zip(fit.people, place, strict=True)
    ]
    assert max(off) < 0.2, "a child that was taken for an adult is off by 40 % and more"
    heights = [p.measures().height_m for p in fit.people]
    assert heights[1] < 1.3 < min(heights[0], heights[2])


def test_one_alone_has_the_floor_under_the_feet(fitter, family, camera):
    scene, _ = family
    fit = fitter.fit(replace(scene.evidence, people=scene.evidence.people[:1]), camera)
    (person,), up = fit.people, torch.tensor(fit.gravity.up_cam)
    lowest_m = float((person.vertices() @ up).min())
    assert fit.floor is not None and fit.floor.height_m == pytest.approx(lowest_m, abs=0.04)


def test_a_camera_of_another_gravity_has_the_floor_along_it(fitter, family, camera):
    """Heights are along up, so that the floor is as far below a camera that is turned."""
    scene, _ = family
    fit = fitter.fit(scene.evidence, camera)
    gravity = fit.gravity
    assert isinstance(gravity, Gravity) and math.hypot(*gravity.up_cam) == pytest.approx(1)
    points = torch.cat([p.vertices() for p in fit.people]) @ torch.tensor(gravity.up_cam)
    assert abs(float(points.min()) - fit.floor.height_m) < 0.15


def test_nobody_is_certain_who_is_far_above_the_floor_of_the_others(fitter, camera, see):
    """As a lamp is that looks like somebody; who is there alone may be anywhere."""
    place = torch.tensor([[x, 0.0, 7.0] for x in (-2.6, -1.3, 0.0, 1.3, 2.6)])
    truth = on_floor(fitter, place, torch.zeros(5, 6))

    def codes(above_m: float, people: slice = slice(None)) -> list[str]:
        above = torch.zeros(5, 3)
        above[-1, 1] = -above_m
        raised = replace(truth, t_cam_root_m=truth.t_cam_root_m + above)
        scene = see(raised, camera, torch.Generator().manual_seed(4), rough=True)
        evidence = replace(scene.evidence, people=scene.evidence.people[people])
        return [person.code for person in fitter.fit(evidence, camera).people]

    assert codes(0.1) == ["ok"] * 5
    assert codes(0.8) == ["ok"] * 4 + ["uncertain"]
    assert codes(-0.8)[-1] != "ok", "sunk"
    assert codes(3.0) == ["ok"] * 4 + ["uncertain"]
    assert codes(3.0, slice(4, None)) == ["ok"]


UPRIGHT = Gravity((0.0, -1.0, 0.0), 1.5)
UNKNOWN_ODDS = torch.full((4,), -2.0)
FLOOR = FloorConfig()


def test_who_has_the_ground_too_far_below_may_be_a_child():
    places = [(-1.0, 1.5, 3.0), (0.5, 1.45, 4.0), (1.0, 1.55, 4.0)]
    child = torch.tensor((0.0, 1.5, 3.5)) / 0.65
    nats = child_nats_by_floor(standing_at([*places, child.tolist()]), UPRIGHT, UNKNOWN_ODDS, FLOOR)
    assert nats[3] > 1 and (nats[:3] < 0).all()
    giant = torch.tensor((0.0, 1.5, 3.5)) * 1.4
    for other in ((giant / 1.4).tolist(), (giant / 2.8).tolist(), (0.0, -1.0, 4.0)):
        nats = child_nats_by_floor(standing_at([*places, other]), UPRIGHT, UNKNOWN_ODDS, FLOOR)
        assert nats[3] < 0.05, "an adult, a giant or a climber, and no child"


def test_the_floor_says_less_of_whom_it_knows_less():
    places = [(-1.0, 1.5, 3.0), (0.5, 1.45, 4.0), (1.0, 1.55, 4.0), (0.0, 2.3, 5.4)]
    seen, hidden = (standing_at(places, legs=legs) for legs in (1.0, 0.0))
    nats = [float(child_nats_by_floor(s, UPRIGHT, UNKNOWN_ODDS, FLOOR)[3]) for s in (seen, hidden)]
    assert nats[0] > nats[1] > 0
    two = child_nats_by_floor(seen[2:], UPRIGHT, UNKNOWN_ODDS[2:], FLOOR)
    assert two.tolist() == [0.0, 0.0], "either may be a child, or nobody"


def test_who_stands_with_children_is_one():
    """Where two who are known to be children have the ground, a third has it who is one too."""
    stances = standing_at([(x, 1.0 / 0.65, 4.0 / 0.65) for x in (-0.5, 0.5, 1.0)])
    children = child_nats_by_floor(stances, UPRIGHT, torch.tensor([3.0, 3.0, -1.0]), FLOOR)
    adults = child_nats_by_floor(stances, UPRIGHT, torch.tensor([-3.0, -3.0, -1.0]), FLOOR)
    assert children[2] > 0 > adults[2]


def test_floors_count_among_the_signs_of_their_own_photo():
    places = [(-1.0, 1.5, 3.0), (0.5, 1.45, 4.0), (0.0, 2.3, 5.4)]
    adult = SizeSigns(None, None, -1.0)
    signs = [adult, adult, None, SizeSigns(0.1, 0.0, 0.0)]
    photos = [standing_at(places), standing_at(places[2:])]
    found = with_floors(signs, photos, [UPRIGHT, UPRIGHT], FLOOR)
    assert found[2] is None, "of whom nothing is known the floor says nothing"
    assert found[3] == SizeSigns(0.1, 0.0, 0.0, floor=0.0), "alone in another photo"
    assert found[0] is not None and found[0].floor is not None and found[0].floor < 0
    assert child_log_odds(found[0]) < child_log_odds(adult)


def test_who_shares_no_floor_is_told_nothing_by_it(fitter, family, camera, monkeypatch):
    config = replace(fitter.config, gravity=replace(fitter.config.gravity, shared_floor=False))
    unshared = PhotoFitter(fitter.fitter.model.prior, config, align_parts=False)
    for fits, is_told in ((fitter, True), (unshared, False)):
        monkeypatch.setattr(fits.sizes, "signs", lambda *_: [SizeSigns(None, None, -1.0)] * 3)
        signs = fits.size_signs(family[0].evidence, camera)
        assert [one is not None and one.floor is not None for one in signs] == [is_told] * 3


def test_a_photo_of_nobody_has_no_signs(fitter, family, camera):
    assert fitter.size_signs(replace(family[0].evidence, people=()), camera) == []
