"""Cameras and frames as Blender counts them."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from kinflow_import.lens import SENSOR_MM, Lens
from kinflow_import.timing import Timing, usual_rate

from kinflow.geometry.pinhole import Camera


def seen_by_blender(lens: Lens, points_m: np.ndarray) -> np.ndarray:
    """Pixels of points of Blender's camera frame (y up, -z forward), by its manual: the sensor is
    behind a pinhole at `lens_mm`, `sensor_fit` is horizontal, shifts are in sensor widths."""
    width, height = lens.image_size
    on_sensor = lens.lens_mm * points_m[:, :2] / -points_m[:, 2:]
    in_widths = on_sensor / SENSOR_MM - np.array(lens.shift)
    return np.stack([width / 2 + width * in_widths[:, 0], height / 2 - width * in_widths[:, 1]], -1)


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (333, 1000)])
def test_lens_and_shift_show_points_where_the_pinhole_does(size):
    rng = np.random.default_rng(0)
    for _ in range(20):
        principal = tuple(rng.uniform(-0.2, 1.2, 2) * size)
        camera = Camera(float(rng.uniform(100, 3000)), principal, size)
        points = rng.uniform([-1, -1, 1], [1, 1, 6], (50, 3))
        lens = Lens.of(camera.focal_px, camera.principal_px, camera.image_size)
        expected = camera.project(torch.from_numpy(points)).numpy()
        np.testing.assert_allclose(seen_by_blender(lens, points * [1, -1, -1]), expected, atol=1e-8)


@pytest.mark.parametrize(
    "numbers", [(0, (1, 1), (2, 2)), (float("nan"), (1, 1), (2, 2)), (5, (1, 1), (0, 2))]
)
def test_what_is_no_camera_is_refused(numbers):
    with pytest.raises(ValueError, match="camera"):
        Lens.of(*numbers)


@dataclass(frozen=True)
class At:
    index: int
    time_s: float


RATES = [5, 23.976, 24, 25, 29.97, 30, 48, 50, 59.94, 60, 120]


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("step", [1, 3])
def test_a_constant_rate_is_found_from_times_in_milliseconds(rate_hz, step):
    views = [At(i, round(i / rate_hz, 3)) for i in range(40, 40 + 150 * step, step)]
    timing = Timing.of(views)
    assert timing.rate_hz == pytest.approx(rate_hz, rel=5e-5)
    assert [timing.of_view(view) for view in views] == [1 + step * i for i in range(150)]
    assert timing.clip_start + 40 == 1  # the clip's frame 40, counted from 0, is at 1


def test_another_rate_is_kept_as_it_is():
    fps, fps_base = usual_rate(14.53, 1e-5)
    assert isinstance(fps, int) and fps / fps_base == pytest.approx(14.53)


def test_frames_of_a_varying_rate_are_at_their_times():
    times_s = np.cumsum(np.where(np.arange(50) < 25, 1 / 30, 1 / 15)) - 1 / 30
    views = [At(i, float(time_s)) for i, time_s in enumerate(times_s)]
    timing = Timing.of(views)
    assert not timing.is_even
    frames = np.array([timing.of_view(view) for view in views])
    np.testing.assert_allclose((frames - 1) / timing.rate_hz, times_s, atol=1e-9)


def test_a_photo_is_at_the_first_frame():
    assert Timing.of([At(0, 0.0)]).of_view(At(0, 0.0)) == 1
