"""How old the people of a clip look: whose faces are looked at when, and what they say together."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from kinflow.evidence.detector import EvidenceDetector
from kinflow.evidence.faces import FaceAges, size_of_face_px
from kinflow.evidence.track_faces import FacesOfTrack, LookAtFace, TrackFaces, TrackFacesConfig
from kinflow.evidence.types import FaceAge
from kinflow.evidence.weights import RuntimeConfig
from kinflow.files.snapshots import restored, taken

ONE_THREAD = RuntimeConfig(threads=1)
STATE = (FacesOfTrack, LookAtFace, FaceAge)


def together(*children: float) -> FaceAge | None:
    looks = [LookAtFace(20.0, FaceAge(child, 10 * (1 - child))) for child in children]
    return FacesOfTrack(best=looks).age


def test_more_than_half_of_the_looks_have_to_be_young():
    assert together() is None
    assert together(0.9) == together(0.9, 0.9) == FaceAge(0.9, 10 * (1 - 0.9))
    for odd in range(5):
        looks = [0.01] * 5
        looks[odd] = 1.0
        assert together(*looks) == together(0.01), "one odd frame among many"
    assert together(0.01, 1.0) == together(0.01), "one against one"
    assert together(1.0, 0.01, 0.8) == together(0.8)


@pytest.fixture(scope="module")
def ages() -> FaceAges:
    return FaceAges(ONE_THREAD)


@pytest.fixture(scope="module")
def seen(astronaut):
    config = replace(EvidenceDetector().config, runtime=ONE_THREAD)
    (person,) = EvidenceDetector(config).detect(astronaut).people
    return person


def moved(person, scale: float, mirrored: bool = False):
    keypoints = person.keypoints_px.clone()
    keypoints[:, :2] *= scale
    keypoints[:, 0] *= -1 if mirrored else 1
    return replace(person, keypoints_px=keypoints)


def looks(faces: TrackFaces, who: int = 3) -> FacesOfTrack:
    return faces.state()["_tracks"][who]


def test_looks_are_few_and_further_and_further_apart(ages, astronaut, seen):
    faces = TrackFaces(ages)
    alone = ages.look(astronaut, seen.keypoints_px.numpy())
    counts = []
    for i in range(60):
        (person,) = faces.look(astronaut, i / 25, [seen], [3])
        assert person.face_age == alone and alone is not None
        counts.append(looks(faces).looks)
    # at 0, 0.1, 0.3, 0.7 and 1.5 s
    when = [i for i in range(60) if i == 0 or counts[i] > counts[i - 1]]
    assert when == [0, 3, 8, 18, 38]
    faces.look(astronaut, 2.41, [moved(seen, 1.2)], [3])
    assert looks(faces).looks == 5, "hardly larger"
    faces.look(cv2.resize(astronaut, None, fx=1.5, fy=1.5), 2.42, [moved(seen, 1.5)], [3])
    assert looks(faces).looks == 6, "seen clearly better"


def test_looks_at_the_faces_that_are_seen_best_count(ages, astronaut, seen):
    faces = TrackFaces(ages, TrackFacesConfig(most=2, longest_gap_s=0.1))
    for i, scale in enumerate((0.5, 1.0, 0.7, 1.2)):
        picture = cv2.resize(astronaut, None, fx=scale, fy=scale)
        faces.look(picture, float(i), [moved(seen, scale)], [3])
    whole = size_of_face_px(seen.keypoints_px.numpy())
    sizes = [look.size_px for look in looks(faces).best]
    assert sizes == pytest.approx([1.2 * whole, whole], rel=1e-4)


def test_who_turns_away_looks_as_old_as_before_and_who_is_gone_is_forgotten(ages, astronaut, seen):
    faces = TrackFaces(ages)
    (first,) = faces.look(astronaut, 0.0, [seen], [3])
    away, other = moved(seen, 1.0, mirrored=True), moved(seen, 0.01)
    there = faces.look(astronaut, 9.0, [away, other], [3, 4])
    assert looks(faces).looks == 1 and looks(faces, 4).looks == 0
    assert [one.face_age for one in there] == [first.face_age, None]
    faces.forget(others_than={4})
    assert list(faces.state()["_tracks"]) == [4]


def test_a_face_that_is_turned_or_bowed_is_seen_worse(seen):
    keypoints = seen.keypoints_px.numpy()
    whole = size_of_face_px(keypoints)
    for squeezed in ((0.5, 1.0), (1.0, 0.5)):
        turned = keypoints.copy()
        turned[:, :2] *= np.array(squeezed)
        assert size_of_face_px(turned) == pytest.approx(whole * 0.5**0.5, rel=1e-4)
    assert size_of_face_px(moved(seen, 1.0, mirrored=True).keypoints_px.numpy()) == 0


def test_another_process_goes_on_with_the_same_looks(ages, astronaut, seen):
    whole, first = TrackFaces(ages), TrackFaces(ages)
    blurred = cv2.GaussianBlur(astronaut, (0, 0), 3)
    for i in range(8):
        for faces in (whole, first):
            faces.look((astronaut, blurred)[i % 2], i / 4, [moved(seen, 1 + i / 100)], [3])
    again = TrackFaces(ages)
    again.resume(restored(taken(first.state(), STATE), STATE))
    for faces in (whole, again):
        faces.look(astronaut, 4.0, [seen], [3])
    assert looks(again) == looks(whole) and looks(whole).looks == 5
