"""People of clips by the real networks: who crosses, comes late, stands there after a cut."""

import cv2
import numpy as np
import pytest
from clips import paste

from kinflow.evidence.clip_people import ClipPeople, ClipPeopleConfig, SeenFrame
from kinflow.evidence.detector import DetectorConfig, EvidenceDetector
from kinflow.evidence.video_files import ClipFrame
from kinflow.evidence.weights import RuntimeConfig

FPS = 10.0
SIZE = (640, 270)


@pytest.fixture(scope="module")
def detector() -> EvidenceDetector:
    return EvidenceDetector(DetectorConfig(runtime=RuntimeConfig(threads=1)))


@pytest.fixture(scope="module")
def people(astronaut_rgb) -> tuple[np.ndarray, np.ndarray]:
    """Two people, 190 pixels wide."""
    one = cv2.resize(astronaut_rgb[:, 60:420], (190, 270), interpolation=cv2.INTER_AREA)
    return one, np.ascontiguousarray(one[:, ::-1, ::-1])


def empty(tone: int = 110) -> np.ndarray:
    return np.full((SIZE[1], SIZE[0], 3), tone, np.uint8)


def watched(
    detector: EvidenceDetector, pictures: list[np.ndarray], **options: object
) -> list[SeenFrame]:
    frames = [ClipFrame(i, i / FPS, picture) for i, picture in enumerate(pictures)]
    return list(ClipPeople(detector, **options).watch(frames))


def middle(seen: SeenFrame, identity: int) -> float:
    """Where somebody is across the image."""
    box = seen.evidence.people[seen.identities.index(identity)].box_px
    return float(box[0] + box[2]) / 2


def test_people_who_cross_keep_their_numbers(detector, people):
    pictures = []
    for share in np.linspace(0, 1, 36):
        picture = empty()
        paste(picture, people[1], 440 * (1 - share))
        paste(picture, people[0], 450 * share)
        pictures.append(picture)
    seen = watched(detector, pictures)
    assert [frame.index for frame in seen] == list(range(36))
    assert {number for frame in seen for number in frame.identities} == {0, 1}
    both = [frame for frame in seen if len(frame.identities) == 2]
    assert both[0].index < 12
    assert both[-1].index > 30
    leftmost = min((0, 1), key=lambda number: middle(both[0], number))
    for frame in both:
        first_is_left = middle(frame, leftmost) < middle(frame, 1 - leftmost)
        # on frame 18 they stand one before the other
        assert first_is_left == (frame.index < 18) or abs(frame.index - 18) < 3


def test_frames_without_people_come_out_and_late_comers_are_found(detector, people):
    there = empty()
    paste(there, people[0], 200)
    seen = watched(detector, [empty()] * 12 + [there] * 8)
    assert [frame.identities for frame in seen[:12]] == [()] * 12
    assert [frame.identities for frame in seen[-3:]] == [(0,)] * 3
    # searched for twice a second
    assert [bool(frame.identities) for frame in seen].index(True) <= 12 + FPS / 2


def test_after_a_cut_the_same_person_is_another(detector, people):
    rng = np.random.default_rng(0)
    shots = []
    for _ in range(2):
        patches = rng.integers(0, 255, (5, 12, 3)).astype(np.uint8)
        shot = cv2.resize(patches, SIZE, interpolation=cv2.INTER_CUBIC)
        paste(shot, people[0], 200)
        shots += [shot] * 6
    seen = watched(detector, shots)
    assert [frame.shot for frame in seen] == [0] * 6 + [1] * 6
    assert {number for frame in seen[:6] for number in frame.identities} == {0}
    assert {number for frame in seen[6:] for number in frame.identities} == {1}


def test_whoever_flashes_by_is_nobody(detector, people):
    flash = empty()
    paste(flash, people[0], 200)
    searched = ClipPeopleConfig(follow_others=False)
    seen = watched(detector, [empty()] * 3 + [flash] * 2 + [empty()] * 9, config=searched)
    assert all(frame.identities == () for frame in seen)
    at_the_end = watched(detector, [empty()] * 3 + [flash] * 2, config=searched)
    assert all(frame.identities == () for frame in at_the_end)
    # a clip of one frame says no more
    (alone,) = watched(detector, [flash])
    assert alone.identities == (0,)
    assert len(alone.evidence.people) == 1


def test_at_most_so_many_are_followed(detector, people):
    picture = empty()
    paste(picture, people[0], 20)
    paste(picture, people[1], 400)
    assert {len(seen.identities) for seen in watched(detector, [picture] * 4)} == {2}
    seen = watched(detector, [picture] * 7, max_people=1)
    assert {len(frame.identities) for frame in seen} == {1}


def test_following_sees_what_a_search_sees(detector, people):
    pictures = []
    for x in np.linspace(100, 250, 8):
        picture = empty()
        paste(picture, people[0], x)
        pictures.append(picture)
    followed = watched(detector, pictures)
    searched = watched(detector, pictures, config=ClipPeopleConfig(follow_others=False))
    for one, other in zip(followed, searched, strict=True):
        a, b = (frame.evidence.people[0].keypoints_px.numpy() for frame in (one, other))
        sure = np.minimum(a[:, 2], b[:, 2]) > 0.5
        assert sure.sum() >= 5
        assert np.median(np.linalg.norm((a - b)[sure, :2], axis=1)) < 0.03 * 190


def test_faces_are_looked_at_if_that_is_wanted(detector, people):
    """A grown-up, once her face has been seen, in all frames from there on."""
    there = empty()
    paste(there, people[0], 200)
    asked = EvidenceDetector(detector.config, faces=True)
    for models, told in ((detector, False), (asked, True)):
        seen = watched(models, [there] * 4)
        ages = [person.face_age for frame in seen for person in frame.evidence.people]
        assert len(ages) == 4
        assert all((age is not None and age.child < 0.1) == told for age in ages)
