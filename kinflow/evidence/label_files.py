"""Which files of a folder are the maps of a photo, and whether they fit it.

Tools name what they make of `photo.jpg` in their own ways: `photo.png`, `photo.jpg.png`,
`photo_mask.png`, or `photo_0.png`, `photo_1.png` for one person each.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from kinflow.errors import InputError
from kinflow.evidence.exif import camera_tags
from kinflow.evidence.image_files import IMAGE_SUFFIXES, opened
from kinflow.files.reading import readable

MASK_WORDS = ("mask", "matte", "alpha", "silhouette", "segmentation", "seg")
PART_WORDS = ("parts", "iuv", "densepose", "parsing", "labels", "segmentation", "seg", "gray")
"""What tools append to a photo's name."""
MAX_STRETCH = 0.01
"""How far the proportions of a map may be off those of the photo for it to be scaled."""

MAX_ENLARGEMENT = 16
"""A map of a few pixels has no outlines."""

_LOSSLESS_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".webp")
_NAMED = 3


@dataclass(frozen=True)
class FoundMaps:
    """The files that belong to one photo."""

    paths: tuple[Path, ...]
    one_person_each: bool
    """Whether each shows one person, rather than the only one everybody."""


def find_maps(folder: Path, photo: str | Path, words: Sequence[str]) -> FoundMaps | None:
    """The maps of a photo, None if there are none.

    One of everybody counts alone, whatever there is of single people.

    Args:
        folder: where the maps are.
        photo: the photo's file, or its name without extension.
        words: what may follow its name.

    Raises:
        InputError: several files could be meant, or the folder cannot be read.
    """
    names = _photo_names(photo)
    files = [path for path in _images(folder) if not _is_same(path, photo)]
    for wanted, suffixes in _ways(names, words):
        found = _of_name(files, wanted, suffixes)
        if len(found) > 1:
            listed = " and ".join(f"'{path.name}'" for path in found)
            raise InputError(f"'{folder}' has {listed} for the same photo; keep one of them.")
        if found:
            return FoundMaps(tuple(found), False)
    endings = "|".join(words)
    of_one = re.compile(
        rf"(?:{'|'.join(map(re.escape, names))})(?:[_-](?:{endings}))?_(\d+)(?:[_-](?:{endings}))?",
        re.IGNORECASE,
    )
    found = [path for path in files if of_one.fullmatch(path.stem)]
    return FoundMaps(tuple(found), True) if found else None


def missing_maps(folder: Path, photo: str | Path) -> str:
    """The sentence about a photo that has no map."""
    stem = _photo_names(photo)[0]
    return (
        f"'{folder}' has neither '{stem}.png' nor '{stem}_0.png' for this photo; name maps after "
        f"their photos ({_holds(folder)})."
    )


def expect_any(folder: Path, photos: Sequence[Path], words: Sequence[str]) -> None:
    """Refuse a folder that has nothing for any of the photos, before each of them is worked on.

    Raises:
        InputError: it has not.
    """
    if photos and not any(find_maps(folder, photo, words) for photo in photos):
        example = photos[0]
        if len(photos) == 1:
            raise InputError(missing_maps(folder, example))
        raise InputError(
            f"'{folder}' has no map for any of the photos; for '{example.name}' it should be "
            f"'{example.stem}.png' ({_holds(folder)})."
        )


@contextmanager
def opened_map(path: Path, image_size: tuple[int, int]) -> Iterator[tuple[Image.Image, int]]:
    """A map whose proportions are those of the photo, and its EXIF orientation.

    Raises:
        InputError: it cannot be read, or has other proportions.
    """
    with opened(path) as image:
        orientation = camera_tags(image).orientation
        width, height = reversed(image.size) if orientation >= 5 else image.size
        photo_width, photo_height = image_size
        if not _fits((width, height), image_size) or MAX_ENLARGEMENT * width < photo_width:
            what_to_do = "save it in the photo's size, or in one of the same proportions"
            if width != height and _fits((height, width), image_size):
                what_to_do = "turn it as the photo is shown"
            raise InputError(
                f"'{path}' has {width} x {height} pixels but the upright photo has "
                f"{photo_width} x {photo_height}; {what_to_do}."
            )
        yield image, orientation


def scaled(pixels: np.ndarray, image_size: tuple[int, int], smooth: bool) -> np.ndarray:
    """Upright pixels (height, width) in the photo's size; ids are picked and not mixed."""
    if pixels.shape[::-1] == image_size:
        return pixels
    shrinks = pixels.shape[1] > image_size[0]
    mixing = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(pixels, image_size, interpolation=mixing if smooth else cv2.INTER_NEAREST)


def _fits(size: tuple[int, int], image_size: tuple[int, int]) -> bool:
    across, down = size[0] * image_size[1], size[1] * image_size[0]
    return abs(across - down) <= MAX_STRETCH * max(across, down)


def _photo_names(photo: str | Path) -> tuple[str, ...]:
    """The photo's name without and, where it is known, with its extension."""
    path = Path(photo)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return path.stem, path.name
    return (path.name,)


def _ways(
    names: tuple[str, ...], words: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Names and suffixes of a map of everybody, the likeliest first.

    A JPEG of the photo's very name may be a copy of the photo, so it comes last.
    """
    lossy = tuple(sorted(IMAGE_SUFFIXES - set(_LOSSLESS_SUFFIXES)))
    with_words = tuple(f"{name}{gap}{word}" for name in names for gap in "_-" for word in words)
    yield names[:1], (".png",)
    yield names[1:], (".png",)
    yield with_words, (".png",)
    yield names, _LOSSLESS_SUFFIXES[1:]
    yield with_words, _LOSSLESS_SUFFIXES[1:] + lossy
    yield names, lossy


def _of_name(files: list[Path], wanted: tuple[str, ...], suffixes: tuple[str, ...]) -> list[Path]:
    """Files of one of these names, spelt exactly so if there is one, else in any case."""
    folded = {name.casefold() for name in wanted}
    alike = [p for p in files if p.suffix.lower() in suffixes and p.stem.casefold() in folded]
    exact = [p for p in alike if p.stem in wanted]
    return exact or alike


def _images(folder: Path) -> list[Path]:
    with readable(folder):
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    return [
        Path(entry.path)
        for entry in entries
        if not entry.name.startswith(".")
        and Path(entry.name).suffix.lower() in IMAGE_SUFFIXES
        and entry.is_file()
    ]


def _is_same(path: Path, photo: str | Path) -> bool:
    """Whether a file is the photo itself, whose folder may hold the maps as well."""
    try:
        return path.name == Path(photo).name and path.samefile(photo)
    except OSError:
        return False


def _holds(folder: Path) -> str:
    names = [path.name for path in _images(folder)]
    if not names:
        return "it holds no images"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"it holds {', '.join(names[:_NAMED])}{more}"
