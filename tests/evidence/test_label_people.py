"""Whose labels are whose, on people drawn by hand."""

import cv2
import numpy as np
import pytest
import torch

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.parts import ANY_PART, BACKGROUND, UNKNOWN
from kinflow.evidence.label_maps import PhotoLabels, sets_of_matte
from kinflow.evidence.label_people import attach_parts
from kinflow.evidence.part_labels import usable
from kinflow.evidence.types import ImageEvidence, PersonEvidence

SIZE = (400, 300)
HEAD, TORSO, LEG = 1 << 1, 1 << 2, 1 << 9
# A standing person in units of their height, from the top of the head.
PLACES = {
    "nose": (0, 0.08),
    **{f"{side}_ear": (x * 0.04, 0.08) for side, x in (("left", 1), ("right", -1))},
    **{f"{side}_shoulder": (x * 0.1, 0.2) for side, x in (("left", 1), ("right", -1))},
    **{f"{side}_elbow": (x * 0.12, 0.35) for side, x in (("left", 1), ("right", -1))},
    **{f"{side}_wrist": (x * 0.12, 0.48) for side, x in (("left", 1), ("right", -1))},
    **{f"{side}_hip": (x * 0.07, 0.5) for side, x in (("left", 1), ("right", -1))},
    **{f"{side}_knee": (x * 0.07, 0.73) for side, x in (("left", 1), ("right", -1))},
    **{f"{side}_ankle": (x * 0.07, 0.95) for side, x in (("left", 1), ("right", -1))},
}


def person(x: float, top: float, height: float) -> PersonEvidence:
    keypoints = torch.zeros(33, 3)
    for name, (u, v) in PLACES.items():
        keypoints[BLAZEPOSE33.index(name)] = torch.tensor([x + u * height, top + v * height, 0.9])
    box = torch.tensor([x - 0.16 * height, top, x + 0.16 * height, top + height])
    return PersonEvidence(keypoints, torch.ones(33), None, box, 0.9)


def figure(x: float, top: float, height: float) -> np.ndarray:
    """Which pixels a person shows on: head, torso with arms, legs; background elsewhere."""
    sets = np.full((SIZE[1], SIZE[0]), BACKGROUND, np.uint16)

    def fill(bits: int, x0: float, y0: float, x1: float, y1: float) -> None:
        corners = [
            (round(x + u * height), round(top + v * height)) for u, v in ((x0, y0), (x1, y1))
        ]
        cv2.rectangle(sets, *corners, bits, -1)

    fill(HEAD, -0.06, 0, 0.06, 0.17)
    fill(TORSO, -0.14, 0.17, 0.14, 0.5)
    fill(LEG, -0.1, 0.5, 0.1, 1.0)
    return sets


LEFT, RIGHT = (120.0, 40.0, 220.0), (175.0, 60.0, 200.0)


@pytest.fixture
def two() -> ImageEvidence:
    return ImageEvidence(SIZE, (person(*LEFT), person(*RIGHT)))


@pytest.fixture
def everybody() -> np.ndarray:
    left, right = figure(*LEFT), figure(*RIGHT)
    return np.where(left != BACKGROUND, left, right)


def at(labels, *points) -> list[int]:
    """Labels at image points (x, y)."""
    cells = labels.grid.to_cells(np.array(points))
    return [int(labels.allowed[int(row), int(column)]) for column, row in cells]


def test_one_map_of_everybody_is_shared_by_the_nearest_skeleton(two, everybody):
    attached = attach_parts(two, PhotoLabels((everybody,), False, False))
    left, right = (p.parts for p in attached.people)
    heads = (120, 55), (175, 75)
    assert at(left, *heads) == [HEAD, UNKNOWN]
    assert at(right, *heads) == [UNKNOWN, HEAD]
    assert at(left, (120, 110), (115, 200)) == [TORSO, LEG]
    # what is nobody's is background for both
    assert at(left, (120, 35)) == at(right, (175, 45)) == [BACKGROUND]
    assert [p.mask for p in attached.people] == [None, None]
    for labels, evidence in zip((left, right), two.people, strict=True):
        assert usable(labels, evidence.keypoints_px)
        assert torch.equal(labels.confidence == 0, labels.allowed == UNKNOWN)


def test_labels_are_those_of_the_pixels(two, everybody):
    """No cell is shifted: each known one has the label of the pixel at its centre."""
    labels = attach_parts(two, PhotoLabels((everybody,), False, False)).people[0].parts
    known = labels.allowed != UNKNOWN
    x, y = labels.grid.centres_px()[known].floor().long().T
    assert torch.equal(labels.allowed[known], torch.from_numpy(everybody.astype(np.int32))[y, x])
    assert float(known.float().mean()) > 0.5


def test_outside_the_image_nothing_is_known():
    cut = (20.0, 150.0, 220.0)  # feet and the right arm are out of view
    evidence = ImageEvidence(SIZE, (person(*cut),))
    labels = attach_parts(evidence, PhotoLabels((figure(*cut),), False, False)).people[0].parts
    x, y = labels.grid.centres_px().unbind(-1)
    outside = (x < 0) | (y < 0) | (x >= SIZE[0]) | (y >= SIZE[1])
    assert bool(outside.any())
    assert torch.equal(labels.allowed == UNKNOWN, outside)


