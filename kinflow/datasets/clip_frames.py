"""Frames of clips as samples ask for them: one after the other, mostly.

A clip is decoded from its beginning, so a hundred samples of one clip would decode it a hundred
times. The clip that was read last stays open, and goes on where it was.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from kinflow.errors import InputError
from kinflow.evidence.video_files import Clip, ClipFrame


class _Reading(threading.local):
    """The clip that a thread read last."""

    path: Path | None = None
    frames: Iterator[ClipFrame] | None = None
    last: ClipFrame | None = None


_reading = _Reading()


def clip_frame(path: Path, wanted: int) -> UInt8[np.ndarray, "height width 3"]:
    """One frame of a clip.

    Args:
        path: of the clip.
        wanted: number of the frame, from 0.

    Raises:
        InputError: the clip cannot be read, or ends before that frame.
    """
    last = _reading.last
    if _reading.path != path or last is None or last.index > wanted:
        _reading.path, _reading.last = path, None
        _reading.frames = Clip.open(path).frames()
    elif last.index == wanted:
        return last.rgb.copy()
    for frame in _reading.frames or ():
        _reading.last = frame
        if frame.index == wanted:
            return frame.rgb.copy()  # ours may be asked for again
    _reading.path = _reading.frames = _reading.last = None
    raise InputError(f"'{path}' ends before its frame {wanted}.")
