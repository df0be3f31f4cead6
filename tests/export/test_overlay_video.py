"""Overlay videos: what players read back, and that nothing half-written is left."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from kinflow.errors import InputError
from kinflow.export import video_file
from kinflow.export.overlay import draw_overlay
from kinflow.export.overlay_video import OVERLAY_VIDEO, OverlayVideo, draw_people
from kinflow.export.video_file import VideoFile
from kinflow.results import Reconstruction


def frames_of(path) -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), []
    while True:
        more, frame = capture.read()
        if not more:
            return frames
        frames.append(frame[..., ::-1])


def rate_of(path) -> float:
    return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG).get(cv2.CAP_PROP_FPS)


def grey(value: int, size=(64, 48)) -> np.ndarray:
    return np.full((size[1], size[0], 3), value, np.uint8)


def names(folder) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("name", ["overlay.webm", "overlay.mp4"])
def test_the_bodies_are_in_the_frames(clip, name, tmp_path):
    path, background = tmp_path / name, np.full((240, 320, 3), 60, np.uint8)
    with OverlayVideo(path, (320, 240), 29.97) as video:
        for frame in clip.frames[:12]:
            video.add(background, clip.people_of(frame.index), frame.time_s)
            assert len(names(tmp_path)) == 1 and name not in names(tmp_path)
    assert names(tmp_path) == [name]
    read = frames_of(path)
    assert len(read) == 12
    assert rate_of(path) == pytest.approx(29.97, abs=1e-3)
    for index in (0, 11):
        drawn = draw_people(background, clip.people_of(index)).astype(int)
        assert np.abs(read[index].astype(int) - drawn).mean() < 4
        mask = clip.people_of(index)[0].silhouette().numpy()
        assert np.abs(read[index][mask].astype(int) - 60).max(-1).mean() > 40


def test_the_coarser_mesh_looks_the_same(clip):
    background = np.full((240, 320, 3), 60, np.uint8)
    alone = clip.at(20)
    fine = draw_overlay(background, alone).astype(int)
    assert np.abs(draw_people(background, alone.people).astype(int) - fine).mean() < 0.5


@pytest.mark.parametrize("rate_hz", [1.0, 12.5, 24000 / 1001, 29.476, 59.94, 240.0])
def test_the_rate_stays_what_it_is(rate_hz, tmp_path):
    with VideoFile(tmp_path / "a.webm", (64, 48), rate_hz) as video:
        for i in range(30):
            video.add(grey(4 * i))
    assert len(frames_of(tmp_path / "a.webm")) == 30
    assert rate_of(tmp_path / "a.webm") == pytest.approx(rate_hz, rel=2e-3)


@pytest.mark.parametrize("size", [(65, 47), (4, 5), (98, 7)])
def test_odd_sizes_lose_a_column_or_row(size, tmp_path):
    with VideoFile(tmp_path / "a.webm", size, 30.0) as video:
        for i in range(5):
            video.add(grey(40 * i, size))
    read = frames_of(tmp_path / "a.webm")
    assert len(read) == 5
    assert read[0].shape[1::-1] == (size[0] // 2 * 2, size[1] // 2 * 2)


def test_frames_are_shown_at_their_times(tmp_path):
    """A pause repeats the frame before; of two frames for one moment the first is taken."""
    nobody, path = (), tmp_path / "a.webm"
    with OverlayVideo(path, (64, 48), 10.0) as video:
        for value, time_s in (
            (20, 3.0),
            (60, 3.1),
            (100, 3.5),
            (105, 3.51),
            (140, 3.6),
            (180, 99.0),
        ):
            video.add(grey(value), nobody, time_s)
    shown = [round(frame.mean() / 20) * 20 for frame in frames_of(path)]
    assert shown == [20, 60, 60, 60, 60, 100, 140, 180]


def test_a_failure_leaves_nothing_behind(clip, tmp_path):
    (tmp_path / "a.webm").write_bytes(b"of an earlier run")
    with (
        pytest.raises(RuntimeError, match="crash"),
        OverlayVideo(tmp_path / "a.webm", (64, 48), 30.0) as video,
    ):
        video.add(grey(0), ())
        raise RuntimeError("crash")
    assert names(tmp_path) == ["a.webm"]
    assert (tmp_path / "a.webm").read_bytes() == b"of an earlier run"
    with (
        pytest.raises(ValueError, match="the frame is"),
        OverlayVideo(tmp_path / "b.webm", (64, 48), 30.0) as video,
    ):
        video.add(grey(0, (32, 32)), ())
    with OverlayVideo(tmp_path / "c.webm", (64, 48), 30.0):
        pass  # no frame, no file
    assert names(tmp_path) == ["a.webm"]


def test_a_full_disk_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(video_file, "_writer", lambda *_: cv2.VideoWriter())  # writes nothing
    with (
        pytest.raises(InputError, match="not written in full"),
        VideoFile(tmp_path / "a.webm", (64, 48), 30.0) as video,
    ):
        for i in range(10):
            video.add(grey(i))
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "size", "rate_hz", "message"),
    [
        ("a.avi", (64, 48), 30.0, "has to end in .webm or .mp4"),
        ("a.webm", (64, 48), 0.0, "of 0 frames a second"),
        ("a.webm", (64, 48), float("nan"), "of nan frames a second"),
        ("a.webm", (1, 48), 30.0, "of 1x48 pixels"),
        ("no/a.webm", (64, 48), 30.0, "cannot be written"),
    ],
)
def test_what_cannot_be_a_video(name, size, rate_hz, message, tmp_path):
    with pytest.raises(InputError, match=message):
        VideoFile(tmp_path / name, size, rate_hz)
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_removed(tmp_path):
    script = (
        "import os, sys, numpy as np\n"
        "from kinflow.export.video_file import VideoFile\n"
        "video = VideoFile(sys.argv[1], (64, 48), 30.0)\n"
        "video.add(np.zeros((48, 64, 3), np.uint8))\n"
        "os._exit(9)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.webm")], capture_output=True, text=True
    )
    assert (run.returncode, run.stderr) == (9, "")
    assert len(names(tmp_path)) == 1
    with VideoFile(tmp_path / "b.webm", (64, 48), 30.0) as video:
        video.add(grey(0))
    assert names(tmp_path) == ["b.webm"]


def test_standard_error_stays_clean(capfd, tmp_path):
    with VideoFile(tmp_path / OVERLAY_VIDEO, (64, 48), 30.0) as video:
        video.add(grey(0))
    os.write(2, b"still there")
    assert capfd.readouterr().err == "still there"


def test_nobody_in_view(clip, tmp_path):
    empty = Reconstruction.of_frames(clip.frames[:3], [(), (), ()])
    with OverlayVideo(tmp_path / "a.webm", (64, 48), 30.0) as video:
        for frame in empty.frames:
            video.add(grey(80), empty.people_of(frame.index), frame.time_s)
    np.testing.assert_allclose([f.mean() for f in frames_of(tmp_path / "a.webm")], [80] * 3, atol=4)
