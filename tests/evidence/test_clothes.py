"""Colours of clothes: read where the body is, compared by region, of use where people pass."""

import cv2
import numpy as np
import pytest

from kinflow.body.keypoints import BLAZEPOSE33, KEYPOINT_INDEX
from kinflow.evidence.clothes import Clothes, clothes_of, unlikeness
from kinflow.evidence.tracking import Sighting, Tracker

RED, BLUE, GREEN, GREY = (200, 40, 40), (40, 60, 190), (40, 160, 60), (128, 128, 128)
PLACES = {"shoulder": (20, 60), "elbow": (32, 100), "hip": (14, 130), "knee": (14, 180)}
PLACES |= {"ankle": (14, 230)}
"""Half the width, and the height, at which joints are."""


def keypoints(x: float, seen: float = 0.9) -> np.ndarray:
    """Somebody who stands at x and faces the camera."""
    points = np.zeros((len(BLAZEPOSE33), 3))
    for name, (half, y) in PLACES.items():
        for side, sign in (("left", 1), ("right", -1)):
            points[KEYPOINT_INDEX[f"{side}_{name}"]] = x + sign * half, y, seen
    return points


def dressed(x: float, shirt: tuple, trousers: tuple, light: float = 1.0) -> np.ndarray:
    picture = np.full((260, 320, 3), GREY, np.uint8)
    points = keypoints(x)
    for upper, lower, color in (
        ("shoulder", "elbow", shirt),
        ("hip", "knee", trousers),
        ("knee", "ankle", trousers),
    ):
        for side in ("left", "right"):
            rows = [KEYPOINT_INDEX[f"{side}_{end}"] for end in (upper, lower)]
            a, b = points[rows, :2].astype(int).tolist()
            cv2.line(picture, a, b, color, 11)
    cv2.rectangle(picture, (int(x) - 20, 60), (int(x) + 20, 130), shirt, -1)
    return (picture * light).clip(0, 255).astype(np.uint8)


def test_the_same_clothes_are_alike_elsewhere_and_in_less_light():
    one = clothes_of(dressed(80, RED, BLUE), keypoints(80))
    assert one.shown.tolist() == [1.0] * 5
    assert unlikeness(one, clothes_of(dressed(220, RED, BLUE), keypoints(220))) < 0.1
    darker = unlikeness(one, clothes_of(dressed(220, RED, BLUE, 0.9), keypoints(220)))
    half = unlikeness(one, clothes_of(dressed(220, RED, GREEN), keypoints(220)))
    other = unlikeness(one, clothes_of(dressed(220, GREEN, RED), keypoints(220)))
    assert darker < half < 0.5 < 0.9 < other


@pytest.mark.parametrize("x", [80, -500])
def test_what_is_not_seen_says_nothing(x):
    """Keypoints that nobody saw, and a body outside of the image."""
    unseen = clothes_of(dressed(80, RED, BLUE), keypoints(x, seen=0.1 if x > 0 else 0.9))
    assert not unseen.shown.any()
    assert unlikeness(unseen, clothes_of(dressed(80, RED, BLUE), keypoints(80))) == 0.5
    assert unlikeness(None, unseen) == 0.5


def test_what_was_seen_first_counts_until_something_is():
    nothing = clothes_of(dressed(80, RED, BLUE), keypoints(80, seen=0.0))
    red = clothes_of(dressed(80, RED, RED), keypoints(80))
    blue = clothes_of(dressed(80, BLUE, BLUE), keypoints(80))
    np.testing.assert_allclose(nothing.blended(red, 0.1).lab, red.lab)
    np.testing.assert_allclose(red.blended(nothing, 0.1).lab, red.lab)
    now = red
    for _ in range(60):
        now = now.blended(blue, 0.1)
    assert unlikeness(now, blue) < unlikeness(now, red)


@pytest.mark.parametrize("alike", [False, True])
def test_people_who_turn_back_behind_something_are_told_by_what_they_wear(alike):
    """They are expected to have passed each other; dressed alike they might have."""
    values = (0.0, 0.0) if alike else (0.0, 60.0)
    wear = [Clothes(np.full((5, 3), value), np.ones(5)) for value in values]
    tracker = Tracker()
    numbers = []
    for i in range(60):
        x = [40 + 6 * min(i, 59 - i), 360 - 6 * min(i, 59 - i)]
        box = [np.array((at - 40.0, 50, at + 40, 240)) for at in x]
        seen = [
            Sighting(keypoints(at), own, clothes)
            for at, own, clothes in zip(x, box, wear, strict=True)
        ]
        numbers.append(tracker.update(i / 30, [] if 22 <= i < 38 else seen))
    assert numbers[0] == [0, 1]
    assert numbers[-1] == ([1, 0] if alike else [0, 1])
