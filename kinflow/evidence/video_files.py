"""Clips frame by frame, through the FFmpeg that comes with OpenCV; memory is that of one frame.

A clip is known by its first bytes, not by its name: only a regular file that begins like one of the
containers below is handed to FFmpeg, by its absolute path. Playlists, and lists of other files or
addresses, begin otherwise, so nothing in a clip makes anybody open another file or the network.

    clip = Clip.open(Path("walk.mp4"))
    for frame in clip.frames(ClipRange(start_s=2, end_s=5)):
        frame.index, frame.time_s, frame.rgb
    clip.notes
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from kinflow.checks import not_negative, number, positive, whole
from kinflow.errors import InputError
from kinflow.evidence.clip_range import EVERY_FRAME, MAX_FPS, ClipRange, RangeWalk
from kinflow.evidence.image_files import begins_like_an_image, box_kind, opened
from kinflow.files.names import printable
from kinflow.files.reading import check_file, readable

# FFmpeg prints what it thinks of damaged files to standard error; OpenCV reads this once, when it
# opens the first clip of a process.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2

MAX_FILE_BYTES = 1 << 42
"""Clips are never read whole."""
MAX_PIXELS = 50_000_000
"""Of a frame: 8K has 33 million. Some decoders hold several dozens of them."""
VIDEO_SUFFIXES = frozenset(
    f".{ending}"
    for endings in (
        ("mp4", "m4v", "mov", "qt", "3gp", "3g2", "mkv", "webm", "avi", "divx", "ts", "mts"),
        ("m2ts", "mpg", "mpeg", "vob", "flv", "wmv", "asf", "ogv", "ivf"),
    )
    for ending in endings
)
"""How names of clips end, in lower case."""

_HEAD_BYTES = 1024
_SHORT_SHARE, _SHORT_S = 0.05, 0.5
_LARGEST_BRANDS = 4096


@dataclass(frozen=True)
class ClipInfo:
    """What a clip says of itself."""

    size: tuple[int, int]
    """(width, height) of upright frames, in pixels."""
    fps: float
    """Frames a second, on average where the rate varies; 30 where nothing is known."""
    duration_s: float | None
    """None where the clip does not say."""

    def __post_init__(self) -> None:
        positive(self, "fps")
        number(self, "duration_s", at_least=0, or_none=True)

    def frames_in(self, wanted: ClipRange) -> int | None:
        """About how many frames a range has; None where the clip does not say how long it is."""
        if self.duration_s is None:
            return None
        end_s = self.duration_s if wanted.end_s is None else min(wanted.end_s, self.duration_s)
        rate = self.fps if wanted.fps is None else min(wanted.fps, self.fps)
        return max(1, round((end_s - wanted.start_s) * rate))


@dataclass(frozen=True)
class ClipFrame:
    """One upright picture of a clip."""

    index: int
    """Its number in the clip, from 0, those that are left out counted."""
    time_s: float
    """Seconds since the clip's first frame, by its presentation time."""
    rgb: UInt8[np.ndarray, "height width 3"]

    def __post_init__(self) -> None:
        whole(self, "index")
        not_negative(self, "time_s")


def no_frame(path: Path, wanted: ClipRange, last_s: float) -> InputError:
    """What to say of a clip whose last frame comes before a range."""
    return InputError(
        f"{printable(path)} has no frame from {wanted.start_s:g} s on"
        + ("" if wanted.end_s is None else f" and before {wanted.end_s:g} s")
        + f"; its last one is at {max(last_s, 0):.4g} s."
    )


@dataclass
class Clip:
    """A clip that can be decoded; its frames may be gone through any number of times.

    Not frozen: what there is to say about a clip is only known once it was read.
    """

    path: Path
    info: ClipInfo
    notes: list[str] = field(default_factory=list)
    """Sentences about what was wrong with it, each once; they grow while frames are read."""

    @staticmethod
    def open(path: Path | str) -> Clip:
        """Look at the first frame of a clip.

        Raises:
            InputError: there is no such file, it is no clip, or none of its frames can be decoded.
        """
        path = Path(path)
        check_clip(path)
        with _captured(path) as capture:
            sides = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
            promised = math.prod(max(0.0, capture.get(side)) for side in sides)
            if promised > MAX_PIXELS:
                raise InputError(
                    f"{printable(path)} has frames of {promised / 1e6:.0f} million pixels, more "
                    f"than the {MAX_PIXELS // 1_000_000} million of a clip; make it smaller."
                )
            with _quiet():
                good, first = capture.read()
            if not good or first is None:
                raise _undecodable(path)
            height, width = first.shape[:2]
            return Clip(path, _info(capture, (width, height)))

    def frames(self, wanted: ClipRange = EVERY_FRAME) -> Iterator[ClipFrame]:
        """The frames of a range, decoded one by one; their times increase strictly.

        Raises:
            InputError: the file is gone, or no frame lies in the range.
        """
        check_clip(self.path)
        with _captured(self.path) as capture:
            yield from self._frames(capture, wanted)

    def _frames(self, capture: cv2.VideoCapture, wanted: ClipRange) -> Iterator[ClipFrame]:
        index, time_s, any_yet = -1, -math.inf, False
        walk = RangeWalk(wanted, self.info.fps)
        while _grabbed(capture):
            index += 1
            time_s = self._time_s(capture, time_s)
            if walk.is_past(time_s):
                break
            if not walk.takes(time_s):
                continue
            rgb = self._picture(capture, time_s)
            if rgb is None:
                break
            any_yet = True
            yield ClipFrame(index, time_s, rgb)
        else:
            self._end(time_s)
        if not any_yet:
            raise no_frame(self.path, wanted, time_s)

    def _time_s(self, capture: cv2.VideoCapture, before_s: float) -> float:
        """The presentation time of the frame that was grabbed, later than that `before_s`."""
        told_s = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        if before_s == -math.inf:
            return max(told_s, 0.0) if math.isfinite(told_s) else 0.0
        if math.isfinite(told_s) and told_s > before_s:
            return told_s
        # some containers tell it for a few frames only, or the same for two
        return before_s + 1 / self.info.fps

    def _picture(self, capture: cv2.VideoCapture, time_s: float) -> np.ndarray | None:
        """The frame that was grabbed, in the size of the first; None where that cannot be."""
        with _quiet():
            good, image = capture.retrieve()
        if not good or image is None:
            self._note(f"cannot be decoded after {time_s:.2f} s; what is before that is used.")
            return None
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        if rgb.shape[1::-1] == self.info.size:
            return rgb
        # OpenCV 5 does that itself where a size changes on the way, and does not tell
        return cv2.resize(rgb, self.info.size, interpolation=cv2.INTER_AREA)

    def _end(self, last_s: float) -> None:
        """Say so if the clip ended long before it said that it would."""
        promised_s = self.info.duration_s
        if promised_s is None or last_s == -math.inf:
            return
        there_s = last_s + 1 / self.info.fps
        if promised_s - there_s > max(_SHORT_S, _SHORT_SHARE * promised_s):
            self._note(
                f"ends after {there_s:.1f} s where {promised_s:.1f} s were promised, so it is cut "
                "off or damaged; what is there is used."
            )

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


