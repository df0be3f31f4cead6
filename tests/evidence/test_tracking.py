"""Who is who: people who cross, vanish behind one another, come and go, and false alarms."""

import numpy as np
import pytest

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.evidence.tracking import Sighting, Tracker

FPS = 30.0
SIZE_PX = 120.0
POINTS = np.random.default_rng(7).uniform(-0.5, 0.5, (len(BLAZEPOSE33), 2))


def standing(x: float, y: float = 240.0, stride: float = 0.0, size: float = SIZE_PX) -> Sighting:
    """Somebody at a place, whose limbs swing with `stride` in [-1, 1]."""
    points = POINTS * (0.6 * size, 2 * size)
    points[11:13] = ((0.15 * size, -0.6 * size), (-0.15 * size, -0.6 * size))
    points[23:25] = ((0.1 * size, 0), (-0.1 * size, 0))
    swing = np.zeros((len(BLAZEPOSE33), 2))
    swing[25::2, 0], swing[26::2, 0] = 0.3 * size * stride, -0.3 * size * stride
    points = points + swing + (x, y)
    keypoints = np.column_stack((points, np.full(len(points), 0.9)))
    return Sighting(keypoints, np.array((x - 0.4 * size, y - size, x + 0.4 * size, y + size)))


def shaken(seen: Sighting, rng: np.random.Generator, std_px: float = 4.0) -> Sighting:
    keypoints = seen.keypoints_px.copy()
    keypoints[:, :2] += rng.normal(0, std_px, (len(keypoints), 2))
    return Sighting(keypoints, seen.box_px + rng.normal(0, std_px, 4))


def tracked(frames: list[list[Sighting]], fps: float = FPS) -> tuple[list[list[int]], Tracker]:
    tracker = Tracker()
    return [tracker.update(i / fps, seen) for i, seen in enumerate(frames)], tracker


@pytest.mark.parametrize("fps", [1.0, 5.0, 30.0, 240.0])
def test_somebody_who_walks_is_one_person_at_any_rate(fps):
    rng = np.random.default_rng(0)
    times = np.arange(12) / fps
    frames = [[shaken(standing(100 + 60 * t, stride=np.sin(6 * t)), rng)] for t in times]
    numbers, tracker = tracked(frames, fps)
    assert numbers == [[0]] * 12
    assert tracker.is_somebody(0) is True


def crossing(rng: np.random.Generator, hidden_s: float) -> tuple[list[list[Sighting]], list]:
    """Two who pass each other, the one behind unseen for a while, and who is who in each frame."""
    speeds = rng.uniform(80, 260, 2) * (1, -1)
    y = 240 + rng.uniform(-15, 15, 2)
    meet_s = 1.5
    frames, truth = [], []
    for i in range(int(3 * FPS)):
        t = i / FPS
        x = 320 + speeds * (t - meet_s)
        people = [shaken(standing(x[k], y[k], np.sin(7 * t + 2 * k)), rng) for k in range(2)]
        there = [0, 1] if abs(t - meet_s) > hidden_s / 2 else [0]
        order = rng.permutation(there)
        frames.append([people[k] for k in order])
        truth.append(list(order))
    return frames, truth


def switches(numbers: list[list[int]], truth: list) -> int:
    """How often somebody's number is another one than before."""
    last: dict[int, int] = {}
    count = 0
    for given, who in zip(numbers, truth, strict=True):
        for number, person in zip(given, who, strict=True):
            count += last.get(person, number) != number
            last[person] = number
    return count


@pytest.mark.parametrize("hidden_s", [0.0, 0.3, 0.8])
def test_people_who_cross_keep_their_numbers(hidden_s):
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(50):
        frames, truth = crossing(rng, hidden_s)
        wrong += switches(tracked(frames)[0], truth) > 0
    assert wrong <= 1


def test_a_gap_of_up_to_two_seconds_is_bridged_and_a_longer_one_is_not():
    def after(gap_s: float) -> int:
        seen = [[standing(100 + 2 * i)] for i in range(15)]
        missed: list[list[Sighting]] = [[] for _ in range(int(gap_s * FPS))]
        return tracked([*seen, *missed, [standing(140)]])[0][-1][0]

    assert after(0.03) == after(0.5) == after(1.9) == 0
    assert after(2.2) == 1


def test_whoever_is_seen_twice_only_is_nobody():
    frames = [[standing(100)] for _ in range(30)]
    for i in (10, 11):
        frames[i].append(standing(500))
    numbers, tracker = tracked(frames)
    assert tracker.is_somebody(0) is True
    assert {n for given in numbers for n in given} == {0, 1}
    assert tracker.is_somebody(1) is False


@pytest.mark.parametrize("frames", [1, 2, 30])
def test_whoever_comes_in_with_the_last_frame_is_nobody(frames):
    """But in a clip of fewer frames than it takes, who is in all of them is somebody."""
    seen = [[standing(100)] for _ in range(frames)]
    if frames > 1:
        seen[-1].append(standing(500))
    _, tracker = tracked(seen)
    tracker.end()
    assert tracker.is_somebody(0) is True
    assert tracker.is_somebody(1) is False


def test_it_is_open_at_first_whether_somebody_is_there():
    tracker = Tracker()
    (number,) = tracker.update(0.0, [standing(100)])
    assert tracker.is_somebody(number) is None
    for i in range(1, 3):
        assert tracker.update(i / FPS, [standing(100)]) == [number]
    assert tracker.is_somebody(number) is True


def test_somebody_far_off_or_of_another_size_is_another_person():
    start = [[standing(100)] for _ in range(10)]
    assert tracked([*start, [standing(500)]])[0][-1] == [1]
    assert tracked([*start, [standing(100, size=2.5 * SIZE_PX)]])[0][-1] == [1]


def test_after_a_cut_everybody_is_new():
    tracker = Tracker()
    for i in range(5):
        assert tracker.update(i / FPS, [standing(100)]) == [0]
    tracker.cut()
    assert tracker.expected(5 / FPS) == {}
    assert tracker.update(5 / FPS, [standing(100)]) == [1]
    assert tracker.is_somebody(0) is True


def test_people_are_expected_further_on_their_way():
    tracker = Tracker()
    for i in range(20):
        tracker.update(i / FPS, [standing(100 + 5 * i)])
    now_s = 19 / FPS
    shift = [tracker.expected(now_s + ahead)[0].center_px[0] - 195 for ahead in (1 / FPS, 0.5, 1.9)]
    assert shift[0] == pytest.approx(5, rel=0.1)
    assert 20 < shift[1] < 75
    assert shift[1] < shift[2] < 150
