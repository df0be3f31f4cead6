"""Video files that are written frame by frame, by OpenCV's own FFmpeg.

Of what its wheels can write, two kinds open in browsers and players: VP8 in WebM and VP9 in MP4.
At the same quality VP8 files are a fifth larger and take a seventh of the time, so `.webm` is what
kinflow makes; `.mp4` is there for programs that want nothing else. (H.264 encoders are either GPL
or need hardware; MPEG-4 part 2 and Motion JPEG do not play in browsers.)
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from kinflow.errors import InputError
from kinflow.files.atomic import PendingFile, explained

_CODECS = {".webm": "VP80", ".mp4": "vp09"}
_RATES_HZ = (0.1, 1000.0)
_SIDES_PX = (4, 16383)
_WAITING = 4
"""Frames that may wait for the encoder, which works in a thread of its own."""
_LOST = 0.02
"""Part of the frames that a file may seem to lack, as containers round durations."""


class VideoFile:
    """A video under a temporary name, which gets its own when it is closed.

    Leaving a `with` block by an error, or `discard`, deletes it, and so does closing it without any
    frame.

    Args:
        path: where it goes, ending in `.webm` or `.mp4`; an existing file is replaced.
        size: (width, height); where one is odd, the last column or row is left out.
        rate_hz: frames a second.

    Raises:
        InputError: size, rate or ending are none that a video can have, or the place cannot be
            written to.
    """

    def __init__(self, path: Path | str, size: tuple[int, int], rate_hz: float) -> None:
        self.path, self.size, self.rate_hz = Path(path), size, rate_hz
        suffix = self.path.suffix.lower()
        if suffix not in _CODECS:
            raise InputError(f"'{path}' has to end in {' or '.join(_CODECS)} to be a video.")
        if not _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1]:
            raise InputError(f"A video of {rate_hz:g} frames a second cannot be written.")
        if not all(_SIDES_PX[0] <= side <= _SIDES_PX[1] for side in size):
            raise InputError(f"A video of {size[0]}x{size[1]} pixels cannot be written.")
        self.frames = 0
        with explained(self.path):
            self._pending = PendingFile(self.path, suffix)
        self._waiting: deque[Future[None]] = deque()
        self._encoder = ThreadPoolExecutor(1, "video")
        self._open = True
        try:
            self._writer = _writer(self._pending.temporary, _CODECS[suffix], rate_hz, size)
        except BaseException:
            self.discard()
            raise

    def add(self, image_rgb: UInt8[np.ndarray, "height width 3"]) -> None:
        """Append a frame, which must not change any more.

        Raises:
            ValueError: it has another size.
        """
        if image_rgb.shape[1::-1] != self.size:
            raise ValueError(f"the frame is {image_rgb.shape[1::-1]} but the video {self.size}")
        while len(self._waiting) >= _WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._encoder.submit(self._write, image_rgb))
        self.frames += 1

    def _write(self, image_rgb: np.ndarray) -> None:
        self._writer.write(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file and give it its name.

        Raises:
            InputError: the disk is full.
        """
        if not self._open:
            return
        try:
            while self._waiting:
                self._waiting.popleft().result()
            self._end_encoder()
            if self.frames:
                self._check_written()
                with explained(self.path):
                    self._pending.finish()
        finally:
            self.discard()

    def discard(self) -> None:
        """Delete what was written; of a video that is closed nothing."""
        if self._open:
            self._open = False
            self._end_encoder()
            if self._pending.handle >= 0:
                self._pending.discard()

    def _end_encoder(self) -> None:
        self._encoder.shutdown(wait=True, cancel_futures=True)
        if hasattr(self, "_writer"):
            self._writer.release()

    def _check_written(self) -> None:
        # the encoder says nothing when the disk is full
        with _silence():
            capture = cv2.VideoCapture(str(self._pending.temporary), cv2.CAP_FFMPEG)
            held = capture.get(cv2.CAP_PROP_FRAME_COUNT)
            capture.release()
        if abs(held - self.frames) > max(1.5, _LOST * self.frames):
            raise InputError(
                f"'{self.path}' was not written in full; is the disk full? Free some space and try "
                "again."
            )

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


def _writer(path: Path, codec: str, rate_hz: float, size: tuple[int, int]) -> cv2.VideoWriter:
    fourcc = cv2.VideoWriter.fourcc(*codec)
    with _silence():
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, rate_hz, size)
    if not writer.isOpened():
        raise InputError(
            f"This OpenCV cannot write {path.suffix} videos; install opencv-python-headless from "
            "its wheels, or leave the overlay out."
        )
    return writer


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what a library of C prints off standard error: OpenCV writes there that WebM knows no
    four-letter codes, which is so and does no harm, and what is wrong with files is said by us."""
    try:
        sys.stderr.flush()
        saved = os.dup(2)
    except (OSError, ValueError, AttributeError):  # there is no standard error
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
