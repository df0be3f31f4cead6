"""Clips as they come: every container, odd rates, turned, cut off, and what is no clip at all."""

import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from clips import (
    counting,
    cut_off,
    jpegs_in_avi,
    number_of,
    sound_alone,
    turned_by_metadata,
    write_clip,
)
from PIL import Image

from kinflow.errors import InputError
from kinflow.evidence.clip_range import ClipRange
from kinflow.evidence.video_files import Clip, container_of, is_clip


@pytest.fixture(scope="module")
def clip_path(tmp_path_factory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "a.mp4", counting(40))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "mp4v"),
        ("a.mp4", "vp09"),
        ("a.webm", "VP80"),
        ("a.webm", "VP90"),
        ("a.mkv", "FFV1"),
        ("a.avi", "MJPG"),
        ("a.mov", "mp4v"),
        ("a.mpg", "mpg1"),
        ("a.flv", "FLV1"),
        ("a.ts", "mpg2"),
    ],
)
def test_every_frame_comes_once_in_its_order(tmp_path, name, codec):
    fps = 25 if codec.startswith("mpg") else 29.97
    clip = Clip.open(write_clip(tmp_path / name, counting(40), fps, codec))
    frames = list(clip.frames())
    assert [number_of(frame.rgb) for frame in frames] == list(range(40))
    assert [frame.index for frame in frames] == list(range(40))
    assert clip.info.size == (96, 64) == frames[0].rgb.shape[1::-1]
    assert clip.info.fps == pytest.approx(fps, rel=1e-4)
    assert np.allclose([frame.time_s for frame in frames], np.arange(40) / fps, atol=1e-3)
    if name != "a.mpg":  # which does not say how long it is
        assert clip.info.duration_s == pytest.approx(40 / fps, abs=2 / fps)
    assert not clip.notes


def test_colors_are_rgb(tmp_path):
    red = np.zeros((64, 96, 3), np.uint8)
    red[..., 0] = 200
    clip = Clip.open(write_clip(tmp_path / "red.avi", [red] * 3, codec="MJPG"))
    mean = next(iter(clip.frames())).rgb.mean(axis=(0, 1))
    assert mean[0] > 150 > 60 > mean[1:].max()


def test_frames_keep_the_times_at_which_they_are_shown(tmp_path):
    durations_ms = [50, 100, 200, 50, 500, 100]
    pictures = [Image.fromarray(frame) for frame in counting(6)]
    path = tmp_path / "varied.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations_ms)
    frames = list(Clip.open(path).frames())
    assert [number_of(frame.rgb) for frame in frames] == list(range(6))
    shown_s = np.cumsum([0, *durations_ms[:-1]]) / 1000
    assert np.allclose([frame.time_s for frame in frames], shown_s, atol=1e-3)


@pytest.mark.parametrize("fps", [1, 240, 29.476])
def test_unusual_rates_stay_what_they_are(tmp_path, fps):
    clip = Clip.open(write_clip(tmp_path / "a.avi", counting(12), fps, "MJPG"))
    assert clip.info.fps == pytest.approx(fps, rel=1e-3)
    times = [frame.time_s for frame in clip.frames()]
    assert np.allclose(np.diff(times), 1 / fps, rtol=0.02)


def test_clips_of_phones_come_out_upright(clip_path, tmp_path):
    clip = Clip.open(turned_by_metadata(clip_path, tmp_path / "turned.mp4"))
    frame = next(iter(clip.frames())).rgb
    assert clip.info.size == (64, 96) == frame.shape[1::-1]
    # turned with the clock, the upper left corner is the upper right one
    assert frame[:10, -10:].mean() > 200
    assert frame[:10, :10].mean() < 50


def test_ranges_hold_the_frames_between_their_ends(clip_path):
    clip = Clip.open(clip_path)
    frames = list(clip.frames(ClipRange(0.5, 1.0)))
    assert [frame.index for frame in frames] == [i for i in range(40) if 0.5 <= i / 29.97 < 1.0]
    assert all(number_of(frame.rgb) == frame.index for frame in frames)


@pytest.mark.parametrize("fps", [1.0, 7.0, 10.0, 24.0, 29.97, 60.0])
def test_fewer_frames_a_second_are_evenly_chosen(clip_path, fps):
    clip = Clip.open(clip_path)
    wanted = ClipRange(0.2, fps=fps)
    frames = list(clip.frames(wanted))
    span_s = 40 / 29.97 - 0.2
    assert abs(len(frames) - span_s * min(fps, 29.97)) <= 1
    assert len(frames) == pytest.approx(clip.info.frames_in(wanted), abs=1)
    steps = np.diff([frame.index for frame in frames])
    assert len(steps) == 0 or steps.max() - steps.min() <= 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"start_s": -1.0}, "start_s has to be"),
        ({"end_s": 0.0}, "end_s has to be"),
        ({"start_s": 2.0, "end_s": 1.0}, "has to be after its start"),
        ({"start_s": 2.0, "end_s": 2.0}, "has to be after its start"),
        ({"fps": 0.0}, "fps has to be"),
        ({"fps": float("nan")}, "fps has to be"),
    ],
)
def test_ranges_that_cannot_be_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        ClipRange(**options)


