"""Who is a child: signs of it, the target of the shape, and where a child's fit starts."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from kinflow.body.measure import measure
from kinflow.body.model import BodyModel
from kinflow.body.part_mesh import PartMesh
from kinflow.body.parts import PART_INDEX
from kinflow.energy.body_energy import ShapeTarget
from kinflow.energy.vertex_model import VertexModel
from kinflow.evidence.part_labels import PARSER_CONFIDENCE
from kinflow.evidence.types import FaceAge, ImageEvidence, PartLabels, PersonMask
from kinflow.fitting.clip import ClipFitConfig, ClipFitter, SeenPeople
from kinflow.fitting.clip_tracks import with_one_shape
from kinflow.fitting.drawing import drawn_parts
from kinflow.fitting.head_outline import head_outline
from kinflow.fitting.multistart import Candidates
from kinflow.fitting.parts import part_body
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.fitting.sample_kinds import CHILD_BELOW_AGE
from kinflow.fitting.sequence import TrackFitter
from kinflow.fitting.size_signs import FittedAdult, SizeSigns, shows_size, signs
from kinflow.fitting.sizes import (
    SizeConfig,
    SizeEstimator,
    age_of_child,
    age_of_years,
    child_log_odds,
    number_of_age,
)
from kinflow.fitting.track_targets import TrackWindow
from kinflow.geometry.image_grid import ImageGrid
from kinflow.priors.shape import ShapePrior

HEAD = PART_INDEX["head"]


@pytest.fixture(scope="module")
def vertices() -> VertexModel:
    return VertexModel(part_body())


@pytest.fixture(scope="module")
def adults(fitter, make_scene, camera):
    """Two people and the bodies that explain their keypoints, with what is drawn of these."""
    scene = make_scene((20.0, -60.0), noise_px=0.5, seed=3)
    found = fitter.fitter.fit(fitter.targets(scene.evidence, camera))
    best = torch.stack([found.of(i)[0] for i in range(2)])
    return scene, found, found.unknowns[best]


def labelled(person, drawn, camera, grown: int = 0):
    """The person with the labels that the parser would give to what is drawn."""
    allowed = torch.where(drawn > 0, 1 << drawn.int(), 1).int()
    if grown:
        head = (drawn == HEAD).float()[None]
        wide = torch.nn.functional.max_pool2d(head, 2 * grown + 1, 1, grown)[0] > 0
        allowed = torch.where(wide, 1 << HEAD, allowed).int()
    confidence = torch.full(allowed.shape, PARSER_CONFIDENCE)
    return replace(
        person, parts=PartLabels(allowed, confidence, ImageGrid((0.0, 0.0), 2.0, drawn.T.shape))
    )


def drawn_body(fitter, vertices, unknowns, camera):
    """Part of each cell of 2 x 2 pixels, and the body."""
    state = fitter.fitter.model.evaluate(unknowns, with_jacobian=False)
    grid = ImageGrid((0.0, 0.0), 2.0, (camera.image_size[0] // 2, camera.image_size[1] // 2))
    points = vertices.all_vertices(state.motion)[0].numpy()
    drawn = drawn_parts(points, grid.camera(camera), PartMesh.of(vertices.body))
    return torch.from_numpy(drawn), FittedAdult(points, state.keypoints_cam_m[0].numpy())


def with_face(person, factor: float):
    """The person with a face of that many times the size."""
    keypoints = person.keypoints_px.clone()
    middle = keypoints[:11, :2].mean(0)
    keypoints[:11, :2] = middle + factor * (keypoints[:11, :2] - middle)
    return replace(person, keypoints_px=keypoints)


def test_a_larger_head_and_face_show(fitter, vertices, adults, camera):
    """Labels of the adult itself differ from it in nothing; what is larger does so by as much."""
    scene, _, best = adults
    drawn, adult = drawn_body(fitter, vertices, best[:1], camera)
    mesh, person = PartMesh.of(vertices.body), scene.evidence.people[0]
    same = signs(labelled(person, drawn, camera), adult, camera, mesh)
    wide = signs(labelled(with_face(person, 1.3), drawn, camera, grown=2), adult, camera, mesh)
    assert same is not None and wide is not None
    assert same.head is not None and same.face is not None
    assert wide.head is not None and wide.face is not None
    assert same.head == pytest.approx(0.0, abs=1e-6) and abs(same.face) < 0.06
    assert wide.head > 0.1
    assert wide.face - same.face == pytest.approx(math.log(1.3), abs=1e-3)


def outlined(drawn) -> PersonMask:
    """The silhouette of what is drawn in cells of 2 x 2 pixels."""
    size = (drawn.shape[1], drawn.shape[0])
    return PersonMask((drawn > 0).float(), ImageGrid((0.0, 0.0), 2.0, size))


def with_head(adult, mesh, factor: float) -> FittedAdult:
    """The body with a head that looks that many times as large."""
    rows = np.unique(mesh.faces[mesh.face_parts == HEAD])
    points = adult.vertices_m.copy()
    middle = points[rows].mean(0)
    points[rows, :2] = middle[:2] + factor * (points[rows, :2] - middle[:2])
    return FittedAdult(points, adult.keypoints_m)


def test_a_larger_head_shows_in_the_outline(fitter, vertices, adults, camera):
    """Its own outline makes no head larger, one that is drawn larger is so by as much; and signs of
    people of whom there is a silhouette have it."""
    scene, _, best = adults
    drawn, adult = drawn_body(fitter, vertices, best[:1], camera)
    mesh, person = PartMesh.of(vertices.body), labelled(scene.evidence.people[0], drawn, camera)
    own = head_outline(adult.vertices_m, outlined(drawn), camera, mesh)
    assert own is not None and abs(own) < 0.08
    for factor in (0.8, 1.35):
        large = with_head(adult, mesh, factor).vertices_m
        grid = outlined(drawn).grid
        mask = outlined(torch.from_numpy(drawn_parts(large, grid.camera(camera), mesh)))
        told = head_outline(adult.vertices_m, mask, camera, mesh)
        assert told is not None and told - own == pytest.approx(math.log(factor), abs=0.08)
        found = signs(replace(person, mask=mask), adult, camera, mesh, network=0.0)
        assert found is not None and found.outline == told
    without = signs(person, adult, camera, mesh, network=0.0)
    assert without is not None and without.outline is None
    assert person.parts is not None
    exact = replace(person.parts, confidence=torch.ones_like(person.parts.confidence))
    given = signs(replace(person, parts=exact, mask=mask), adult, camera, mesh, network=0.0)
    assert given is not None and given.outline is None


def test_no_outline_where_it_is_not_against_a_background(fitter, vertices, adults, camera):
    """Somebody behind whom everything is taken for them, who is not shown at all, or of whom the
    head is at the image's edge."""
    _, _, best = adults
    drawn, adult = drawn_body(fitter, vertices, best[:1], camera)
    mesh, mask = PartMesh.of(vertices.body), outlined(drawn)
    everything = replace(mask, probability=torch.ones_like(mask.probability))
    nothing = replace(mask, probability=torch.zeros_like(mask.probability))
    for other in (everything, nothing):
        assert head_outline(adult.vertices_m, other, camera, mesh) is None
    head = camera.project(torch.from_numpy(with_head(adult, mesh, 0.0).vertices_m)).numpy()
    rows = np.unique(mesh.faces[mesh.face_parts == HEAD])
    middle = int(head[rows, 1].mean())
    cut = replace(camera, image_size=(camera.image_size[0], max(1, middle // 8)))
    assert head_outline(adult.vertices_m, mask, cut, mesh) is None


def test_nothing_can_be_said_of_some(adults, fitter, vertices, camera):
    """Labels of others than the parser, no labels, and what is twice as wide as a head say nothing
    of the head; hidden legs leave the network alone; and a face alone is not enough."""
    scene, _, best = adults
    drawn, adult = drawn_body(fitter, vertices, best[:1], camera)
    mesh, person = PartMesh.of(vertices.body), labelled(scene.evidence.people[0], drawn, camera)
    assert person.parts is not None and shows_size(person)
    exact = replace(person.parts, confidence=torch.ones_like(person.parts.confidence))
    huge = labelled(person, drawn, camera, grown=12)
    for headless in (replace(person, parts=exact), replace(person, parts=None), huge):
        assert signs(headless, adult, camera, mesh) is None
        found = signs(headless, adult, camera, mesh, network=-1.0)
        assert found is not None and found.head is None and found.face is not None
    assert signs(person, adult, camera, None) is None
    hidden = person.keypoints_px.clone()
    hidden[25:27, 2] = 0.2
    legless = replace(person, keypoints_px=hidden)
    assert not shows_size(legless) and signs(legless, adult, camera, mesh) is None
    assert signs(legless, adult, camera, mesh, network=0.3) == SizeSigns(None, None, 0.3)


def test_children_are_fitted_as_children(fitter, vertices, adults, camera):
    """Who is taken for one starts as large in the image as before, nearer, at the age that the
    signs tell; everybody else stays what they are."""
    scene, found, best = adults
    drawn = [drawn_body(fitter, vertices, best[i : i + 1], camera)[0] for i in range(2)]
    alike = [labelled(p, drawn[i], camera) for i, p in enumerate(scene.evidence.people)]
    estimator = SizeEstimator(fitter.fitter.model, vertices, SizeConfig())
    cameras = [camera] * 2
    assert estimator.target(estimator.signs(best, alike, cameras, None)) is None
    large = labelled(with_face(scene.evidence.people[0], 1.3), drawn[0], camera, grown=3)
    told, other = estimator.signs(best, [large, alike[1]], cameras, None)
    target = estimator.target([told, other])
    assert target is not None and told is not None
    age = float(fitter.fitter.model.shape_prior.decode(target.centre)[0, 1])
    assert age == pytest.approx(age_of_child(told), abs=0.01)
    torch.testing.assert_close(target.centre[1], torch.zeros(6))
    torch.testing.assert_close(target.inverse_std[1], torch.ones(6))
    children = estimator.as_children(found, target)
    mine, others = found.of(0), found.of(1)
    assert bool(
        (children.unknowns.t_cam_root_m[mine, 2] < found.unknowns.t_cam_root_m[mine, 2]).all()
    )
    torch.testing.assert_close(children[others].unknowns.s, found[others].unknowns.s)
    spans = []
    for bodies in (found, children):
        points = fitter.fitter.model.evaluate(bodies.unknowns[mine], False).keypoints_cam_m
        spans.append(camera.project(points).std(1).norm(dim=-1))
    torch.testing.assert_close(spans[0], spans[1], rtol=0.08, atol=0.0)


def test_no_proportion_alone_makes_a_child():
    least = SizeConfig().least_log_odds
    for network in (None, -2.1):
        for head, face in ((0.39, -0.2), (0.03, 1.0)):
            assert child_log_odds(SizeSigns(head, face, network)) < least
    assert child_log_odds(SizeSigns(0.25, 0.1)) > least


def test_the_network_alone_speaks_where_no_proportions_were_seen(fitter):
    estimator = SizeEstimator(fitter.fitter.model, None, SizeConfig())
    sure, adult = SizeSigns(None, None, 1.5), SizeSigns(None, None, -1.0)
    target = estimator.target([sure, adult, None])
    assert target is not None
    age = fitter.fitter.model.shape_prior.decode(target.centre)[:, 1]
    assert age[0] < CHILD_BELOW_AGE and (age[1:] > CHILD_BELOW_AGE).all()
    assert estimator.target([None]) is None
    # who shows proportions is judged by these as well, and a face counts more where no head does
    assert estimator.target([SizeSigns(-0.1, -0.5, 1.5)]) is None
    assert estimator.common_target([sure, sure]) is None
    face = [SizeSigns(head, 0.1, -1.5) for head in (None, 0.032)]
    assert child_log_odds(face[0]) > child_log_odds(face[1])


def test_an_outline_has_a_say_where_there_is_a_network():
    for head in (0.05, None):
        odds = [
            child_log_odds(SizeSigns(head, -0.1, -0.5, outline=told)) for told in (0.0, 0.2, 0.5)
        ]
        assert odds[0] < odds[1] < odds[2]
        assert odds[0] < SizeConfig().least_log_odds < odds[2]
    found = [child_log_odds(SizeSigns(0.05, -0.1, outline=told)) for told in (0.0, 0.5)]
    assert found[0] == found[1]


def test_the_network_has_a_say_where_it_knows_a_person():
    """Proportions between those of adults and children: its word decides, and tells the age."""
    doubtful = SizeSigns(0.09, -0.1)
    says = [child_log_odds(replace(doubtful, network=word)) for word in (-3.0, 0.0, 3.0)]
    assert says[0] < says[1] < says[2]
    assert says[0] < SizeConfig().least_log_odds < says[2]
    ages = [age_of_child(replace(doubtful, network=word)) for word in (-3.0, 3.0)]
    assert ages[1] < ages[0]


def test_a_young_face_makes_a_child_likelier():
    """Whatever else is known; a grown-up one takes nothing away."""
    for found in (
        SizeSigns(0.09, -0.1, -1.0),
        SizeSigns(None, None, -0.5),
        SizeSigns(None, None, -0.5, floor=0.5),
        SizeSigns(None, None, None),
    ):
        faces = [FaceAge(child, 5.0) for child in (0.001, 0.1, 0.5, 0.99)]
        odds = [child_log_odds(replace(found, face_age=face)) for face in faces]
        assert odds == sorted(odds)
        assert odds[0] == child_log_odds(found) < odds[2] < odds[3]
        assert odds[0] < SizeConfig().least_log_odds < odds[3]


def test_a_child_is_as_old_as_its_face_looks_if_that_is_a_childs():
    body = SizeSigns(0.2, 0.0, 1.0)
    ages = [age_of_child(replace(body, face_age=FaceAge(0.98, years))) for years in (0.2, 3.0, 9.0)]
    assert ages == sorted(ages) and ages[0] < 0.07 and ages[2] > 0.3
    vague = age_of_child(replace(body, face_age=FaceAge(0.02, 0.2)))
    assert vague == pytest.approx(age_of_child(body), abs=0.01)
    assert all(age_of_years(years) < CHILD_BELOW_AGE for years in (0.0, 12.0, 15.0))


def test_bodies_are_as_tall_as_children_of_their_years():
    """Medians of the WHO at 2, 6 and 10 years: 87, 116 and 138 cm."""
    body, prior = BodyModel.load(), ShapePrior()
    ages = torch.tensor([age_of_years(years) for years in (2.0, 6.0, 10.0)])
    s = torch.zeros(3, 6)
    s[:, 1] = number_of_age(prior, ages)[0]
    heights = [measure(body.with_shape(shape)).height_m for shape in prior.decode(s)]
    assert heights == pytest.approx([0.87, 1.16, 1.38], abs=0.02)


def test_a_face_tells_of_people_of_whom_nothing_else_is_seen(fitter, vertices, adults, camera):
    scene, _, best = adults
    keypoints = scene.evidence.people[0].keypoints_px.clone()
    keypoints[25:27, 2] = 0.2
    baby = replace(
        scene.evidence.people[0], keypoints_px=keypoints, face_age=FaceAge(0.97, 0.5), parts=None
    )
    adult = replace(baby, face_age=FaceAge(0.01, 9.0))
    for reads in (True, False):
        estimator = SizeEstimator(fitter.fitter.model, vertices, SizeConfig(faces=reads))
        found = estimator.signs(best, [baby, adult], [camera] * 2, None)
        assert [one is not None and one.face is None for one in found] == [reads] * 2
        target = estimator.target(found)
        if not reads:
            assert target is None
            continue
        assert target is not None
        age = fitter.fitter.model.shape_prior.decode(target.centre)[:, 1]
        assert age[0] < 0.1 and age[1] > CHILD_BELOW_AGE


def test_what_a_network_says_is_that_of_its_person(fitter, vertices, adults, camera):
    scene, _, best = adults
    drawn = [drawn_body(fitter, vertices, best[i : i + 1], camera)[0] for i in range(2)]
    people = [labelled(p, drawn[i], camera) for i, p in enumerate(scene.evidence.people)]
    estimator = SizeEstimator(fitter.fitter.model, vertices, SizeConfig())
    words = torch.tensor([torch.nan, 4.0])
    found = estimator.signs(best, people, [camera] * 2, words)
    assert [one and one.network for one in found] == [None, 4.0]
    target = estimator.target(found)
    assert target is not None
    assert float(target.centre[0].abs().max()) == 0 and float(target.centre[1, 1]) < -2


def test_a_person_of_a_clip_is_what_frames_say_together(fitter, vertices):
    """Two doubtful frames do not outweigh three clear ones, whichever these are."""
    estimator = SizeEstimator(fitter.fitter.model, vertices, SizeConfig())
    child, adult = SizeSigns(0.2, 0.0, 3.0), SizeSigns(0.0, -0.2, -3.0)
    assert estimator.common_target([adult, None, child, adult, adult]) is None
    target = estimator.common_target([child, child, None, adult, child])
    assert target is not None and len(target.centre) == 1
    assert estimator.common_target([None, None]) is None


def test_a_child_stays_one_in_the_next_frames(fitter, vertices):
    estimator = SizeEstimator(fitter.fitter.model, vertices, SizeConfig())
    target = estimator.target([SizeSigns(0.2, 0.0, 3.0)])
    assert target is not None
    again = estimator.target_again(target.centre)
    assert again is not None
    torch.testing.assert_close(again.centre, target.centre, atol=1e-3, rtol=0)
    assert estimator.target_again(torch.zeros(1, 6)) is None


def test_larger_heads_are_younger():
    assert age_of_child(SizeSigns(0.2, 0.1)) < age_of_child(SizeSigns(0.1, 0.0)) < 0.5


def test_whoever_wants_adults_gets_adults(prior, fitter, adults, camera, vertices):
    """The whole way: a person with signs of a child comes out small, unless sizes are left out."""
    scene, _, best = adults
    drawn = drawn_body(fitter, vertices, best[:1], camera)[0]
    large = labelled(with_face(scene.evidence.people[0], 1.3), drawn, camera, grown=3)
    evidence = replace(scene.evidence, people=(large,))
    grown_ups = PhotoFitter(prior, PhotoFitConfig(sizes=SizeConfig(estimate=False)))
    child, adult = (one.fit(evidence, camera).people[0] for one in (fitter, grown_ups))
    assert float(child.shape[1]) < 0.5 < float(adult.shape[1])
    assert child.measures().height_m < adult.measures().height_m - 0.2
    assert 0.01 < adult.height_std_m < child.height_std_m < 0.5


def test_fits_keep_to_the_target(fitter, adults, camera):
    """With a target of a child's shape, the polished body is a child's."""
    scene, found, best = adults
    targets = fitter.targets(scene.evidence, camera)
    number, slope = number_of_age(ShapePrior(), torch.tensor([0.3]))
    centre, inverse_std = torch.zeros(2, 6), torch.ones(2, 6)
    centre[0, 1], inverse_std[0, 1] = float(number), float(slope) / 0.05
    shape = ShapeTarget(centre, inverse_std)
    estimator_free = Candidates(best, torch.zeros(2), torch.arange(2), ("a", "b"))
    small = replace(
        estimator_free, unknowns=replace(best, s=torch.where(centre != 0, centre, best.s))
    )
    done = fitter.fitter.polish(small, replace(targets, shape=shape))
    age = fitter.fitter.model.shape_prior.decode(done.unknowns.s)[:, 1]
    assert float(age[0]) < 0.45 and float(age[1]) > 0.7


def test_numbers_of_ages_decode_to_them():
    prior = ShapePrior()
    ages = torch.linspace(0.05, 0.55, 9)
    number, slope = number_of_age(prior, ages)
    s = torch.zeros(9, 6)
    s[:, 1] = number
    torch.testing.assert_close(prior.decode(s)[:, 1], ages, atol=1e-4, rtol=0)
    further = s.clone()
    further[:, 1] += 1e-2
    torch.testing.assert_close(
        (prior.decode(further) - prior.decode(s))[:, 1] / 1e-2, slope, rtol=0.05, atol=0
    )


def test_a_child_of_a_clip_is_one_in_every_frame(fitter, vertices, adults, camera):
    """Frames that show it plainly, and others that do not: one small body, also in a later fit."""
    scene, _, best = adults
    drawn = drawn_body(fitter, vertices, best[:1], camera)[0]
    person = scene.evidence.people[0]
    plain = labelled(with_face(person, 1.3), drawn, camera, grown=3)
    seen = (plain, plain, labelled(person, drawn, camera), plain, plain, plain)
    times_s = torch.arange(6) / 30.0
    tracks = TrackFitter(fitter)
    (first,), _ = tracks.fit([TrackWindow(times_s, seen)], camera)
    (adult,), _ = tracks.fit([TrackWindow(times_s, (seen[2],) * 6)], camera)
    known = TrackWindow(times_s, (seen[2],) * 6, first.bodies[:4], torch.arange(4), settled=2)
    (later,), _ = tracks.fit([known], camera)
    for fit, small in ((first, True), (later, True), (adult, False)):
        age = fitter.fitter.model.shape_prior.decode(fit.bodies.s)[:, 1]
        assert bool((age < CHILD_BELOW_AGE).all()) == small
        assert (fit.targets.shape is not None) == small
        assert float(age.max() - age.min()) < 0.02
    assert bool((first.bodies.t_cam_root_m[:, 2] < adult.bodies.t_cam_root_m[:, 2]).all())


YOUNG, GROWN_UP = FaceAge(0.97, 4.0), FaceAge(0.01, 9.0)


def test_the_face_of_a_clip_is_that_of_its_last_frames(fitter, adults, camera):
    """A grown-up one, or a young one that nobody asks for, changes nothing."""
    person = adults[0].evidence.people[0]
    times_s = torch.arange(4) / 30.0
    without = PhotoFitter(fitter.fitter.model.prior, PhotoFitConfig(sizes=SizeConfig(faces=False)))
    told = {
        "none": (fitter, (None,) * 4),
        "old": (fitter, (None, YOUNG, GROWN_UP, GROWN_UP)),
        "not asked": (without, (YOUNG,) * 4),
    }
    fits = {}
    for name, (models, faces) in told.items():
        seen = tuple(replace(person, face_age=face) for face in faces)
        (fits[name],), _ = TrackFitter(models).fit([TrackWindow(times_s, seen)], camera)
    for name in ("old", "not asked"):
        torch.testing.assert_close(fits[name].bodies.s, fits["none"].bodies.s, atol=0, rtol=0)
        assert fits[name].targets.shape is None


def test_a_young_face_makes_a_child_of_its_age(fitter, vertices, adults, camera):
    """Which keypoints and parts of an adult in many frames do not outweigh."""
    scene, _, best = adults
    drawn = drawn_body(fitter, vertices, best[:1], camera)[0]
    person = labelled(scene.evidence.people[0], drawn, camera)
    seen = (person, *(replace(person, face_age=YOUNG),) * 7, person)
    (fit,), _ = TrackFitter(fitter).fit([TrackWindow(torch.arange(9) / 30.0, seen)], camera)
    age = fitter.fitter.model.shape_prior.decode(fit.bodies.s)[:, 1]
    assert float((age - age_of_years(4.0)).abs().max()) < 0.07


def test_who_shows_a_young_face_late_is_a_child_all_along(fitter, adults, camera):
    person = adults[0].evidence.people[0]
    faces = [None] * 7 + [YOUNG] * 5
    clip = ClipFitter(fitter, camera, ClipFitConfig(window=6, ahead=2))
    done = []
    for i, face in enumerate(faces):
        seen = ImageEvidence(camera.image_size, (replace(person, face_age=face),))
        done += clip.add(SeenPeople(i / 30.0, 0, seen, (5,)))
    done += clip.finish()
    bodies = [body for frame in done for body in frame.people]
    assert [float(body.shape[1]) < CHILD_BELOW_AGE for body in bodies] == [False] * 4 + [True] * 8
    assert clip.late_children == {5}
    told = [float(body.shape[1]) for body in bodies[4:]]
    assert max(abs(age - age_of_years(4.0)) for age in told) < 0.1, "keypoints are an adult's"
    assert max(told) - min(told) < 0.02, "nor does it grow from window to window"
    small = [one for (one,) in with_one_shape([f.people for f in done], clip.late_children)]
    for body, before in zip(small, bodies, strict=True):
        assert float(body.shape[1]) < 0.3
        shift = camera.project(body.joints_cam_m) - camera.project(before.joints_cam_m)
        assert float(shift.norm(dim=-1).mean()) < 0.03 * person.height_px
