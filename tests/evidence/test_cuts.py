"""Cuts are found; light, noise, motion of the camera and of people are none."""

import cv2
import numpy as np
import pytest

from kinflow.evidence.cuts import CutFinder


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> np.ndarray:
    """A picture of patches in a few colours of its own."""
    rng = np.random.default_rng(seed)
    colors = rng.integers(0, 255, (4, 3))
    patches = colors[rng.integers(0, 4, (10, 14))].astype(np.uint8)
    picture = cv2.resize(patches, size, interpolation=cv2.INTER_CUBIC)
    return np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def cuts(frames: list[np.ndarray]) -> list[int]:
    finder = CutFinder()
    return [number for number, frame in enumerate(frames) if finder.is_cut(frame)]


def noisy(frame: np.ndarray, number: int) -> np.ndarray:
    noise = np.random.default_rng(number).normal(0, 5, frame.shape)
    return np.clip(frame + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_a_cut_is_where_the_scene_changes(seed):
    scenes = [scene(2 * seed), scene(2 * seed + 1), scene(2 * seed)]
    frames = [noisy(picture, 20 * i + k) for i, picture in enumerate(scenes) for k in range(20)]
    assert cuts(frames) == [20, 40]


@pytest.mark.parametrize("seed", range(5))
def test_a_moving_camera_cuts_nothing(seed):
    wide = scene(seed, (1600, 240))
    for step in (8, 40):
        assert cuts([wide[:, i : i + 320] for i in range(0, 1280, step)]) == []


@pytest.mark.parametrize("seed", range(5))
def test_light_that_changes_at_once_cuts_nothing(seed):
    picture = scene(seed)
    bright = np.clip(picture * 0.5 + 120, 0, 255).astype(np.uint8)
    assert cuts([picture] * 10 + [bright] + [picture] * 10 + [picture // 3] * 10) == []


def test_somebody_who_fills_half_of_the_picture_cuts_nothing():
    frames = []
    for x in range(-160, 320, 30):
        frame = scene(0).copy()
        frame[40:, max(0, x) : max(0, x + 160)] = (200, 30, 60)
        frames.append(frame)
    assert cuts(frames) == []


def test_pictures_of_one_tone_cut_nothing():
    assert cuts([np.full((60, 80, 3), tone, np.uint8) for tone in (0, 0, 255, 0, 128)]) == []
