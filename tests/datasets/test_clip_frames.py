"""Frames of clips, asked for in any order."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from clips import counting, write_clip

from kinflow.datasets import clip_frames
from kinflow.datasets.sample_parts import Picture
from kinflow.errors import InputError


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "a.avi", counting(12), codec="MJPG")


def test_frames_in_order_open_a_clip_once_and_any_order_gives_the_same(clip, monkeypatch):
    opened = []
    plain = clip_frames.Clip.open
    monkeypatch.setattr(clip_frames.Clip, "open", lambda path: opened.append(path) or plain(path))

    in_order = [Picture(clip, frame=number).read() for number in (2, 3, 3, 7, 11)]
    assert len(opened) == 1
    again = [Picture(clip, frame=number).read() for number in (11, 2, 7, 3)]
    assert len(opened) == 3
    for number, rgb in zip((2, 3, 3, 7, 11), in_order, strict=True):
        assert np.abs(rgb.astype(int) - counting(12)[number]).mean() < 8
    np.testing.assert_array_equal(again[1], in_order[0])
    np.testing.assert_array_equal(again[3], in_order[1])


def test_a_clip_that_ends_too_early_is_named_and_can_be_read_again(clip):
    with pytest.raises(InputError, match="a.avi' ends before its frame 12"):
        Picture(clip, frame=12).read()
    assert Picture(clip, frame=0).read().shape == (64, 96, 3)
