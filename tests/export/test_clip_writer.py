"""Result folders of clips appear complete or not at all, and give way only to their own kind."""

from pathlib import Path

import numpy as np
import pytest
import torch
from same_people import assert_same

from kinflow.datasets.amass import read_amass
from kinflow.errors import InputError
from kinflow.export import clip_writer
from kinflow.export.amass import amass_bytes
from kinflow.export.clip_writer import ClipExportOptions, write_clip
from kinflow.export.motion import motions_of
from kinflow.export.overlay_video import OVERLAY_VIDEO, OverlayVideo
from kinflow.export.people_files import load
from kinflow.export.stage import Stage
from kinflow.files.marker import MARKER_NAME, Marker
from kinflow.results import Reconstruction

ALL = {
    *("people.npz", "people.json", OVERLAY_VIDEO, "scene.glb", "viewer.html"),
    *("person_0.bvh", "person_3.bvh"),
}


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


@pytest.fixture
def overlay(clip, tmp_path) -> Path:
    path = tmp_path / "drawn.webm"
    with OverlayVideo(path, (320, 240), 29.97) as video:
        for frame in clip.frames[:3]:
            video.add(np.zeros((240, 320, 3), np.uint8), clip.people_of(frame.index))
    return path


def test_all_files(clip, overlay, tmp_path):
    folder, data = tmp_path / "results" / "walk", overlay.read_bytes()
    paths = write_clip(clip, folder, overlay=overlay)
    assert set(paths) == ALL
    assert names(folder) == {MARKER_NAME, *ALL}
    assert (folder / OVERLAY_VIDEO).read_bytes() == data and not overlay.exists()
    assert_same(load(folder), clip)
    assert_same(load(folder / "people.json"), clip)
    assert names(folder.parent) == {"walk"}
    marker = Marker.read(folder)
    assert marker is not None and set(marker.files) == ALL


def test_overwriting_replaces_what_is_its_own(clip, overlay, tmp_path):
    folder = tmp_path / "walk"
    write_clip(clip, folder, overlay=overlay)
    (folder / "notes.txt").write_text("mine")
    alone = Reconstruction.of_frames(
        clip.frames, [clip.people_of(f.index)[:1] for f in clip.frames]
    )
    with pytest.raises(InputError, match="exists already"):
        write_clip(alone, folder)
    options = ClipExportOptions(formats=("npz", "bvh"), overwrite=True)
    write_clip(alone, folder, options)
    assert names(folder) == {MARKER_NAME, "people.npz", "person_0.bvh", "notes.txt"}


def test_a_failure_half_way_keeps_everything(clip, overlay, tmp_path, monkeypatch):
    folder = tmp_path / "walk"
    write_clip(clip, folder, ClipExportOptions(formats=("npz",)))
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def crash(*_args):
        raise RuntimeError("crash")

    monkeypatch.setattr(clip_writer, "clip_viewer_html", crash)
    with pytest.raises(RuntimeError, match="crash"):
        write_clip(clip, folder, ClipExportOptions(overwrite=True), overlay)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert overlay.exists()
    assert names(tmp_path) == {"walk", overlay.name}


def test_nobody_in_view(clip, tmp_path):
    empty = Reconstruction.of_frames(clip.frames, [()] * len(clip.frames))
    paths = write_clip(empty, tmp_path / "walk")
    assert set(paths) == {"people.npz", "people.json", "scene.glb", "viewer.html"}
    assert load(tmp_path / "walk").people == ()


def test_long_clips_have_no_json(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(clip_writer, "MOST_JSON_BODIES", 50)
    paths = write_clip(clip, tmp_path / "walk", ClipExportOptions(formats=("json", "npz")))
    assert set(paths) == {"people.npz"}
    assert_same(load(tmp_path / "walk"), clip)


def test_our_reader_of_amass_finds_the_motion(clip, tmp_path):
    for motion in motions_of(clip.tracks, clip.frames, Stage.of(clip)):
        (tmp_path / "a_poses.npz").write_bytes(amass_bytes(motion))
        read = read_amass(tmp_path / "a_poses.npz")
        np.testing.assert_allclose(read.rotations, motion.pose, atol=1e-6)
        with np.load(tmp_path / "a_poses.npz", allow_pickle=False) as archive:
            assert archive["poses"].shape == (len(motion), 156)
            assert archive["mocap_framerate"] == pytest.approx(29.97)
            # z up: the height of the pelvis is the third number
            np.testing.assert_allclose(archive["trans"][:, 2], motion.t_world_root_m[:, 1])
            assert torch.tensor(archive["kinflow_shape"]).shape == (6,)
