"""How old faces look: which square is looked at, and whose face says something."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.evaluation.value_files import read_values, write_values
from kinflow.evidence.detector import EvidenceDetector
from kinflow.evidence.faces import LEAST_SIZE_PX, SIDE, FaceAges, region_of_face
from kinflow.evidence.types import FaceAge
from kinflow.evidence.weights import RuntimeConfig

SEEN = ("left_eye", "right_eye", "mouth_left", "mouth_right")


def face(turn: float = 0.0, size: float = 20.0, sideways: float = 1.0) -> np.ndarray:
    """Keypoints of a face at (100, 80), turned clockwise; its eyes as far from each other as from
    the mouth, if it is seen from in front."""
    half = sideways * size / 2
    places = [(half, -size / 2), (-half, -size / 2), (half / 2, size / 2), (-half / 2, size / 2)]
    cosine, sine = math.cos(turn), math.sin(turn)
    keypoints = np.zeros((33, 3))
    for name, (x, y) in zip(SEEN, places, strict=True):
        row = KEYPOINT_INDEX[name]
        keypoints[row] = (100 + cosine * x - sine * y, 80 + sine * x + cosine * y, 0.9)
    return keypoints


@pytest.mark.parametrize("turn", [0.0, 0.7, -2.0, math.pi])
def test_the_square_turns_with_the_face(turn):
    region = region_of_face(face(turn))
    assert region is not None
    assert region.center_px == pytest.approx((100, 80))
    assert math.remainder(region.roll - turn, 2 * math.pi) == pytest.approx(0, abs=1e-9)
    assert region.size_px == pytest.approx(SIDE * 20)


def test_a_face_in_profile_or_bowed_is_as_large_as_what_shows():
    profile, bowed = face(sideways=0.1), face()
    bowed[[KEYPOINT_INDEX[name] for name in SEEN[2:]], 1] -= 15
    for keypoints, size in ((profile, 20.0), (bowed, 0.95 * 20)):
        region = region_of_face(keypoints)
        assert region is not None and region.size_px == pytest.approx(SIDE * size)


def test_no_square_around_what_is_not_seen():
    assert region_of_face(face(sideways=-1.0)) is None, "from behind"
    assert region_of_face(face(1.0, sideways=-1.0)) is None
    assert region_of_face(face(size=0.9 * LEAST_SIZE_PX)) is None
    for name in SEEN:
        hidden = face()
        hidden[KEYPOINT_INDEX[name], 2] = 0.0
        assert region_of_face(hidden) is None
    assert region_of_face(np.zeros((33, 3))) is None


@pytest.fixture(scope="module")
def ages() -> FaceAges:
    return FaceAges(RuntimeConfig(threads=1))


@pytest.fixture(scope="module")
def seen(astronaut):
    """The detector's evidence of a grown-up who faces the camera."""
    config = replace(EvidenceDetector().config, runtime=RuntimeConfig(threads=1))
    return EvidenceDetector(config, faces=True).detect(astronaut)


def test_an_adult_looks_like_one_however_she_is_turned(ages, astronaut, seen):
    (person,) = seen.people
    assert person.face_age is not None and person.face_age.child < 0.05
    keypoints = person.keypoints_px.numpy()
    upside_down = keypoints.copy()
    upside_down[:, :2] = np.array(astronaut.shape[1::-1]) - keypoints[:, :2]
    turned = ages.look(np.ascontiguousarray(astronaut[::-1, ::-1]), upside_down)
    again = ages.look(astronaut, keypoints)
    assert turned is not None and again == person.face_age
    assert turned.child == pytest.approx(again.child, abs=0.02)


def test_what_shows_no_face_says_nothing(ages, astronaut, seen):
    keypoints = seen.people[0].keypoints_px.numpy()
    assert ages.look(np.full_like(astronaut, 128), keypoints) is None
    blurred = cv2.GaussianBlur(astronaut, (0, 0), 60)
    assert ages.look(blurred, keypoints) is None


def test_nobody_looks_unless_asked(astronaut):
    config = replace(EvidenceDetector().config, runtime=RuntimeConfig(threads=1))
    assert all(one.face_age is None for one in EvidenceDetector(config).detect(astronaut).people)


def test_ages_are_kept_with_the_evidence(tmp_path, seen):
    path = tmp_path / "seen.safetensors"
    write_values(path, [seen])
    (again,) = read_values(path)
    assert isinstance(again.people[0].face_age, FaceAge)
    assert again.people[0].face_age == seen.people[0].face_age
