"""Part maps and silhouettes of the user's own, as a folder of image files.

In a folder, `<photo>.png` shows everybody in the photo, or `<photo>_<k>.png` one person each, whose
numbers need not be those of the results; if there is a file of the first kind, it counts alone
(`label_files` has the other names that are understood). `part_map_files` reads what ids and colours
mean, `mattes` what is a person's in a silhouette.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kinflow.body.parts import ANY_PART, BACKGROUND
from kinflow.errors import InputError
from kinflow.evidence.label_files import (
    MASK_WORDS,
    PART_WORDS,
    FoundMaps,
    expect_any,
    find_maps,
    missing_maps,
)
from kinflow.evidence.mattes import HALF, Matte, read_matte
from kinflow.evidence.part_map_files import LabelPalette, PixelSets, read_part_map

__all__ = [
    "LabelFolder",
    "LabelPalette",
    "PhotoLabels",
    "PixelSets",
    "read_mask",
    "read_part_map",
    "sets_of_matte",
]


@dataclass(frozen=True)
class PhotoLabels:
    """The labels of one photo."""

    maps: tuple[PixelSets, ...]
    one_person_each: bool
    """Whether each map shows one person, rather than the only map everybody."""
    silhouettes: bool
    """Whether they tell people from background only."""
    mattes: tuple[Matte, ...] = ()
    """Of silhouettes: the share, of 255, of each pixel of each map that is a person's; none where
    edges are hard."""


@dataclass(frozen=True)
class LabelFolder:
    """A folder of part maps, or of silhouettes.

    Raises:
        InputError: there is no such folder.
    """

    folder: Path
    palette: LabelPalette | None = None
    """The numbering of part maps; None for silhouettes."""

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise InputError(f"'{self.folder}' is not a folder; give the one that holds your maps.")

    def files_of(self, photo: str | Path) -> tuple[Path, ...]:
        """The files that are read for a photo.

        Raises:
            InputError: there are none, or several could be meant.
        """
        return self._found(photo).paths

    def read(self, photo: str | Path, image_size: tuple[int, int]) -> PhotoLabels:
        """The labels of a photo.

        Args:
            photo: the photo's file, or its name with or without extension.
            image_size: (width, height) of the upright photo.

        Raises:
            InputError: there are none, or they cannot be used.
        """
        found = self._found(photo)
        if self.palette is None:
            mattes = tuple(read_matte(path, image_size) for path in found.paths)
            maps = tuple(sets_of_matte(matte) for matte in mattes)
            return PhotoLabels(maps, found.one_person_each, True, mattes)
        maps = tuple(read_part_map(path, image_size, self.palette) for path in found.paths)
        return PhotoLabels(maps, found.one_person_each, False)

    def expect_any(self, photos: Sequence[Path]) -> None:
        """Refuse a folder that has nothing for any of the photos.

        Raises:
            InputError: it has not.
        """
        expect_any(self.folder, photos, self._words)

    def _found(self, photo: str | Path) -> FoundMaps:
        found = find_maps(self.folder, photo, self._words)
        if found is None:
            raise InputError(missing_maps(self.folder, photo))
        return found

    @property
    def _words(self) -> tuple[str, ...]:
        return MASK_WORDS if self.palette is None else PART_WORDS


def read_mask(path: Path, image_size: tuple[int, int]) -> PixelSets:
    """A silhouette as bit sets: any part where at least half of a pixel is the person's, else
    background.

    Raises:
        InputError: the file is damaged, of other proportions than the photo, or shows nobody or a
            person everywhere.
    """
    return sets_of_matte(read_matte(path, image_size))


def sets_of_matte(matte: Matte) -> PixelSets:
    """Bit sets of a silhouette."""
    table = np.full(256, BACKGROUND, np.uint16)
    table[HALF:] = ANY_PART
    return table[matte]
