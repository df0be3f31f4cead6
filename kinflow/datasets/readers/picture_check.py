"""Pictures against what their labels say of them: sizes, sides exchanged, files cut off.

Only headers and the last bytes are read, and of a large dataset only those of some pictures: the
ones whose names have the smallest checksums, which are the same whenever the dataset is checked.
"""

from __future__ import annotations

import heapq
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kinflow.datasets.readers.reader import Finding, Level
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import Picture
from kinflow.errors import InputError
from kinflow.evidence.image_files import opened
from kinflow.evidence.video_files import Clip

_TAIL_BYTES = 1 << 16
"""After the end of a picture some cameras write a little more."""
_ENDS: dict[str, bytes] = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND"}
"""What a whole file of a kind has at its end, and what a piece of one lacks."""
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
_ROOM = 0.05
_OUTSIDE_SHARE = 0.2
"""Of pictures whose labels reach beyond them, above which the pictures are others."""


@dataclass(frozen=True)
class _Looked:
    """A picture, and how far the labels of it reach where they do not say its size."""

    picture: Picture
    reach_px: tuple[float, float] = (0.0, 0.0)


@dataclass
class PictureCheck:
    """The pictures of a unit.

    Args:
        limit: how many are looked at; all if None.
    """

    limit: int | None
    _some: dict[Path, _Looked] = field(default_factory=dict)
    _largest: list[tuple[int, str, Path]] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        """Take note of a sample's picture, if it is a file and among those that are looked at."""
        picture = sample.picture
        if picture is None or type(picture) is not Picture or self.limit == 0:
            return
        known = self._some.get(picture.path)
        if known is None:
            if not self._enters(picture.path):
                return
            known = _Looked(picture)
        reach = known.reach_px
        if picture.size is None and sample.keypoints is not None:
            at = sample.keypoints.px[sample.keypoints.confidence > 0]
            if len(at):
                reach = tuple(np.maximum(reach, at.max(0)).tolist())
        self._some[picture.path] = _Looked(known.picture, reach)

    def _enters(self, path: Path) -> bool:
        if self.limit is None:
            return True
        # a negated checksum, for the heap has the smallest first
        entry = (-zlib.crc32(str(path).encode()), str(path), path)
        if len(self._largest) < self.limit:
            heapq.heappush(self._largest, entry)
            return True
        if entry < self._largest[0]:
            return False
        _, _, gone = heapq.heapreplace(self._largest, entry)
        del self._some[gone]
        return True

    @property
    def chosen(self) -> list[Path]:
        """Files that are looked at."""
        return sorted(self._some)

    def findings(self, unit: str) -> tuple[int, list[Finding]]:
        """How many pictures were opened, and what is wrong with them, a sentence for each kind."""
        there = [self._some[path] for path in self.chosen if path.is_file()]
        told: dict[str, list[str]] = {}
        for looked in there:
            for kind, sentence in _faults(looked):
                told.setdefault(kind, []).append(sentence)
        if len(told.get("reach", ())) <= _OUTSIDE_SHARE * len(there):
            told.pop("reach", None)
        return len(there), [
            Finding(_LEVELS.get(kind, "malformed"), _sentence(unit, kind, said, len(there)))
            for kind, said in told.items()
        ]


_KINDS = {
    "exchanged": "have width and height exchanged against their labels",
    "turned": "are stored on their side with a note (EXIF) to turn them, and labels are for what "
    "is stored, so they are refused when they are read",
    "size": "have another size than their labels are for; take the images that were labelled",
    "reach": "are smaller than their labels reach; take the images that were labelled",
    "cut off": "are cut off; copy or unpack them again",
    "unreadable": "cannot be read",
}

# releases have some, and reading them refuses them
_LEVELS: dict[str, Level] = {"turned": "note"}


def _sentence(unit: str, kind: str, said: list[str], looked: int) -> str:
    return f"'{unit}': {len(said)} of {looked} pictures looked at {_KINDS[kind]}: {said[0]}."


def _faults(looked: _Looked) -> Iterator[tuple[str, str]]:
    """(kind, which picture and what it is) of a picture's header and end."""
    picture = looked.picture
    if picture.frame is not None:
        yield from _clip_faults(picture)
        return
    try:
        with opened(picture.path) as image:
            stored, kind = image.size, image.format or ""
            turned = image.getexif().get(_ORIENTATION) in _TURNED
    except InputError as error:
        yield "unreadable", str(error).rstrip(".")
        return
    if kind in _ENDS and _ENDS[kind] not in _tail(picture.path):
        yield "cut off", f"'{picture.path}'"
    shown = (stored[1], stored[0]) if turned else stored
    yield from _size_faults(picture, shown, turned)
    if picture.size is None:
        yield from _reach_faults(looked, shown)


def _clip_faults(picture: Picture) -> Iterator[tuple[str, str]]:
    try:
        size = Clip.open(picture.path).info.size
    except InputError as error:
        yield "unreadable", str(error).rstrip(".")
        return
    yield from _size_faults(picture, size, False)


def _size_faults(
    picture: Picture, shown: tuple[int, int], turned: bool
) -> Iterator[tuple[str, str]]:
    if picture.size is None or shown == tuple(picture.size):
        return
    kind = "size"
    if shown[::-1] == tuple(picture.size):
        kind = "turned" if turned else "exchanged"
    labelled = f"{picture.size[0]} by {picture.size[1]}"
    yield kind, f"'{picture.path}' is {shown[0]} by {shown[1]}, labels say {labelled}"


def _reach_faults(looked: _Looked, shown: tuple[int, int]) -> Iterator[tuple[str, str]]:
    room = _ROOM * max(shown)
    (x, y), (width, height) = looked.reach_px, shown
    if x > width + room or y > height + room:
        said = f"'{looked.picture.path}' is {width} by {height}, labels reach ({x:g}, {y:g})"
        yield "reach", said


def _tail(path: Path) -> bytes:
    with open(path, "rb") as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL_BYTES))
        return stream.read()
