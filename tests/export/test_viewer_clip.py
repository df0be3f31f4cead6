"""viewer.html of a clip: its own script, run without a browser, poses the bodies of each frame."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from moving_people import panned, walking_clip

from kinflow.body.model import BodyModel
from kinflow.export.viewer_clip import clip_viewer_html
from kinflow.results import Reconstruction

CANVAS = (640, 480)  # twice the frames, as viewer_run.js says
SCRIPT = Path(__file__).with_name("viewer_run.js")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


@pytest.fixture(scope="module")
def page(clip, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("viewer") / "viewer.html"
    path.write_bytes(clip_viewer_html(clip))
    return path


def run(page: Path, *steps: str) -> dict:
    done = subprocess.run(
        ["node", SCRIPT, page, *steps], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


def bodies_m(clip: Reconstruction, result: dict) -> list[np.ndarray]:
    """Vertices of both people as the page last handed them to the GPU."""
    size = 3 * len(clip.people[0].vertices())
    arrays = [np.array(b).reshape(-1, 3) for b in result["buffers"] if len(b) == size]
    assert len(arrays) == 2 * len(clip.tracks)
    return arrays[::2]  # each followed by its normals


def on_canvas(points_m: np.ndarray, view: dict) -> np.ndarray:
    matrix = np.array(view["clip"]).reshape(4, 4).T
    x, y, _, w = matrix @ np.concatenate([points_m, np.ones((len(points_m), 1))], 1).T
    return np.stack([(x / w + 1) / 2 * CANVAS[0], (1 - y / w) / 2 * CANVAS[1]], -1)


@needs_node
@pytest.mark.parametrize("frame", [0, 13, 41, 59])
def test_bodies_of_each_frame_lie_on_the_picture(clip, page, frame):
    result = run(page, f"frame={frame}", "Camera")
    bodies = bodies_m(clip, result)
    people = clip.people_of(frame)
    for person in people:
        points_m = bodies[0 if person.person == 0 else 1]
        expected = 2 * person.camera.project(person.vertices()).numpy()
        np.testing.assert_allclose(
            on_canvas(points_m, result["views"]["Camera"]), expected, atol=0.3
        )
    # bodies are drawn twice, shadows once, but none of those who are not there yet
    assert result["views"][f"frame={frame}"]["drawn"] == 3 * len(people)
    assert f"frame {frame}" in result["views"][f"frame={frame}"]["clock"]


@needs_node
@pytest.mark.parametrize("frame", [0, 20, 29])
def test_the_camera_of_a_clip_that_is_panned_goes_along(tmp_path, frame):
    clip = panned(walking_clip(30))
    (tmp_path / "viewer.html").write_bytes(clip_viewer_html(clip))
    result = run(tmp_path / "viewer.html", f"frame={frame}", "Side", "Camera")
    first, last = (result["views"][name] for name in (f"frame={frame}", "Camera"))
    assert np.allclose(first["clip"], last["clip"], atol=1e-3)
    bodies = bodies_m(clip, result)
    for person in clip.people_of(frame):
        points_m = bodies[0 if person.person == 0 else 1]
        expected = 2 * person.camera.project(person.vertices()).numpy()
        np.testing.assert_allclose(on_canvas(points_m, last), expected, atol=0.3)


@needs_node
def test_bodies_are_those_of_the_model(clip, page):
    """Distances from the pelvis do not depend on the frame of reference."""
    result = run(page, "frame=30")
    for points_m, track in zip(bodies_m(clip, result), clip.tracks, strict=True):
        (body,) = [b for b in track.bodies if b.frame == 30]
        up = np.array(clip.frames[30].gravity.up_cam)
        np.testing.assert_allclose(-points_m[:, 1], body.vertices().numpy() @ up, atol=5e-4)
        distance_m = np.linalg.norm(points_m - points_m[0], axis=1)
        vertices_m = body.vertices().numpy()
        expected_m = np.linalg.norm(vertices_m - vertices_m[0], axis=1)
        np.testing.assert_allclose(distance_m, expected_m, atol=5e-4)


@needs_node
def test_a_gap_is_bridged(clip, page):
    result = run(page, "frame=23")
    assert result["views"]["frame=23"]["drawn"] == 6
    heights_m = -bodies_m(clip, result)[1][:, 1]
    assert np.ptp(heights_m) > 1


@needs_node
def test_who_is_followed_stays_in_view(clip, page):
    """After following has begun, the middle of the pelvises keeps its place on the canvas."""
    hips = (BodyModel.load().skin_weights.argmax(1) == 0).numpy()

    def place(*steps: str) -> np.ndarray:
        result = run(page, *steps)
        middle_m = np.mean([points_m[hips].mean(0) for points_m in bodies_m(clip, result)], 0)
        return on_canvas(middle_m[None], result["views"][steps[-1]])[0]

    begin = place("frame=12", "Follow", "frame=12")
    followed = place("frame=12", "Follow", "frame=50")
    left = place("frame=12", "Free", "frame=50")
    assert np.abs(followed - begin).max() < 20
    assert np.abs(left - place("frame=12", "Free", "frame=12")).max() > 40


def test_a_frame_costs_a_few_hundred_bytes(clip):
    half = Reconstruction.of_frames(
        clip.frames[:30], [clip.people_of(f.index) for f in clip.frames[:30]]
    )
    bodies = len(clip.people) - len(half.people)
    assert (len(clip_viewer_html(clip)) - len(clip_viewer_html(half))) / bodies < 270


def test_pictures_of_the_clip(clip):
    picture = np.full((240, 320, 3), 90, np.uint8)
    text = clip_viewer_html(clip, {0: picture, 30: picture}).decode()
    scene = json.loads(re.findall(r'id="scene">(.*?)</script>', text)[0])
    assert [p["row"] for p in scene["clip"]["pictures"]] == [0, 30]
    assert all(p["url"].startswith("data:image/jpeg;base64,") for p in scene["clip"]["pictures"])


def test_it_asks_nobody_for_anything(page):
    text = page.read_text(encoding="utf8")
    assert not re.search(r"https?://|src=|@import|url\(", text)


@needs_node
def test_nobody(clip, tmp_path):
    empty = Reconstruction.of_frames(clip.frames, [()] * len(clip.frames))
    (tmp_path / "viewer.html").write_bytes(clip_viewer_html(empty))
    result = run(tmp_path / "viewer.html", "frame=5", "Side")
    assert result["views"]["frame=5"]["drawn"] == 0
