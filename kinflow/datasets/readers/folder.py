"""A folder of images or clips that nobody has labelled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kinflow.datasets.readers.reader import DatasetInfo, Finding, Reader, Unit
from kinflow.datasets.readers.records import OnFault, raised
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import Picture
from kinflow.errors import InputError
from kinflow.evidence.image_files import IMAGE_SUFFIXES
from kinflow.evidence.video_files import Clip, is_meant_as_clip


class Folder(Reader):
    """Each image is a sample, and each frame of a clip; who is in them is for a detector to say."""

    info = DatasetInfo(
        name="folder",
        title="a folder of images and clips",
        home="yours",
        licence="yours",
        tree="any images and clips, in folders as deep as you like",
        used="the pixels; clips also tell times",
        labels=("picture", "time"),
    )

    def units(self, root: Path) -> tuple[list[Unit], list[Finding]]:
        """As `Reader.units`: a unit is an image or a clip."""
        found, passed_over = [], 0
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            if path.suffix.lower() in IMAGE_SUFFIXES or is_meant_as_clip(path):
                found.append(Unit(path, path.relative_to(root).as_posix()))
            else:
                passed_over += 1
        if not found:
            raise InputError(f"'{root}' holds no images and no clips.")
        notes = [Finding("note", f"{passed_over} other files are passed over.")]
        return found, notes if passed_over else []

    def read(self, root: Path, unit: Unit, on_fault: OnFault = raised) -> Iterator[Sample]:
        """As `Reader.read`; nothing in it has a record of its own."""
        if is_meant_as_clip(unit.path):
            yield from _frames(unit)
        else:
            yield Sample("folder", unit.key, picture=Picture(unit.path))


def _frames(unit: Unit) -> Iterator[Sample]:
    clip = Clip.open(unit.path)
    for frame in clip.frames():
        yield Sample(
            "folder",
            f"{unit.key}/{frame.index:06d}",
            picture=Picture(unit.path, clip.info.size, frame.index),
            sequence=unit.key,
            time_s=frame.time_s,
            fps=clip.info.fps,
        )
