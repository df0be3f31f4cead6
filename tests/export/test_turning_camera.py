"""A camera that turns changes nothing in the world but itself, in any file."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from glb_reader import Glb
from moving_people import panned, walking_clip

import kinflow
from kinflow.errors import InputError
from kinflow.export.bvh import bvh_bytes
from kinflow.export.gltf import scene_glb
from kinflow.export.motion import motions_of
from kinflow.export.people_files import write_json, write_npz
from kinflow.export.stage import Stage
from kinflow.export.viewer_clip import clip_viewer_html
from kinflow.results import CameraTurn, Reconstruction

FRAMES = 30


@pytest.fixture(scope="module")
def still() -> Reconstruction:
    return walking_clip(FRAMES)


@pytest.fixture(scope="module")
def turning(still) -> Reconstruction:
    return panned(still)


def test_people_walk_as_before_a_camera_that_stands(still, turning):
    stages = [Stage.of(clip) for clip in (still, turning)]
    assert not stages[0].turns
    assert stages[1].turns
    assert stages[1].camera_height_m == pytest.approx(stages[0].camera_height_m, abs=1e-4)
    motions = [
        list(motions_of(clip.tracks, clip.frames, stage))
        for clip, stage in zip((still, turning), stages, strict=True)
    ]
    for one, other in zip(*motions, strict=True):
        np.testing.assert_allclose(one.t_world_root_m, other.t_world_root_m, atol=1e-4)
        np.testing.assert_allclose(one.pose, other.pose, atol=1e-5)
        assert bvh_bytes(other)


def test_through_the_turned_camera_bodies_lie_on_the_picture(turning):
    stage = Stage.of(turning)
    for track in turning.tracks:
        _, root_m = stage.track_pose(track)
        for body, place_m in zip(track.bodies, root_m, strict=True):
            R = stage.R_world_cam[stage.row_of_frame[body.frame]]
            seen = torch.from_numpy((place_m - [0, stage.camera_height_m, 0]) @ R).float()
            torch.testing.assert_close(turning.camera.project(seen), body.joints_px[0])


def test_the_scene_turns_its_camera(turning):
    glb = Glb(scene_glb(turning))
    index = next(i for i, node in enumerate(glb.json["nodes"]) if "camera" in node)
    (animation,) = glb.json["animations"]
    targets = [channel["target"] for channel in animation["channels"]]
    assert {"node": index, "path": "rotation"} in targets
    assert clip_viewer_html(turning)


@pytest.mark.parametrize(
    ("name", "write"), [("people.npz", write_npz), ("people.json", write_json)]
)
def test_turns_come_back_from_files(turning, still, tmp_path, name, write):
    write(turning, tmp_path / name)
    read = kinflow.load(tmp_path / name)
    assert read.frames == turning.frames
    write(still, tmp_path / name)
    assert kinflow.load(tmp_path / name).frames == still.frames


def test_turns_that_are_none_are_refused(turning, tmp_path):
    with pytest.raises(InputError, match="rotation"):
        CameraTurn.of(2 * torch.eye(3))
    with pytest.raises(InputError, match="rotation"):
        CameraTurn.of(torch.diag(torch.tensor([1.0, 1.0, -1.0])))
    with pytest.raises(InputError, match="three rows"):
        CameraTurn(((1.0, 0.0, 0.0),))
    path = tmp_path / "people.json"
    write_json(turning, path)
    document = json.loads(path.read_text())
    for wrong in (2.0, -1.0, "a", None):
        document["frames"][3]["R_first_cam"][0][0] = wrong
        path.write_text(json.dumps(document))
        with pytest.raises(InputError, match="R_first_cam"):
            kinflow.load(path)
    del document["frames"]
    path.write_text(json.dumps(document))
    assert all(frame.turn is None for frame in kinflow.load(path).frames)


def test_a_frame_without_gravity_keeps_the_world_of_the_others(turning):
    frames = [replace(f, gravity=None if f.index in (4, 5) else f.gravity) for f in turning.frames]
    people = [turning.people_of(frame.index) for frame in frames]
    forgot = Reconstruction.of_frames(frames, people)
    np.testing.assert_allclose(
        Stage.of(forgot).R_world_cam, Stage.of(turning).R_world_cam, atol=1e-9
    )
