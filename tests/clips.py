"""Clips that tests draw for themselves."""

import struct
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np


def write_clip(
    path: Path, frames: Iterable[np.ndarray], fps: float = 29.97, codec: str = "mp4v"
) -> Path:
    """A clip of RGB frames of one size; the end of the name says which container."""
    writer = None
    for frame in frames:
        if writer is None:
            size = frame.shape[1], frame.shape[0]
            code = cv2.VideoWriter.fourcc(*codec)
            writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, fps, size)
            assert writer.isOpened(), f"no {codec} in {path.suffix}"
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    assert writer is not None
    writer.release()
    return path


BITS = 6


def counting(count: int, size: tuple[int, int] = (96, 64)) -> list[np.ndarray]:
    """Frames (width, height) whose lower half is their number in black and white bars; the upper
    left corner is white."""
    frames = []
    for number in range(count):
        frame = np.zeros((size[1], size[0], 3), np.uint8)
        bars = [255 * (number >> bit & 1) for bit in range(BITS)]
        frame[size[1] // 2 :] = np.repeat(bars, size[0] // BITS)[:, None]
        frame[: size[1] // 4, : size[0] // 4] = 255
        frames.append(frame)
    return frames


def number_of(frame: np.ndarray) -> int:
    """Which of the frames of `counting` it is, up to 63."""
    bars = frame[-frame.shape[0] // 4 :].mean(axis=(0, 2)).reshape(BITS, -1).mean(axis=1)
    return sum(1 << bit for bit in range(BITS) if bars[bit] > 128)


def turned_by_metadata(path: Path, out: Path) -> Path:
    """The same MP4, to be shown turned by a quarter with the clock, as phones write it."""
    data = bytearray(path.read_bytes())
    header = data.find(b"tkhd")
    matrix = header + 4 + 40
    height = struct.unpack(">I", data[matrix + 40 : matrix + 44])[0]
    entries = (0, 1 << 16, 0, -(1 << 16), 0, 0, height, 0, 1 << 30)
    data[matrix : matrix + 36] = struct.pack(">9i", *entries)
    out.write_bytes(data)
    return out


def cut_off(path: Path, out: Path, share: float = 0.5) -> Path:
    """The beginning of a file."""
    data = path.read_bytes()
    out.write_bytes(data[: int(share * len(data))])
    return out


def jpegs_in_avi(path: Path, frames: Iterable[np.ndarray], fps: int = 25) -> Path:
    """An AVI file of JPEG pictures, which may differ in size; its header has that of the first."""
    pictures = list(frames)
    height, width = pictures[0].shape[:2]
    stream = b"vidsMJPG" + bytes(12) + struct.pack("<4I", 1, fps, 0, len(pictures)) + bytes(20)
    form = struct.pack("<IiiHH4s5I", 40, width, height, 1, 24, b"MJPG", 0, 0, 0, 0, 0)
    header = _list(b"strl", _chunk(b"strh", stream) + _chunk(b"strf", form))
    frame_us, count = 1_000_000 // fps, len(pictures)
    main = struct.pack("<10I", frame_us, 0, 0, 0, count, 0, 1, 0, width, height) + bytes(16)
    movie = b""
    for picture in pictures:
        data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
        movie += _chunk(b"00dc", data + b"\0" * (len(data) % 2))
    body = _list(b"hdrl", _chunk(b"avih", main) + header) + _list(b"movi", movie)
    path.write_bytes(_chunk(b"RIFF", b"AVI " + body))
    return path


def sound_alone(path: Path) -> Path:
    """An AVI file that has a stream of sound and no picture."""
    samples = b"\0\0" * 8000
    form = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
    header = b"auds" + bytes(16) + struct.pack("<IIIIIII", 2, 16000, 0, 8000, 16000, 0, 2)
    stream = _list(b"strl", _chunk(b"strh", header + bytes(8)) + _chunk(b"strf", form))
    main = struct.pack("<14I", 1_000_000, 16000, 0, 0, 1, 0, 1, 16000, 0, 0, 0, 0, 0, 0)
    body = _list(b"hdrl", _chunk(b"avih", main) + stream)
    body += _list(b"movi", _chunk(b"00wb", samples))
    path.write_bytes(_chunk(b"RIFF", b"AVI " + body))
    return path


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data


def _list(name: bytes, data: bytes) -> bytes:
    return _chunk(b"LIST", name + data)


def passing(
    picture: np.ndarray, xs: Iterable[float], size: tuple[int, int] = (320, 240), side: int = 200
) -> list[np.ndarray]:
    """Frames (width, height) in which a picture, `side` pixels high, stands at each of these x."""
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    frames = []
    for x in xs:
        frame = np.full((size[1], size[0], 3), 90, np.uint8)
        paste(frame, small, x)
        frames.append(frame)
    return frames


def paste(frame: np.ndarray, picture: np.ndarray, x: float) -> None:
    """Put a picture into a frame, at its bottom, its left side at `x`."""
    left, top = round(x), frame.shape[0] - picture.shape[0]
    first, last = max(0, left), min(frame.shape[1], left + picture.shape[1])
    if first < last:
        frame[top:, first:last] = picture[:, first - left : last - left]
