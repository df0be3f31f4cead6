"""How a camera turns is found by what is behind people, and what is no turn is told from turns."""

from functools import cache

import cv2
import numpy as np
import pytest
import torch

from kinflow.errors import InputError
from kinflow.evidence.camera_turns import CameraTurnConfig, CameraTurns
from kinflow.evidence.turning_focal import TurningFocalConfig, turning_focal_px
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix

SIZE = (480, 360)
CAMERA = Camera.from_fov(SIZE, 60.0)
WIDE = Camera.from_fov((1800, 1200), 110.0)
FRAMES = 24


@cache
def scenery(size=(1800, 1200), seed=0, side=24) -> np.ndarray:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 255, (size[1] // side, size[0] // side, 3)).astype(np.uint8)
    return cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)


def matrix(camera: Camera) -> np.ndarray:
    K = np.diag([camera.focal_px, camera.focal_px, 1.0])
    K[:2, 2] = np.array(camera.principal_px) - 0.5
    return K


@pytest.fixture(scope="module", autouse=True)
def _kept_pictures():
    yield
    scenery.cache_clear()
    grain.cache_clear()


@cache
def grain(number: int) -> np.ndarray:
    """Noise of the frame of that number, of a standard deviation of one."""
    size = (SIZE[1], SIZE[0], 3)
    return np.random.default_rng((1, number)).standard_normal(size, np.float32)


def filmed(R_cam_first, noise=3.0, walker=False, world=None):
    """What the camera sees of scenery far away, and boxes of somebody who walks past."""
    world, person = scenery() if world is None else world, scenery((110, 240), 5)
    for i, R in enumerate(R_cam_first):
        H = matrix(CAMERA) @ R @ np.linalg.inv(matrix(WIDE))
        picture = cv2.warpPerspective(world, H, SIZE, flags=cv2.INTER_LINEAR)
        box = np.array((0.0, 60.0, 110.0, 300.0)) + 14 * i * np.array((1, 0, 1, 0))
        if walker:
            left, right = int(box[0]), min(int(box[2]), SIZE[0])
            picture[60:300, left:right] = person[:, : right - left]
        noisy = picture + noise * grain(i)
        yield noisy.clip(0, 255).astype(np.uint8), [box] if walker else []


def turning(pan_deg, tilt_deg=0.0, roll_deg=0.0, back=False) -> np.ndarray:
    """R_cam_first of a camera that turns evenly, or there and back."""
    a = torch.linspace(0, 1, FRAMES, dtype=torch.float64)
    a = 1 - (2 * a - 1).abs() if back else a
    return rotvec_to_matrix(
        a[:, None] * torch.deg2rad(torch.tensor([tilt_deg, -pan_deg, roll_deg])).double()
    ).numpy()


def found(shown, config: CameraTurnConfig | None = None) -> tuple[np.ndarray, CameraTurns]:
    turns = CameraTurns(CAMERA, config or CameraTurnConfig())
    return np.stack([turns.look(picture, boxes) for picture, boxes in shown]), turns


def errors_deg(R_first_cam: np.ndarray, R_cam_first: np.ndarray) -> np.ndarray:
    return np.degrees(
        matrix_to_rotvec(torch.from_numpy(R_first_cam @ R_cam_first)).norm(dim=-1).numpy()
    )


@pytest.mark.parametrize("how", [(30, 0, 0), (0, 14, 0), (0, 0, 25), (-20, 8, -10), (0, 0, 0)])
@pytest.mark.parametrize("walker", [False, True])
def test_turns_are_found_whoever_walks_past(how, walker):
    truth = turning(*how)
    R, turns = found(filmed(truth, walker=walker))
    assert float(errors_deg(R, truth).max()) < 0.06
    assert turns.frames == FRAMES
    assert turns.lost == 0
    assert not turns.is_carried
    np.testing.assert_array_equal(R[0], np.eye(3))


def test_whoever_pans_there_and_back_is_back():
    truth = turning(40, 5, back=True)
    R, _ = found(filmed(truth))
    error = errors_deg(R, truth)
    assert float(error[-1]) < 0.02
    assert float(error.max()) < 0.08


def test_a_focal_length_that_is_wrong_scales_turns():
    """Whoever stands still then does so all the same: their directions are scaled alike."""
    truth = turning(10)
    turns = CameraTurns(Camera.centred(SIZE, 1.15 * CAMERA.focal_px))
    R = np.stack([turns.look(*shown) for shown in filmed(truth)])
    pan = np.degrees(np.arctan2(R[-1, 0, 2], R[-1, 2, 2]))
    assert pan == pytest.approx(10 / 1.15, rel=0.06)


def test_a_background_without_corners_is_said_to_tell_nothing():
    grey = np.full((1200, 1800, 3), 128, np.uint8)
    R, turns = found(filmed(turning(20), noise=0.0, world=grey))
    np.testing.assert_array_equal(R, np.broadcast_to(np.eye(3), R.shape))
    assert turns.lost == FRAMES - 1
    assert not turns.is_carried


def test_somebody_who_fills_the_picture_hides_how_it_turns():
    whole = [np.array((0.0, 0.0, *SIZE))]
    _, turns = found((picture, whole) for picture, _ in filmed(turning(10)))
    assert turns.lost == FRAMES - 1


def carried(shift_px: float):
    """Near and far stripes of scenery that shift by different amounts, as before a window seat."""
    world = scenery((2400, 360), side=20)
    for i in range(2 * FRAMES):
        picture = np.empty((SIZE[1], SIZE[0], 3), np.uint8)
        for row in range(0, SIZE[1], 40):
            x = round(shift_px * i * (1 + 2 * (row // 40 % 4)))
            picture[row : row + 40] = world[row : row + 40, x : x + SIZE[0]]
        yield picture, []


def test_a_camera_that_is_carried_is_told_from_one_that_turns():
    _, turns = found(carried(3.0))
    assert turns.is_carried


def test_a_zoom_is_no_turn():
    world = scenery()

    def zoomed():
        for i in range(2 * FRAMES):
            K = matrix(CAMERA)
            K[0, 0] = K[1, 1] = CAMERA.focal_px * (1 + 0.02 * i)
            H = K @ np.linalg.inv(matrix(WIDE))
            yield cv2.warpPerspective(world, H, SIZE, flags=cv2.INTER_LINEAR), []

    _, turns = found(zoomed())
    assert turns.is_carried


def test_memory_stays_what_it_is_however_far_a_camera_turns():
    config = CameraTurnConfig(most_keyframes=3)
    truth = turning(40, back=True)
    R, turns = found(filmed(truth), config)
    assert turns.held <= 3
    assert float(errors_deg(R, truth).max()) < 0.2


@pytest.mark.parametrize("how", [(35, 0, 0), (20, 12, 8), (0, 24, -10)])
def test_the_lens_is_told_by_how_it_turns(how):
    focal_px = turning_focal_px((p for p, _ in filmed(turning(*how), walker=True)), SIZE)
    assert focal_px == pytest.approx(CAMERA.focal_px, rel=0.04)


def test_the_lens_is_not_told_by_a_camera_that_stands_or_is_carried():
    assert turning_focal_px((p for p, _ in filmed(turning(0))), SIZE) is None
    assert turning_focal_px((p for p, _ in filmed(turning(0, 0, 40))), SIZE) is None
    assert turning_focal_px((p for p, _ in carried(3.0)), SIZE) is None


def test_options_out_of_range_are_refused():
    with pytest.raises(InputError):
        CameraTurnConfig(overlap=1.5)
    with pytest.raises(InputError):
        TurningFocalConfig(fov_deg=(60.0, 20.0))