def test_a_range_beyond_the_end_is_refused_when_it_is_reached(clip_path):
    with pytest.raises(InputError, match=r"no frame from 5 s on; its last one is at 1\.3"):
        list(Clip.open(clip_path).frames(ClipRange(5.0)))


@pytest.mark.parametrize(("name", "codec"), [("a.webm", "VP80"), ("a.avi", "MJPG")])
def test_of_a_clip_that_is_cut_off_the_beginning_is_used(tmp_path, capfd, name, codec):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (64, 96, 3), np.uint8) for _ in range(90)]
    whole = write_clip(tmp_path / name, noise, codec=codec)
    capfd.readouterr()  # what the writer said
    clip = Clip.open(cut_off(whole, tmp_path / f"half_{name}"))
    frames = list(clip.frames())
    assert 20 < len(frames) < 80
    (note,) = clip.notes
    assert "3.0 s were promised" in note
    list(clip.frames())
    assert clip.notes == [note]
    assert capfd.readouterr().err == ""


def test_a_clip_whose_index_is_cut_off_is_refused(clip_path, tmp_path, capfd):
    half = cut_off(clip_path, tmp_path / "half.mp4")
    with pytest.raises(InputError, match="holds no picture that can be decoded"):
        Clip.open(half)
    assert capfd.readouterr().err == ""


def test_sound_alone_is_refused(tmp_path, capfd):
    path = sound_alone(tmp_path / "sound.avi")
    assert is_clip(path)
    with pytest.raises(InputError, match="it may be sound alone"):
        Clip.open(path)
    assert capfd.readouterr().err == ""


def test_frames_of_absurd_size_are_refused_before_they_are_decoded(tmp_path):
    path = write_clip(tmp_path / "a.mkv", counting(2, (324, 300)), codec="FFV1")
    data = path.read_bytes()
    for element, side in ((b"\xb0\x82", 324), (b"\xba\x82", 300)):
        assert element + struct.pack(">H", side) in data
        data = data.replace(element + struct.pack(">H", side), element + struct.pack(">H", 8_000))
    path.write_bytes(data)
    with pytest.raises(InputError, match="frames of 64 million pixels"):
        Clip.open(path)


def test_an_unknown_codec_is_refused(tmp_path, capfd):
    path = write_clip(tmp_path / "a.avi", counting(3), codec="MJPG")
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"QZQZ"))
    with pytest.raises(InputError, match="a codec that this OpenCV lacks"):
        Clip.open(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/a.ts\n",
        b"ffconcat version 1.0\nfile 'a.mp4'\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 0 RTP/AVP 96\n",
        b"<?xml version='1.0'?><MPD profiles='urn:mpeg:dash:profile:isoff-on-demand:2011'>",
        b"<MPDftyp dash:profile:isoff-on-demand:2011" + bytes(100),
        b"just text",
        b"\0" * 100,
    ],
)
def test_what_would_make_others_be_opened_never_reaches_ffmpeg(tmp_path, content):
    path = tmp_path / "list.mp4"
    path.write_bytes(content)
    assert not is_clip(path)
    with pytest.raises(InputError, match="is not a video that can be read"):
        Clip.open(path)


def test_only_regular_files_are_opened(tmp_path, clip_path):
    with pytest.raises(InputError, match="does not exist"):
        Clip.open("http://127.0.0.1/a.mp4")
    with pytest.raises(InputError, match="is a folder"):
        Clip.open(tmp_path)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    with pytest.raises(InputError, match="is empty"):
        Clip.open(empty)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.mp4")
        with pytest.raises(InputError, match="a pipe"):
            Clip.open(tmp_path / "pipe.mp4")


def test_names_that_mean_something_to_ffmpeg_are_names_here(tmp_path, clip_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a.mp4", "a%03d.mp4", "-i.mp4", "ü ⛄.mp4"):
        Path(name).write_bytes(clip_path.read_bytes())
        assert len(list(Clip.open(Path(name)).frames())) == 40


def test_a_still_picture_is_no_clip(tmp_path):
    Image.fromarray(counting(1)[0]).save(tmp_path / "still.gif")
    Image.fromarray(counting(1)[0]).save(tmp_path / "still.png")
    assert container_of(tmp_path / "still.gif") == "gif"
    assert not is_clip(tmp_path / "still.gif")
    assert not is_clip(tmp_path / "still.png")


def test_memory_is_that_of_a_frame(tmp_path):
    size = (324, 240)
    path = write_clip(tmp_path / "long.avi", counting(50, size) * 4, codec="MJPG")
    tracemalloc.start()
    try:
        for _ in Clip.open(path).frames():
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 3 * size[0] * size[1]


@pytest.mark.parametrize("size", [(192, 128), (48, 32), (60, 96)])
def test_a_size_that_changes_on_the_way_is_scaled_to_the_first(tmp_path, size):
    frames = [*counting(10), *counting(20, size)[10:]]
    clip = Clip.open(jpegs_in_avi(tmp_path / "a.avi", frames))
    read = list(clip.frames())
    assert [number_of(frame.rgb) for frame in read] == list(range(20))
    assert {frame.rgb.shape for frame in read} == {(64, 96, 3)}
