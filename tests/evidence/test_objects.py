"""Things in pictures: boxes of the network, and what is about whom."""

from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.evidence.detector import EvidenceDetector
from kinflow.evidence.objects import KINDS, RIDDEN, ObjectDetector, Objects
from kinflow.evidence.surroundings import surroundings
from kinflow.evidence.types import PersonEvidence, Surroundings
from kinflow.evidence.weights import RuntimeConfig


@pytest.fixture(scope="module")
def motorcycle() -> np.ndarray:
    """The left picture of a pair of a motorcycle in a garage."""
    return skimage.data.stereo_motorcycle()[0]


@pytest.fixture(scope="module")
def objects() -> ObjectDetector:
    return ObjectDetector(RuntimeConfig(threads=1))


def surest(found: Objects, kind: int) -> tuple[np.ndarray, float]:
    row = int(found.probability[:, kind].argmax())
    return found.box_px[row], float(found.probability[row, kind])


def test_a_motorcycle_is_found_where_it_is(objects, motorcycle):
    box_px, probability = surest(objects.look(motorcycle), RIDDEN)
    assert probability > 0.5
    np.testing.assert_allclose(box_px, (100, 80, 690, 450), atol=40)


def test_boxes_are_in_pixels_of_the_picture(objects, motorcycle):
    box_px, probability = surest(objects.look(motorcycle), RIDDEN)
    half = np.ascontiguousarray(motorcycle[::2, ::2])
    smaller_px, less = surest(objects.look(half), RIDDEN)
    np.testing.assert_allclose(2 * smaller_px, box_px, atol=40)
    assert less == pytest.approx(probability, abs=0.2)


def test_nothing_in_an_empty_picture(objects):
    found = objects.look(np.full((90, 300, 3), 128, np.uint8))
    assert found.probability.shape == (len(found.box_px), len(KINDS))
    assert found.probability.max(initial=0.0) < 0.5


def test_each_person_is_found_once_and_no_animal(objects, astronaut):
    beside = np.concatenate([astronaut[:, :400], astronaut[:, 399::-1]], 1)
    both = objects.look(beside).people_px
    assert len(both) == 2
    left, right = both[both[:, 0].argsort()]
    np.testing.assert_allclose(left, (14, 14, 364, 507), atol=40)
    np.testing.assert_allclose(right, (436, 14, 786, 507), atol=40)
    assert len(objects.look(skimage.data.chelsea()).people_px) == 0


def test_boxes_of_people_lie_inside_the_picture(objects, astronaut):
    cut = np.ascontiguousarray(astronaut[:300, 100:300])
    found = objects.look(cut).people_px
    assert len(found) and (found >= 0).all() and (found <= (200, 300, 200, 300)).all()


def person_at(x: float, y: float) -> PersonEvidence:
    """Somebody whose hips are at a place, with a trunk of 100 pixels."""
    keypoints = torch.zeros(33, 3)
    for side in ("left", "right"):
        keypoints[KEYPOINT_INDEX[f"{side}_hip"], :2] = torch.tensor((x, y))
        keypoints[KEYPOINT_INDEX[f"{side}_shoulder"], :2] = torch.tensor((x, y - 100))
    box = torch.tensor((x - 50, y - 150, x + 50, y + 200), dtype=torch.float32)
    return PersonEvidence(keypoints, torch.ones(33), None, box, 1.0)


def test_what_is_about_the_hips_is_near_and_the_rest_anywhere():
    seat, ridden = np.array((0.6, 0.0, 0.0, 0.0)), np.array((0.0, 0.7, 0.0, 0.0))
    boxes = np.array([(150.0, 150, 250, 300), (600, 100, 700, 300)])
    found = Objects(boxes, np.stack([seat, ridden]), np.zeros((0, 4)))
    on_seat, rider, aside = surroundings(
        found, [person_at(200, 200), person_at(650, 200), person_at(420, 200)]
    )
    assert on_seat.seat == pytest.approx(0.6) and on_seat.ridden == 0
    assert rider.ridden == pytest.approx(0.7) and rider.seat == 0
    assert aside.seat == aside.ridden == 0
    assert {one.seat_anywhere for one in (on_seat, rider, aside)} == {0.6}


def test_a_picture_without_things_has_nothing_about_anybody():
    nothing = Objects(*[np.zeros((0, 4))] * 3)
    assert surroundings(nothing, [person_at(100, 200)]) == [Surroundings()]


def test_the_detector_looks_for_things_where_it_is_asked(astronaut):
    runtime = replace(EvidenceDetector().config, runtime=RuntimeConfig(threads=1))
    asked = EvidenceDetector(runtime, things=True).detect(astronaut)
    unasked = EvidenceDetector(runtime).detect(astronaut)
    assert asked.people and all(one.surroundings is not None for one in asked.people)
    assert all(one.surroundings is None for one in unasked.people)
