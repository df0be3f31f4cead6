"""A second look at whom the first did not show."""

import cv2
import numpy as np
import pytest

from kinflow.body.keypoints import COCO17
from kinflow.evidence.candidates import WeakConfig
from kinflow.evidence.detector import DetectorConfig, EvidenceDetector
from kinflow.evidence.movenet import Detection, Look, MoveNet
from kinflow.evidence.second_looks import (
    SecondLooksConfig,
    looks_at_boxes,
    mirrored,
    second_looks,
)

FIRST_LOOK_ONLY = SecondLooksConfig(at_most=0, from_people=1000)


class NoNetwork(MoveNet):
    """One that must not be asked."""

    def __init__(self) -> None:
        pass

    def look(self, image_rgb: np.ndarray, min_score: float) -> Look:
        raise AssertionError("looked")


class Counting(NoNetwork):
    """One that sees nobody, and notes what it is shown."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, ...]] = []

    def look(self, image_rgb: np.ndarray, min_score: float) -> Look:
        self.asked.append(image_rgb.shape)
        return Look([], np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))


def somebody(x: float, score: float, height: float = 200.0) -> Detection:
    """A detection around x whose keypoints lie on a diagonal of its box."""
    along = np.linspace(0.05, 0.95, 17)
    width = 0.4 * height
    points = np.column_stack((x + width * along, height * along, np.full(17, 0.6)))
    return Detection(points, np.array([x, 0.0, x + width, height]), score)


def pixels(height: int = 240, width: int = 640) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def test_a_photo_whose_candidates_are_all_people_is_not_looked_at_again():
    people = [somebody(10, 0.5), somebody(300, 0.4)]
    again = [*people, somebody(12, 0.06), somebody(298, 0.09)]
    assert second_looks(pixels(), NoNetwork(), again, people, SecondLooksConfig()) == []


@pytest.mark.parametrize("left", [somebody(300, 0.04), somebody(300, 0.2, height=30.0)])
def test_faint_and_small_candidates_are_left_alone(left):
    first = [somebody(10, 0.5), left]
    assert second_looks(pixels(), NoNetwork(), first, first[:1], SecondLooksConfig()) == []


def test_looks_are_bounded():
    """Of many whom nobody found, the surest are looked at, each once."""
    network = Counting()

    first = [somebody(200.0 * i, 0.06 + 0.001 * i) for i in range(9)]
    config = SecondLooksConfig(at_most=3)
    assert second_looks(pixels(240, 2000), network, first, [], config) == []
    assert network.asked == [(256, 256, 3)] * 3
    people = [somebody(2000.0 + 200 * i, 0.5) for i in range(3)]
    second_looks(pixels(240, 2000), network, first, people, config)
    assert network.asked[3:] == [(77, 640, 3), *[(256, 256, 3)] * 3]  # the mirrored photo as well


def test_a_mirrored_detection_comes_back():
    """The left hand of a picture's mirror image is the right one; twice mirrored is as before."""
    one = somebody(10, 0.5)
    back = mirrored(one, 640)
    left, right = COCO17.index("left_wrist"), COCO17.index("right_wrist")
    np.testing.assert_allclose(back.keypoints_px[left, 0], 640 - one.keypoints_px[right, 0])
    np.testing.assert_allclose(back.box_px, (640 - one.box_px[2], 0, 640 - one.box_px[0], 200))
    twice = mirrored(back, 640)
    np.testing.assert_allclose(twice.keypoints_px, one.keypoints_px)
    np.testing.assert_allclose(twice.box_px, one.box_px)


def test_people_of_a_blurred_crowd_are_found_at_a_second_look(detector, astronaut):
    """Of two rows of four, shoulder to shoulder and out of focus, the first look shows half; nobody
    is found twice, and whom the first look showed stays."""
    person = cv2.resize(astronaut[:, :400], None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    row = np.concatenate([person, person[:, ::-1]] * 2, axis=1)
    crowd = cv2.GaussianBlur(np.concatenate((row, row[:, ::-1])), (0, 0), 1.5)
    once = EvidenceDetector(DetectorConfig(second_looks=FIRST_LOOK_ONLY)).people(crowd, None)
    people = detector.people(crowd, None)
    assert len(once) < len(people) <= 8
    noses = np.array([one.keypoints_px[0, :2] for one in people])
    places = {tuple(place) for place in (noses // person.shape[1::-1]).tolist()}
    assert len(places) == len(people)
    assert len(detector.people(crowd, len(people) - 1)) == len(people) - 1


GROUP = [somebody(200.0 * i, 0.5) for i in range(3)]


@pytest.mark.parametrize("people", [GROUP, GROUP[:2]])
def test_boxes_of_people_who_were_found_and_of_photos_of_few_are_left_alone(people):
    boxes = np.stack([one.box_px + 5 for one in people] + [np.array([600.0, 0, 615, 30])])
    if len(people) < 3:
        boxes = boxes + 300  # nobody was found there
    assert looks_at_boxes(pixels(), NoNetwork(), boxes, people, SecondLooksConfig()) == []


def test_looks_at_boxes_are_bounded():
    network, boxes = Counting(), np.stack([somebody(700.0 + 100 * i, 0.5).box_px for i in range(9)])
    config = SecondLooksConfig(boxes_at_most=4)
    assert looks_at_boxes(pixels(240, 2000), network, boxes, GROUP, config) == []
    assert network.asked == [(256, 256, 3)] * 4


def test_whom_only_the_detector_of_things_saw_is_found_in_a_group(astronaut):
    """One of four is out of focus: without any other second look the detector of things shows
    where, and everybody else stays as they were."""
    person = cv2.resize(astronaut[:, :400], None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(person[:, ::-1], (0, 0), 3)
    row = np.concatenate([person, blurred, person[:, ::-1], person], axis=1)
    config = DetectorConfig(
        min_score=0.35,
        weak=WeakConfig(at_most=0),
        second_looks=SecondLooksConfig(least=1.0),
    )
    without = EvidenceDetector(config).detect(row).people
    noses = [
        sorted(float(one.keypoints_px[0, 0]) // person.shape[1] for one in people)
        for people in (without, EvidenceDetector(config, things=True).detect(row).people)
    ]
    assert noses == [[0, 2, 3], [0, 1, 2, 3]]
