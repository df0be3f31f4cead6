"""Part alignment from end to end, on people whose body is known."""

from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F

from kinflow.body.parts import ANY_PART, BACKGROUND, UNKNOWN
from kinflow.energy.unknowns import Unknowns
from kinflow.evidence.types import ImageEvidence, PartLabels, PersonEvidence
from kinflow.fitting import verdict
from kinflow.fitting.parts import PartAligner, PartFitConfig
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.geometry.image_grid import ImageGrid
from kinflow.metrics.vertices import pve, t_pose_pve
from kinflow.results import Person
from kinflow.synth.scene import Scene, SceneConfig, SceneSource

SCENES = 3


@dataclass(frozen=True)
class Seen:
    """A person of known body and what is seen of them."""

    scene: Scene
    person: PersonEvidence

    def labels(self) -> PartLabels:
        """The true parts."""
        allowed = torch.where(self.scene.known, 1 << self.scene.parts.int(), UNKNOWN).int()
        known = torch.ones(allowed.shape)
        return PartLabels(allowed, known, self.scene.grid)

    def silhouette(self, grown_cells: int = 0) -> PartLabels:
        """The outline of the body, or of clothes so much wider."""
        shows = ((self.scene.parts > 0) & self.scene.known).float()
        width = 2 * grown_cells + 1
        shows = F.max_pool2d(shows[None], width, stride=1, padding=grown_cells)[0]
        allowed = torch.where(shows > 0, ANY_PART, BACKGROUND).int()
        known = torch.ones(allowed.shape)
        return PartLabels(allowed, known, self.scene.grid)

    def fit(self, fitter: PhotoFitter, parts: PartLabels | None) -> Person:
        evidence = ImageEvidence(self.scene.camera.image_size, (replace(self.person, parts=parts),))
        return fitter.fit(evidence, self.scene.camera).people[0]


@pytest.fixture(scope="module")
def people() -> list[Seen]:
    """Scenes in which nearly everything of the person is in view."""
    source, found, seed = SceneSource(SceneConfig()), [], 0
    while len(found) < SCENES:
        scene = source.scene(seed)
        seed += 1
        if scene.keypoint_visible.sum() < 24 or not scene.known.float().mean() > 0.9:
            continue
        keypoints = torch.cat([scene.keypoints_px, scene.keypoint_visible[:, None].float()], 1)
        size = float((keypoints[:, :2].amax(0) - keypoints[:, :2].amin(0)).max())
        person = PersonEvidence(
            keypoints_px=keypoints,
            keypoint_std_px=torch.full((33,), 0.02 * size),
            world_m=None,
            box_px=torch.cat([keypoints[:, :2].amin(0), keypoints[:, :2].amax(0)]),
            score=1.0,
            mask=scene.mask,
        )
        found.append(Seen(scene, person))
    return found


@pytest.fixture(scope="module")
def pairs(people, fitter) -> list[tuple[Person, Person]]:
    """Fits without and with parts."""
    return [(seen.fit(fitter, None), seen.fit(fitter, seen.labels())) for seen in people]


def test_parts_bring_shape_and_pose_closer_to_the_truth(people, pairs, body):
    shape_errors, errors = [], []
    for seen, both in zip(people, pairs, strict=True):
        truth = seen.scene.posed(body).vertices_m()
        shape_errors.append([t_pose_pve(body, p.shape, seen.scene.shape) for p in both])
        errors.append(
            [pve(p.vertices(), p.t_cam_root_m, truth, seen.scene.t_cam_root_m) for p in both]
        )
    before, after = torch.tensor(shape_errors).mean(0)
    assert after < 0.9 * before
    before, after = torch.tensor(errors).mean(0)
    assert after < before


def test_parts_choose_the_body_that_explains_them(people, fitter):
    """Between a fit and the same body turned round."""
    seen, half_turn = people[0], torch.diag(torch.tensor([-1.0, 1.0, -1.0]))
    evidence = ImageEvidence(seen.scene.camera.image_size, (seen.person,))
    targets = fitter.targets(evidence, seen.scene.camera)
    candidates = fitter.fitter.fit(targets)
    fit = candidates.unknowns[candidates.of(0)[:1]]
    turned = replace(fit, R_cam_root=fit.R_cam_root @ half_turn)
    aligner = PartAligner(fitter.fitter.energy, PartFitConfig())
    at = (targets, seen.labels(), seen.scene.camera)
    alone = aligner.align(fit, *at)
    for row, starts in enumerate([(fit, turned), (turned, fit)]):
        best = aligner.align(Unknowns.concatenate(list(starts)), *at)
        assert best.start == row
        torch.testing.assert_close(best.unknowns.z, alone.unknowns.z, atol=1e-3, rtol=1e-3)
        assert best.silhouette_iou == pytest.approx(alone.silhouette_iou, rel=1e-3)


