"""The viewer's own script, run without a browser: what it projects where."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from kinflow.export.viewer import viewer_html
from kinflow.results import Reconstruction

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
CANVAS = (640, 480)  # twice the photo, as viewer_run.js says


@pytest.fixture(scope="module", params=["reconstruction", "tilted"])
def shown(request, photo, tmp_path_factory) -> tuple[Reconstruction, dict]:
    """A reconstruction and what its page draws."""
    result = request.getfixturevalue(request.param)
    page = tmp_path_factory.mktemp("viewer") / "viewer.html"
    page.write_bytes(viewer_html(photo, result))
    script = Path(__file__).with_name("viewer_run.js")
    views = ("Camera", "Side", "Back", "Top", "Camera")
    run = subprocess.run(
        ["node", script, page, *views], capture_output=True, text=True, check=True, timeout=60
    )
    return result, json.loads(run.stdout)


def bodies_m(result: Reconstruction, drawn: dict) -> list[np.ndarray]:
    """Vertices of the people as the page hands them to the GPU."""
    size = 3 * len(result.people[0].vertices())
    arrays = [np.array(b).reshape(-1, 3) for b in drawn["buffers"] if len(b) == size]
    assert len(arrays) == 2 * len(result.people)
    return arrays[::2]  # each followed by its normals


def on_canvas(points_m: np.ndarray, view: dict) -> np.ndarray:
    clip = np.array(view["clip"]).reshape(4, 4).T
    x, y, _, w = clip @ np.concatenate([points_m, np.ones((len(points_m), 1))], 1).T
    return np.stack([(x / w + 1) / 2 * CANVAS[0], (1 - y / w) / 2 * CANVAS[1]], -1)


def test_through_the_camera_the_bodies_lie_on_the_photo(shown):
    result, drawn = shown
    for person, points_m in zip(result.people, bodies_m(result, drawn), strict=True):
        expected = 2 * result.camera.project(person.vertices()).numpy()
        np.testing.assert_allclose(
            on_canvas(points_m, drawn["views"]["Camera"]), expected, atol=0.1
        )


def test_bodies_stand_on_a_level_ground(shown):
    """Of both cameras: how high and how far apart points are is the same in the level frame."""
    result, drawn = shown
    gravity = result.only_frame.gravity
    up = np.array(gravity.up_cam if gravity else (0, -1, 0))
    points_m = np.concatenate(bodies_m(result, drawn))
    height_m = np.concatenate([p.vertices().numpy() for p in result.people]) @ up
    np.testing.assert_allclose(-points_m[:, 1], height_m, atol=1e-3)
    grid = next(np.array(b).reshape(-1, 3) for b in drawn["buffers"] if len(b) % 12 == 0
                and np.ptp(np.array(b).reshape(-1, 3)[:, 1]) == 0 and len(b) > 300)  # fmt: skip
    assert grid[0, 1] == pytest.approx(points_m[:, 1].max(), abs=1e-5)


@pytest.mark.parametrize("name", ["Side", "Back"])
def test_views_from_around_hold_the_horizon_level(shown, name):
    result, drawn = shown
    view = drawn["views"][name]
    R = np.array(view["turned"]).reshape(3, 3).T  # from the level frame to the view
    down = R[:, 1]
    assert abs(down[0]) < 1e-6 and down[1] > 0.98
    everybody_px = on_canvas(np.concatenate(bodies_m(result, drawn)), view)
    assert (everybody_px > 0).all() and (everybody_px < CANVAS).all()
