"""Whom to look at, where, and which way up."""

import math

import numpy as np
import pytest

from kinflow.body.keypoints import COCO17
from kinflow.evidence.agreement import COCO_ROWS
from kinflow.evidence.blazepose import Pose, region_from_box, region_from_shoulders
from kinflow.evidence.candidates import WeakConfig, sure_candidates, weak_candidates
from kinflow.evidence.looks import CloseLooks, Demands, MoreLooksConfig
from kinflow.evidence.movenet import Detection
from kinflow.evidence.region import Region
from kinflow.evidence.turns import TurnsConfig, torso_roll, turned_back, wanted_turns

# Head, shoulders, elbows, wrists, hips, knees, ankles of somebody standing; (x, y) in heights.
STANDING = np.array(
    [
        *((0, 0.07), (0.02, 0.05), (-0.02, 0.05), (0.05, 0.07), (-0.05, 0.07), (0.1, 0.2)),
        *((-0.1, 0.2), (0.13, 0.35), (-0.13, 0.35), (0.14, 0.48), (-0.14, 0.48), (0.07, 0.5)),
        *((-0.07, 0.5), (0.07, 0.72), (-0.07, 0.72), (0.07, 0.95), (-0.07, 0.95)),
    ]
)
DEMANDS = Demands(presence=0.9, agreement=0.5, certain_keypoints=3)


def standing(x: float, height: float = 200.0, score: float = 0.5) -> Detection:
    points = STANDING * height + (x, 0.0)
    keypoints = np.column_stack((points, np.full(17, 0.6)))
    box = np.array([x - 0.2 * height, 0.0, x + 0.2 * height, height])
    return Detection(keypoints, box, score)


def turned_clockwise(person: Detection, degrees: float) -> Detection:
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    keypoints = person.keypoints_px.copy()
    keypoints[:, :2] = keypoints[:, :2] @ turn.T
    return Detection(keypoints, person.box_px, person.score)


def test_a_weak_detection_never_replaces_a_sure_one():
    """The weak one has the higher score times keypoints, by which duplicates are ranked."""
    sure, twin, other = standing(0, score=0.2), standing(2, score=0.15), standing(300, score=0.15)
    sure.keypoints_px[6:, 2] = 0
    found = [twin, other, sure]
    kept = sure_candidates(found, 0.18)
    assert [person is sure for person in kept] == [True]
    assert [person is other for person in weak_candidates(found, kept, WeakConfig())] == [True]


def test_weak_candidates_are_bounded_and_the_surest_come_first():
    scores = (0.11, 0.17, 0.05, 0.13)
    found = [standing(400.0 * i, score=score) for i, score in enumerate(scores)]
    found.append(standing(5000.0, height=20.0, score=0.17))
    kept = weak_candidates(found, [], WeakConfig(at_most=2))
    assert [person.score for person in kept] == [0.17, 0.13]


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_turned_detections_come_back(turns):
    """A pixel of the photo keeps its place through `np.rot90` and back."""
    photo = np.zeros((30, 50), int)
    photo[7, 11] = 1
    row, column = np.argwhere(np.rot90(photo, turns))[0]
    keypoints = np.tile((column + 0.5, row + 0.5, 1.0), (17, 1))
    box = np.array([column, row, column + 1, row + 1], float)
    back = turned_back(Detection(keypoints, box, 0.5), turns, (50, 30))
    np.testing.assert_allclose(back.keypoints_px[:, :2], np.tile((11.5, 7.5), (17, 1)))
    np.testing.assert_allclose(back.box_px, (11, 7, 12, 8))


@pytest.mark.parametrize(
    ("degrees", "turns"), [(0, []), (40, []), (90, [1]), (180, [2]), (-80, [3])]
)
def test_a_torso_asks_for_the_turn_that_sets_it_upright(degrees, turns):
    person = turned_clockwise(standing(0), degrees)
    assert torso_roll(person) == pytest.approx(math.radians(degrees), abs=1e-6)
    assert wanted_turns([person], TurnsConfig()) == turns
    if turns:  # `np.rot90` by that many turns is what undoes as many more to a full turn
        upright = turned_back(person, -turns[0] % 4, (900, 500))
        assert abs(torso_roll(upright)) < math.radians(45)


def test_all_turns_where_nobody_is_sure():
    assert wanted_turns([], TurnsConfig()) == [1, 2, 3]
    assert wanted_turns([standing(0, score=0.2)], TurnsConfig()) == [1, 2, 3]


def test_regions_beside_that_of_the_keypoints():
    person = standing(100.0)
    box = region_from_box(person.box_px)
    assert box.center_px == (100.0, 100.0) and box.roll == 0 and box.size_px >= 200
    # Hips out of sight do not matter.
    person.keypoints_px[[COCO17.index("left_hip"), COCO17.index("right_hip")], :2] = 9999
    below = region_from_shoulders(person.keypoints_px, person.box_px)
    assert below.center_px[0] == pytest.approx(100.0)
    assert 0.4 * 200 < below.center_px[1] < 0.65 * 200


class Neighbours:
    """A BlazePose that always sees the same person, however it is asked, and counts."""

    def __init__(self, seen: Detection) -> None:
        points = np.zeros((33, 2))
        points[COCO_ROWS] = seen.keypoints_px[:, :2]
        self.points, self.looks = points, 0

    def __call__(self, _image: np.ndarray, region: Region) -> Pose:
        self.looks += 1
        ones, mask = np.ones(33), np.zeros((256, 256))
        nothing = np.zeros((33, 3))
        activations = np.zeros(1152), np.zeros((33, 288)), np.zeros(4608)
        return Pose(self.points, ones, ones, nothing, 1.0, *activations, mask, region, region)


def test_a_neighbours_pose_is_nobody_elses():
    """Whoever half hides behind somebody must not become a second copy of them."""
    front, behind = standing(0.0), standing(22.0, score=0.15)
    network = Neighbours(front)
    config = MoreLooksConfig(at_most=3)
    image = np.zeros((8, 8, 3), np.uint8)
    looks = CloseLooks(image, network, [front, behind], config)
    person = looks.at_sure(front, DEMANDS)
    assert person is not None and person.pose is not None and network.looks == 1
    assert looks.at_weak(behind, DEMANDS) is None
    assert network.looks == 4  # as the keypoints say, by the box, and below the shoulders
    # One look at another region is left.
    assert looks.at_weak(behind, DEMANDS) is None
    assert network.looks == 6