@pytest.fixture(scope="module")
def with_skin_iou(prior):
    """Fitters that take a silhouette for skin from some overlap on."""

    def make(skin_iou: float) -> PhotoFitter:
        return PhotoFitter(prior, PhotoFitConfig(parts=PartFitConfig(skin_iou=skin_iou)))

    return make


def test_exact_silhouettes_count_fully(people, fitter, with_skin_iou):
    never = with_skin_iou(2.0)
    full, vague = (
        [seen.fit(f, seen.silhouette()).silhouette_iou for seen in people] for f in (fitter, never)
    )
    assert min(full) > 0.9
    assert sum(full) > sum(vague) + 0.03


def test_wide_clothes_do_not_fatten_the_body(people, fitter, with_skin_iou):
    always = with_skin_iou(0.0)
    wider_m = []
    for seen in people:
        before = seen.fit(fitter, None).measures().waist_girth_m
        dressed, fattened = (
            abs(seen.fit(f, seen.silhouette(grown_cells=4)).measures().waist_girth_m - before)
            for f in (fitter, always)
        )
        # where hardly anything is fattened, the two are alike
        assert dressed < max(0.6 * fattened, 0.01)
        wider_m.append((dressed, fattened))
    of_dressed, of_fattened = map(sum, zip(*wider_m, strict=True))
    assert of_dressed < 0.3 * of_fattened


def test_the_result_tells_how_parts_overlap(pairs):
    for before, after in pairs:
        assert before.part_iou is None and before.silhouette_iou != before.silhouette_iou
        assert after.silhouette_iou > 0.85
        assert float(after.part_iou[1]) > 0.6  # the torso
        assert after.energy["parts"] >= 0 and "parts" not in before.energy


def test_without_parts_nothing_is_said_about_them(pairs):
    assert all(before.code != "no_parts" for before, _ in pairs)


@pytest.mark.parametrize("kind", ["unknown", "empty", "another_person", "everywhere"])
def test_unusable_labels_fall_back_to_keypoints(people, pairs, fitter, kind):
    seen, (before, _) = people[0], pairs[0]
    labels = seen.labels()
    fill = UNKNOWN if kind == "unknown" else BACKGROUND
    allowed = torch.full_like(labels.allowed, fill)
    if kind == "another_person":
        allowed[:8, :8] = ANY_PART
    if kind == "everywhere":
        allowed[1:] = ANY_PART
    person = seen.fit(fitter, replace(labels, allowed=allowed))
    assert torch.equal(person.joints_cam_m, before.joints_cam_m)
    assert before.code in ("ok", "ambiguous", "uncertain") and person.code == "no_parts"
    assert person.part_iou is None


def everywhere(bits: int, rows: int, columns: int) -> torch.Tensor:
    return torch.full((rows, columns), bits, dtype=torch.int32)


def on_the_border(rows: int, columns: int) -> torch.Tensor:
    labels = everywhere(ANY_PART, rows, columns)
    labels[1:-1, 1:-1] = BACKGROUND
    return labels


ON_THE_BORDER = "shown at the border of the grid only"
WITHOUT_OUTLINE = {
    "everything a silhouette": everywhere(ANY_PART, 60, 40),
    "everything one part": everywhere(1 << 2, 60, 40),
    "nothing known": everywhere(UNKNOWN, 60, 40),
    "nothing but background": everywhere(BACKGROUND, 60, 40),
    "everything a set with the background": everywhere(BACKGROUND | 1 << 2, 60, 40),
    ON_THE_BORDER: on_the_border(60, 40),
    "one cell": everywhere(ANY_PART, 1, 1),
    "one row": everywhere(1 << 1, 1, 40),
    "one column": everywhere(BACKGROUND, 60, 1),
    "four cells": everywhere(ANY_PART, 2, 2),
}


