"""Cameras that move are told from those that stand, whatever people in the picture do."""

import cv2
import numpy as np
import pytest

from kinflow.errors import InputError
from kinflow.evidence.camera_motion import CameraMotionConfig, CameraWatch

SIZE = (480, 360)
FRAMES = 20


def scenery(seed=0, size=(900, 700)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 255, (size[1] // 10, size[0] // 10, 3)).astype(np.uint8)
    return cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)


def frames(shift_px=0.0, turn_deg=0.0, zoom=0.0, noise=4.0, walker=True):
    """A view of the scenery that shifts, turns and zooms evenly, and somebody who walks past."""
    rng, world = np.random.default_rng(1), scenery()
    person = scenery(5, (110, 240))
    for i in range(FRAMES):
        a = i / (FRAMES - 1)
        M = cv2.getRotationMatrix2D((450, 350), a * turn_deg, 1 + a * zoom)
        M[:, 2] -= (450 - SIZE[0] / 2 - a * shift_px, 350 - SIZE[1] / 2)
        picture = cv2.warpAffine(world, M, SIZE)
        x = int(20 + a * 300)
        box = np.array((x, 60, x + 110, 300), float)
        if walker:
            picture[60:300, x : x + 110] = person
        noisy = picture + rng.normal(0, noise, picture.shape)
        yield noisy.clip(0, 255).astype(np.uint8), [box] if walker else []


def moves(shown, **config) -> bool:
    watch = CameraWatch(CameraMotionConfig(**config))
    for picture, boxes in shown:
        watch.look(picture, boxes)
    return watch.moves


def test_a_camera_that_stands_does_not_move_though_somebody_walks():
    assert not moves(frames())


@pytest.mark.parametrize("how", [{"shift_px": 40}, {"turn_deg": 6}, {"zoom": 0.15}])
@pytest.mark.parametrize("walker", [False, True])
def test_a_camera_that_pans_rolls_or_zooms_moves(how, walker):
    assert moves(frames(**how, walker=walker))


def test_slow_drifts_add_up():
    assert moves(frames(shift_px=25))  # a pixel a frame


def test_light_that_changes_is_no_motion():
    def dimmed():
        for i, (picture, boxes) in enumerate(frames()):
            yield (picture * (1 - 0.02 * i)).astype(np.uint8), boxes

    assert not moves(dimmed())


def test_somebody_who_fills_the_picture_says_nothing():
    def close():
        for picture, _ in frames(shift_px=60, walker=False):
            yield picture, [np.array((0.0, 0.0, *SIZE))]

    assert not moves(close())


def test_a_picture_without_corners_says_nothing():
    grey = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
    assert not moves((grey, []) for _ in range(5))


def test_options_out_of_range_are_refused():
    with pytest.raises(InputError):
        CameraMotionConfig(moved=2.0)