def is_meant_as_clip(path: Path) -> bool:
    """Whether a file is a clip, or is neither that nor an image but named like a clip."""
    if is_clip(path):
        return True
    return path.suffix.lower() in VIDEO_SUFFIXES and not begins_like_an_image(path)


def is_clip(path: Path) -> bool:
    """Whether a file is a clip rather than a photo, as far as its beginning tells.

    A GIF is one if it has several frames. False for what cannot be read.
    """
    kind = container_of(path)
    if kind != "gif":
        return kind is not None
    try:
        with opened(path) as image:
            image.seek(1)
    except InputError:
        return False
    return True


def check_clip(path: Path) -> None:
    """Raise `InputError` unless a file may be handed to FFmpeg."""
    check_file(path, MAX_FILE_BYTES)
    with readable(path), open(path, "rb"):
        pass
    if container_of(path) is None:
        raise InputError(
            f"{printable(path)} is not a video that can be read (MP4, MOV, MKV, WebM, AVI, MPEG, "
            "FLV, WMV, Ogg or GIF); convert it to one of these."
        )


def container_of(path: Path) -> str | None:
    """The kind of container that a regular file begins like, None for all else."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except (OSError, ValueError):
        return None
    for name, magic in _MAGIC.items():
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if _is_transport_stream(head):
        return "mpegts"
    # the size before the name of the first box has to be one, not the beginning of a text
    sized = int.from_bytes(head[:4], "big") <= _LARGEST_BRANDS
    if head[4:8] == b"ftyp":
        return "mp4" if sized and box_kind(path) == "video" else None
    return "mov" if head[4:8] in _QUICKTIME_BOXES and head[:1] < b"\x10" else None


_MAGIC = {
    "matroska": b"\x1aE\xdf\xa3",
    "gif": b"GIF8",
    "flv": b"FLV\x01",
    "asf": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    "ogg": b"OggS",
    "mpeg": b"\0\0\x01\xba",
    "mpeg-video": b"\0\0\x01\xb3",
    "ivf": b"DKIF",
}
_QUICKTIME_BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


def _is_transport_stream(head: bytes) -> bool:
    """Packets of 188 bytes, or of 192 with a time before each, that all begin alike."""
    return any(
        len(head) > first + 3 * size and all(head[first + i * size] == 0x47 for i in range(4))
        for first, size in ((0, 188), (4, 192))
    )


@contextmanager
def _captured(path: Path) -> Iterator[cv2.VideoCapture]:
    """An open clip.

    Raises:
        InputError: FFmpeg cannot open it.
    """
    try:
        with _quiet():
            capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
    except cv2.error as error:
        raise _undecodable(path) from error
    try:
        if not capture.isOpened():
            raise _undecodable(path)
        yield capture
    finally:
        capture.release()


def _grabbed(capture: cv2.VideoCapture) -> bool:
    with _quiet():
        return capture.grab()


@contextmanager
def _quiet() -> Iterator[None]:
    """What is wrong with a clip is said by us; OpenCV would print it to standard error."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def _undecodable(path: Path) -> InputError:
    return InputError(
        f"{printable(path)} holds no picture that can be decoded: it may be sound alone, cut off "
        "or damaged, or of a codec that this OpenCV lacks; save it anew as MP4 with H.264."
    )


def _info(capture: cv2.VideoCapture, size: tuple[int, int]) -> ClipInfo:
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    known = math.isfinite(fps) and 0 < fps <= MAX_FPS
    count = float(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    told = known and math.isfinite(count) and 1 < count < 1e9
    return ClipInfo(size, fps if known else 30.0, count / fps if told else None)
