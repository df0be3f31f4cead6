"""People of Open Images: boxes, and masks of some of them.

Tables have gigabytes and are gone through row by row; what is kept of a split is the names of its
masks of people. Boxes are shares of the image, from its corner to its corner, so headers of images
are read for their sizes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

from kinflow.datasets.masks import Mask
from kinflow.datasets.readers.reader import DatasetInfo, Finding, Reader, Unit, absent_split
from kinflow.datasets.readers.records import OnFault, made, raised
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import Picture
from kinflow.errors import InputError
from kinflow.evidence.image_files import opened
from kinflow.files.csv_stream import read_columns

PEOPLE: dict[str, str] = {
    "/m/01g317": "Person",
    "/m/04yx4": "Man",
    "/m/03bt1vf": "Woman",
    "/m/01bl7v": "Boy",
    "/m/05r655": "Girl",
}
"""Names of classes in the tables, and in words."""
_BOX_TABLES = {
    "train": "oidv6-train-annotations-bbox.csv",
    "validation": "validation-annotations-bbox.csv",
    "test": "test-annotations-bbox.csv",
}
_BOX_COLUMNS = (
    *("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax"),
    *("IsGroupOf", "IsDepiction"),
)
_MASK_COLUMNS = (
    *("MaskPath", "ImageID", "LabelName"),
    *("BoxXMin", "BoxXMax", "BoxYMin", "BoxYMax"),
)
_HEX = "0123456789abcdef"
_IMAGE_ID = re.compile(r"[0-9a-f]{16}")
_MASK_NAME = re.compile(r"[0-9a-f]{16}_m[0-9a-z_]{1,20}_[0-9a-f]{1,16}\.png")
_OUTSIDE = 0.01
"""Share of the image that boxes may reach beyond it."""
_SAME_BOX = 1e-3
"""Share of the image by which the box of a mask and that of the person may differ."""

_Box = tuple[float, float, float, float]
"""(left, right, top, bottom) as shares of the image."""
_Masks = dict[str, list[tuple[str, _Box, str]]]
"""By image: class, box and name of the file."""


class OpenImages(Reader):
    """Open Images V7, boxes and masks of people."""

    info = DatasetInfo(
        name="open-images",
        title="Open Images V7",
        home="https://storage.googleapis.com/openimages/web/download_v7.html",
        licence="annotations CC BY 4.0; images listed as CC BY 2.0, to be verified one by one",
        tree=(
            "oidv6-train-annotations-bbox.csv\n"
            "validation-annotations-bbox.csv\n"
            "test-annotations-bbox.csv\n"
            "train-annotations-object-segmentation.csv  (and validation-, test-)\n"
            "train/000002b66c9c498e.jpg ...  (and validation/, test/)\n"
            "train-masks/000002b66c9c498e_m01g317_0fdb0c11.png ...  (or the 16 archives as\n"
            "train-masks-0/ ... train-masks-f/, or masks/train/; and validation-, test-)"
        ),
        used="boxes of Person, Man, Woman, Boy and Girl, and masks of those boxes",
        faults=(
            "Boxes are shares of the image from corner to corner; they are multiplied by its size.",
            "Depictions (drawings, statues) are left out; boxes of groups are crowds.",
            "Masks have another size than their images and are stretched; most people have none.",
            "Tables of boxes have no numbers, so a mask is the one whose box is the person's.",
            "Some images are stored on their side with a note (EXIF) to turn them; labels are for "
            "what is stored, so such images are refused when they are read.",
            "Ages and genders are annotators' guesses and are not kept.",
        ),
        splits=("train", "validation", "test"),
        labels=("picture", "box", "mask"),
    )

    def units(self, root: Path) -> tuple[list[Unit], list[Finding]]:
        """As `Reader.units`: a unit is a table of boxes."""
        found, findings = [], []
        for split, name in _BOX_TABLES.items():
            if not (root / name).is_file():
                findings.append(Finding("note", absent_split(name)))
                continue
            found.append(Unit(root / name, split, split))
            if not (root / split).is_dir():
                findings.append(Finding("missing", f"The folder '{split}' is not there."))
            if not _mask_table(root, split).is_file():
                absent = _mask_table(root, split).name
                findings.append(Finding("note", f"'{absent}' is not there, so there are no masks."))
            else:
                findings += _mask_findings(root, split)
        if not found:
            raise InputError(
                f"'{root}' holds nothing of Open Images; tables such as "
                f"'{_BOX_TABLES['validation']}' are expected there."
            )
        return found, findings

    def read(self, root: Path, unit: Unit, on_fault: OnFault = raised) -> Iterator[Sample]:
        """As `Reader.read`; a record is a line of the table."""
        table = _Table(root, unit, _masks_of(_mask_table(root, unit.split or ""), on_fault))
        rows = read_columns(unit.path, _BOX_COLUMNS, on_short=on_fault)
        yield from made(rows, table.sample, unit.path, lambda row: f"Line {row[0]}", on_fault)


class _Table:
    """A table of boxes while it is gone through."""

    def __init__(self, root: Path, unit: Unit, masks: _Masks) -> None:
        self._root, self._unit, self._masks = root, unit, masks
        self._split = unit.split or ""
        # rows of an image follow each other, and there are 16 folders of masks
        self._size_of = lru_cache(maxsize=64)(_size)
        self._folder_of = lru_cache(maxsize=64)(partial(_mask_folder, root, self._split))
        self._met: Counter[str] = Counter()

    def sample(self, numbered: tuple[int, list[str]]) -> Sample | None:
        """The person of a line; None where it is of something else."""
        line, (image, label, *corners, group, depiction) = numbered
        if label not in PEOPLE or depiction == "1":
            return None
        here = f"Line {line} of '{self._unit.path}'"
        if not _IMAGE_ID.fullmatch(image):
            raise InputError(f"{here} has {image[:40]!r} for an image, not 16 digits of hex.")
        box = _box(corners, here)
        path = self._root / self._split / f"{image}.jpg"
        size = self._size_of(path)
        name = _take(self._masks, image, label, box)
        folder = self._folder_of(name[0]) if name else None
        mask_path = folder / name if folder and name else None
        self._met[image] += 1
        return Sample(
            OpenImages.info.name,
            f"{self._unit.key}/{image}/{self._met[image] - 1}",
            split=self._unit.split,
            licence=OpenImages.info.licence,
            picture=Picture(path, size),
            box_px=_in_px(box, size) if size else None,
            mask=Mask(size, path=mask_path) if size and mask_path else None,
            crowd=group == "1",
        )


def _mask_findings(root: Path, split: str) -> list[Finding]:
    """Archives of masks that are not unpacked, though their table is there."""
    absent = [digit for digit in _HEX if _mask_folder(root, split, digit) is None]
    if not absent:
        return []
    if len(absent) == len(_HEX):
        said = f"There is a table of masks and no folder '{split}-masks': unpack the masks."
        return [Finding("missing", said)]
    said = f"Masks of {split} that begin with {', '.join(absent)} are not unpacked."
    return [Finding("note", said)]


def _mask_table(root: Path, split: str) -> Path:
    return root / f"{split}-annotations-object-segmentation.csv"


def _masks_of(table: Path, on_fault: OnFault) -> _Masks:
    """The masks of people that a table lists; none where there is no table."""
    masks: _Masks = {}
    if not table.is_file():
        return masks
    for line, (name, image, label, *corners) in read_columns(table, _MASK_COLUMNS, on_fault):
        if label not in PEOPLE:
            continue
        here = f"Line {line} of '{table}'"
        try:
            if not _MASK_NAME.fullmatch(name):
                raise InputError(f"{here} has {name[:60]!r} for a mask, which is no name of one.")
            masks.setdefault(image, []).append((label, _box(corners, here), name))
        except InputError as error:
            on_fault(error)
    return masks


def _box(corners: list[str], here: str) -> _Box:
    try:
        left, right, top, bottom = map(float, corners)
    except ValueError as error:
        raise InputError(f"{here} has a box that is not four numbers.") from error
    least, most = -_OUTSIDE, 1 + _OUTSIDE
    # NaN is in no order
    if not (least <= left < right <= most and least <= top < bottom <= most):
        raise InputError(f"{here} has a box that is not within its image.")
    return left, right, top, bottom


def _in_px(box: _Box, size: tuple[int, int]) -> tuple[float, float, float, float]:
    (left, right, top, bottom), (width, height) = box, size
    return left * width, top * height, (right - left) * width, (bottom - top) * height


def _take(masks: _Masks, image: str, label: str, box: _Box) -> str | None:
    """The name of the mask of this box, which is nobody else's from now on."""
    of_image = masks.get(image, [])
    for i, (kind, other, name) in enumerate(of_image):
        if kind == label and max(abs(a - b) for a, b in zip(box, other, strict=True)) < _SAME_BOX:
            del of_image[i]
            return name
    return None


def _mask_folder(root: Path, split: str, digit: str) -> Path | None:
    """Where masks whose names begin with this digit are; None if their archive is not unpacked."""
    named = (f"{split}-masks-{digit}", f"{split}-masks", f"masks/{split}", "masks")
    return next((root / name for name in named if (root / name).is_dir()), None)


def _size(path: Path) -> tuple[int, int] | None:
    """(width, height) that is stored; None where the image is not there."""
    if not path.is_file():
        return None
    with opened(path) as image:
        return image.size
