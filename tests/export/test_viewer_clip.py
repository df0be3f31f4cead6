"""viewer.html of a clip: its own script, run without a browser, poses the bodies of each frame."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from moving_people import panned, walking_clip
from viewer_runs import bodies_m, needs_node, on_canvas, run_viewer

from kinflow.body.model import BodyModel
from kinflow.export.viewer_clip import clip_viewer_html
from kinflow.results import Reconstruction


@pytest.fixture(scope="module")
def page(clip, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("viewer") / "viewer.html"
    path.write_bytes(clip_viewer_html(clip))
    return path


@needs_node
@pytest.mark.parametrize("frame", [0, 13, 41, 59])
def test_bodies_of_each_frame_lie_on_the_picture(clip, page, frame):
    result = run_viewer(page, f"frame={frame}", "Camera")
    bodies = bodies_m(result)
    people = clip.people_of(frame)
    for person in people:
        points_m = bodies[0 if person.person == 0 else 1]
        expected = 2 * person.camera.project(person.vertices()).numpy()
        np.testing.assert_allclose(
            on_canvas(points_m, result["views"]["Camera"]), expected, atol=0.3
        )
    # the second comes later
    assert result["views"][f"frame={frame}"]["shown"] == [True, len(people) > 1]


@needs_node
@pytest.mark.parametrize("frame", [0, 20, 29])
def test_the_camera_of_a_clip_that_is_panned_goes_along(tmp_path, frame):
    clip = panned(walking_clip(30))
    (tmp_path / "viewer.html").write_bytes(clip_viewer_html(clip))
    result = run_viewer(tmp_path / "viewer.html", f"frame={frame}", "Side", "Camera")
    first, last = (result["views"][name] for name in (f"frame={frame}", "Camera"))
    assert np.allclose(first["clip"], last["clip"], atol=1e-3)
    bodies = bodies_m(result)
    for person in clip.people_of(frame):
        points_m = bodies[0 if person.person == 0 else 1]
        expected = 2 * person.camera.project(person.vertices()).numpy()
        np.testing.assert_allclose(on_canvas(points_m, last), expected, atol=0.3)


@needs_node
def test_bodies_are_those_of_the_model(clip, page):
    """Distances from the pelvis do not depend on the frame of reference."""
    result = run_viewer(page, "frame=30")
    for points_m, track in zip(bodies_m(result), clip.tracks, strict=True):
        (body,) = [b for b in track.bodies if b.frame == 30]
        up = np.array(clip.frames[30].gravity.up_cam)
        np.testing.assert_allclose(-points_m[:, 1], body.vertices().numpy() @ up, atol=5e-4)
        distance_m = np.linalg.norm(points_m - points_m[0], axis=1)
        vertices_m = body.vertices().numpy()
        expected_m = np.linalg.norm(vertices_m - vertices_m[0], axis=1)
        np.testing.assert_allclose(distance_m, expected_m, atol=5e-4)


@needs_node
def test_a_gap_is_bridged(clip, page):
    result = run_viewer(page, "frame=23")
    assert result["views"]["frame=23"]["shown"] == [True, True]
    assert result["views"]["frame=23"]["codes"] == ["ok", "gap"]
    heights_m = -bodies_m(result)[1][:, 1]
    assert np.ptp(heights_m) > 1


@needs_node
def test_who_is_followed_stays_in_view(clip, page):
    """After following has begun, the middle of the pelvises keeps its place on the canvas."""
    hips = (BodyModel.load().skin_weights.argmax(1) == 0).numpy()

    def place(*steps: str) -> np.ndarray:
        result = run_viewer(page, *steps)
        middle_m = np.mean([points_m[hips].mean(0) for points_m in bodies_m(result)], 0)
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
    assert (len(clip_viewer_html(clip)) - len(clip_viewer_html(half))) / bodies < 300


def test_pictures_of_the_clip(clip):
    picture = np.full((240, 320, 3), 90, np.uint8)
    text = clip_viewer_html(clip, {0: picture, 30: picture}).decode()
    scene = json.loads(re.findall(r'id="scene">(.*?)</script>', text)[0])
    assert [p["row"] for p in scene["clip"]["pictures"]] == [0, 30]
    assert all(p["url"].startswith("data:image/jpeg;base64,") for p in scene["clip"]["pictures"])


def test_it_asks_nobody_for_anything(page):
    text = page.read_text(encoding="utf8")
    assert not re.search(r"https?://|src=|@import|url\(|fetch\(|XMLHttp", text)


@needs_node
def test_nobody(clip, tmp_path):
    empty = Reconstruction.of_frames(clip.frames, [()] * len(clip.frames))
    (tmp_path / "viewer.html").write_bytes(clip_viewer_html(empty))
    result = run_viewer(tmp_path / "viewer.html", "frame=5", "Side")
    assert result["views"]["frame=5"]["shown"] == [] == result["bodies"]


@needs_node
def test_uncertainty_and_codes_are_those_of_the_frame(clip, tmp_path):
    def changed(body):
        std_m = torch.linspace(0, 0.004 * body.frame, 22)
        return replace(body, joint_std_m=std_m, code="uncertain" if body.frame == 40 else "ok")

    bodies = [[changed(body) for body in clip.people_of(f.index)] for f in clip.frames]
    doubtful = Reconstruction.of_frames(clip.frames, bodies)
    (tmp_path / "viewer.html").write_bytes(clip_viewer_html(doubtful))
    result = run_viewer(tmp_path / "viewer.html", "frame=39", "frame=40")
    assert result["views"]["frame=39"]["codes"] == ["ok", "ok"]
    assert result["views"]["frame=40"]["codes"] == ["uncertain", "uncertain"]
    expected_m = BodyModel.load().skin_weights @ torch.linspace(0, 0.16, 22)
    for body in result["bodies"]:
        np.testing.assert_allclose(body["doubts"], expected_m, atol=0.0011)