@pytest.mark.parametrize("kind", WITHOUT_OUTLINE)
def test_labels_without_an_outline_leave_the_body_where_it_is(people, fitter, kind):
    """There may be no match at all."""
    seen, allowed = people[0], WITHOUT_OUTLINE[kind]
    scene = seen.scene
    cell_px = scene.grid.cell_px * max(scene.parts.shape) / max(allowed.shape)
    rows, columns = allowed.shape
    grid = ImageGrid(scene.grid.origin_px, cell_px, (columns, rows))
    labels = PartLabels(allowed, torch.ones(allowed.shape), grid)
    evidence = ImageEvidence(scene.camera.image_size, (seen.person,))
    targets = fitter.targets(evidence, scene.camera)
    candidates = fitter.fitter.fit(targets)
    starts = candidates.unknowns[candidates.of(0)[:1]]
    aligned = PartAligner(fitter.fitter.energy, PartFitConfig()).align(
        starts, targets, labels, scene.camera
    )
    assert all(bool(torch.isfinite(value).all()) for value in vars(aligned.unknowns).values())
    joints_m = fitter.fitter.joints_m
    moved_m = (joints_m(aligned.unknowns) - joints_m(starts)).norm(dim=-1)
    # only a silhouette all around pulls: to all sides, from outside of the body
    assert float(moved_m.max()) < (0.4 if kind == ON_THE_BORDER else 0.02)


@pytest.mark.parametrize("kind", WITHOUT_OUTLINE)
def test_labels_without_an_outline_go_through_a_fit(people, pairs, fitter, kind):
    """They say where nobody is, or nothing at all, so the keypoints alone decide."""
    allowed, (before, _) = WITHOUT_OUTLINE[kind], pairs[0]
    rows, columns = allowed.shape
    grid = ImageGrid((0.0, 0.0), 10.0, (columns, rows))
    person = people[0].fit(fitter, PartLabels(allowed, torch.ones(allowed.shape), grid))
    assert person.code == "no_parts" and person.part_iou is None
    assert torch.equal(person.joints_cam_m, before.joints_cam_m)


def upside_down(seen: Seen) -> PartLabels:
    """Parts upside down on the right silhouette."""
    labels = seen.labels()
    shows = (labels.allowed & BACKGROUND) == 0
    return replace(labels, allowed=torch.where(shows, labels.allowed.flip(0), UNKNOWN).int())


def test_wrong_labels_never_make_a_poor_fit_of_a_good_one(people, pairs, fitter):
    for seen, (before, _) in zip(people, pairs, strict=True):
        person = seen.fit(fitter, upside_down(seen))
        if person.part_iou is None:
            assert person.code == "no_parts"
            assert torch.equal(person.joints_cam_m, before.joints_cam_m)
        else:
            assert person.code in ("ok", "uncertain", "ambiguous")
            assert person.limb_error_px() < 0.02 * seen.person.height_px
            assert person.silhouette_iou >= verdict.MIN_SILHOUETTE_IOU


def test_labels_that_tear_a_body_off_its_keypoints_are_left_alone(
    people, pairs, fitter, monkeypatch
):
    """With a limit that the body alone keeps and the body on the wrong parts does not."""
    seen, (before, _) = people[0], pairs[0]
    torn = seen.fit(fitter, upside_down(seen))
    assert torn.part_iou is not None
    between_px = (before.limb_error_px() + torn.limb_error_px()) / 2
    assert before.limb_error_px() < between_px
    monkeypatch.setattr(verdict, "MAX_LIMB_ERROR", between_px / seen.person.height_px)
    person = seen.fit(fitter, upside_down(seen))
    assert person.code == "no_parts" and person.part_iou is None
    assert torch.equal(person.joints_cam_m, before.joints_cam_m)


def test_parts_can_be_switched_off(people, pairs, prior):
    off = PhotoFitter(prior, PhotoFitConfig(), align_parts=False)
    person, (before, after) = people[0].fit(off, people[0].labels()), pairs[0]
    torch.testing.assert_close(person.joints_cam_m, before.joints_cam_m)
    assert person.code == before.code and person.part_iou is None
    assert after.part_iou is not None


def test_the_same_labels_give_the_same_body(people, pairs, fitter):
    again = people[0].fit(fitter, people[0].labels())
    assert torch.equal(again.joints_cam_m, pairs[0][1].joints_cam_m)