def test_people_whom_nobody_detected_are_not_ours(everybody):
    alone = ImageEvidence(SIZE, (person(*LEFT),))
    labels = attach_parts(alone, PhotoLabels((everybody,), False, False)).people[0].parts
    assert at(labels, (120, 55), (120, 110), (175, 75)) == [HEAD, TORSO, UNKNOWN]


def test_maps_of_one_person_each_find_their_people(two):
    maps = (figure(*RIGHT), figure(*LEFT))  # in another order
    attached = attach_parts(two, PhotoLabels(maps, True, False))
    left, right = (p.parts for p in attached.people)
    assert at(left, (120, 55), (175, 75)) == [HEAD, UNKNOWN]
    assert at(right, (175, 75)) == [HEAD]
    # where two maps overlap, each person keeps what their own says
    assert at(left, (149, 120)) == at(right, (149, 120)) == [TORSO]


def test_a_map_of_somebody_else_leaves_nothing_known(two):
    far = figure(340.0, 60.0, 200.0)
    attached = attach_parts(two, PhotoLabels((figure(*LEFT), far), True, False))
    left, right = attached.people
    assert usable(left.parts, left.keypoints_px)
    assert bool((right.parts.allowed == UNKNOWN).all())
    assert not usable(right.parts, right.keypoints_px)


def test_a_silhouette_of_somebody_else_is_not_usable():
    far = np.where(figure(340.0, 60.0, 200.0) != BACKGROUND, ANY_PART, BACKGROUND).astype(np.uint16)
    evidence = ImageEvidence(SIZE, (person(*LEFT),))
    (seen,) = attach_parts(evidence, PhotoLabels((far,), False, True)).people
    assert not usable(seen.parts, seen.keypoints_px)


def test_silhouettes_are_masks_too(two, everybody):
    silhouette = np.where(everybody != BACKGROUND, ANY_PART, BACKGROUND).astype(np.uint16)
    attached = attach_parts(two, PhotoLabels((silhouette,), False, True))
    points = torch.tensor([[120.0, 110.0], [175.0, 75.0], [120.0, 35.0]])
    assert attached.people[0].mask.sample(points).tolist() == pytest.approx([1, 0, 0])
    assert at(attached.people[0].parts, (120, 110)) == [ANY_PART]


def test_people_without_a_visible_bone_get_nothing(two, everybody):
    blind = torch.cat([two.people[0].keypoints_px[:, :2], torch.zeros(33, 1)], -1)
    first = PersonEvidence(blind, torch.ones(33), None, two.people[0].box_px, 0.9)
    attached = attach_parts(
        ImageEvidence(SIZE, (first, two.people[1])), PhotoLabels((everybody,), False, False)
    )
    assert at(attached.people[1].parts, (175, 75)) == [HEAD]
    each = attach_parts(ImageEvidence(SIZE, (first,)), PhotoLabels((figure(*LEFT),), True, False))
    assert bool((each.people[0].parts.allowed == UNKNOWN).all())


def test_nobody(everybody):
    nobody = ImageEvidence(SIZE, ())
    for each in (False, True):
        assert attach_parts(nobody, PhotoLabels((everybody,), each, False)).people == ()


def matte_of(sets: np.ndarray, blur_px: float) -> np.ndarray:
    shown = np.where(sets != BACKGROUND, np.uint8(255), np.uint8(0))
    return cv2.GaussianBlur(shown, (0, 0), blur_px) if blur_px else shown


@pytest.mark.parametrize("one_person_each", [False, True])
def test_soft_mattes_stay_soft(one_person_each):
    evidence = ImageEvidence(SIZE, (person(*LEFT),))

    def seen(blur_px: float) -> PersonEvidence:
        matte = matte_of(figure(*LEFT), blur_px)
        labels = PhotoLabels((sets_of_matte(matte),), one_person_each, True, (matte,))
        return attach_parts(evidence, labels).people[0]

    hard, smoothed, soft = seen(0), seen(0.7), seen(8)
    x, y = soft.parts.grid.centres_px().floor().long().unbind(-1)
    matte = torch.from_numpy(matte_of(figure(*LEFT), 8))
    known = soft.parts.allowed != UNKNOWN
    expected = matte[y[known], x[known]] / 255
    torch.testing.assert_close(soft.mask.probability[known], expected)
    assert torch.equal(soft.parts.allowed[known] == ANY_PART, expected >= 128 / 255)
    # certain throughout; where the edge is a pixel wide nearly so; least where it fades slowly
    assert bool((hard.parts.confidence[known] == 1).all())
    at_half = (soft.mask.probability - 0.5).abs() < 0.1
    assert float(smoothed.parts.confidence[at_half & known].mean()) > 0.7
    assert float(soft.parts.confidence[at_half & known].mean()) < 0.4
    deep_inside = soft.mask.probability == 1
    assert float(soft.parts.confidence[deep_inside].mean()) > 0.9


def test_a_matte_says_nothing_of_what_is_unknown(two):
    """A person whom no map shows, and everything outside the image."""
    matte = matte_of(figure(*LEFT), 3)
    labels = PhotoLabels((sets_of_matte(matte),), True, True, (matte,))
    right = attach_parts(two, labels).people[1]
    assert bool((right.parts.allowed == UNKNOWN).all())
    assert not right.mask.probability.any() and not right.parts.confidence.any()
