"""The demo's clip, whose truth is known: from a video file to a motion that an animator keeps."""

from pathlib import Path

import pytest
import torch

import kinflow
from kinflow.body import BodyModel
from kinflow.cli.demo import demo_walk
from kinflow.metrics.motion import (
    acceleration_error_m_s2,
    root_translation_error,
    world_mpjpe,
)
from kinflow.metrics.pose import pa_mpjpe
from kinflow.synth.clips import Clip

FILES = {
    *(".kinflow", "people.npz", "people.json", "scene.glb", "viewer.html"),
    *("overlay.webm", "person_0.bvh"),
}


@pytest.fixture(scope="module")
def truth() -> Clip:
    return demo_walk()


@pytest.fixture(scope="module")
def result(demo_run) -> kinflow.Reconstruction:
    done, out = demo_run
    assert done.code == 0, done.err
    return kinflow.load(out / "walk")


def joints(result, truth) -> tuple[torch.Tensor, torch.Tensor]:
    (track,) = result.tracks
    true = truth.seen(0).posed(BodyModel.load("joints")).joints_m
    rows = [body.frame for body in track.bodies]
    return torch.stack([body.joints_cam_m for body in track.bodies]), true[rows]


def test_the_folder_holds_what_there_is_of_clips(demo_run):
    folder: Path = demo_run[1] / "walk"
    assert {path.name for path in folder.iterdir()} == FILES
    assert "walk.webm" in demo_run[0].out


def test_somebody_is_there_in_every_frame(result, truth):
    assert [frame.index for frame in result.frames] == list(range(len(truth)))
    assert len(result.tracks) == 1 and len(result.tracks[0].bodies) == len(truth)
    assert result.frames[1].time_s == pytest.approx(1 / truth.rate_hz, abs=1e-3)


def test_the_motion_is_the_true_one(result, truth):
    found, true = joints(result, truth)
    assert float(pa_mpjpe(found, true).mean()) < 0.06
    assert float(world_mpjpe(found, true, "whole")) < 0.13
    assert float(root_translation_error(found[:, 0], true[:, 0])) < 0.05
    assert float(acceleration_error_m_s2(found, true, truth.rate_hz)) < 12.0


def test_up_is_up(result, truth):
    gravity = result.frames[0].gravity
    assert gravity is not None
    up = torch.tensor(gravity.up_cam)
    assert float(torch.rad2deg(torch.dot(up, truth.R_cam_world[:, 1]).clamp(-1, 1).acos())) < 5.0
    assert {frame.gravity for frame in result.frames} == {gravity}
