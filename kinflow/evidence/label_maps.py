"""Part maps and silhouettes of the user's own: PNG files to bit sets per pixel.

In a folder, `<photo>.png` shows everybody in the photo, or `<photo>_<k>.png` one person each, whose
numbers need not be those of the results. If there is a file of the first kind, it counts alone.

Part maps hold one id per pixel (grey, palette or 16 bit; RGB with three equal channels will do) or,
for palettes that have colours, one colour per pixel. In silhouettes every pixel that is not black,
and not transparent, is a person's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, UInt16
from PIL import Image, UnidentifiedImageError

from kinflow.errors import InputError
from kinflow.evidence.types import ANY_PART, BACKGROUND

PixelSets = UInt16[np.ndarray, "height width"]
"""Bit set of each pixel (see `evidence.types.PartLabels`)."""


@runtime_checkable
class LabelPalette(Protocol):
    """What ids and colours of a part map mean (`kinflow.body.part_maps` has the known ones)."""

    @property
    def name(self) -> str:
        """What users call it."""
        ...

    @property
    def sets(self) -> tuple[int, ...]:
        """Bit set of each id from 0 to 255, 0 for ids that mean nothing."""
        ...

    @property
    def colors(self) -> Mapping[tuple[int, int, int], int]:
        """Bit set of each colour (sRGB); empty where only ids are understood."""
        ...


@dataclass(frozen=True)
class PhotoLabels:
    """The labels of one photo."""

    maps: tuple[PixelSets, ...]
    one_person_each: bool
    """Whether each map shows one person, rather than the only map everybody."""
    silhouettes: bool
    """Whether they tell people from background only."""


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

    def read(self, photo_stem: str, image_size: tuple[int, int]) -> PhotoLabels:
        """The labels of a photo by its file name without extension.

        Args:
            photo_stem: the photo's file name without extension.
            image_size: (width, height) of the upright photo.

        Raises:
            InputError: there are none, or they cannot be used.
        """
        everybody = self.folder / f"{photo_stem}.png"
        of_one = re.compile(re.escape(photo_stem) + r"_(\d+)\.png")
        names = sorted(p.name for p in self.folder.iterdir() if of_one.fullmatch(p.name))
        if not everybody.is_file() and not names:
            raise InputError(
                f"'{self.folder}' has neither '{everybody.name}' nor '{photo_stem}_0.png' for this "
                "photo; name maps after their photos."
            )
        paths = [everybody] if everybody.is_file() else [self.folder / name for name in names]
        maps = tuple(self._read(path, image_size) for path in paths)
        return PhotoLabels(maps, paths != [everybody], self.palette is None)

    def _read(self, path: Path, image_size: tuple[int, int]) -> PixelSets:
        if self.palette is None:
            return read_mask(path, image_size)
        return read_part_map(path, image_size, self.palette)


def read_part_map(path: Path, image_size: tuple[int, int], palette: LabelPalette) -> PixelSets:
    """A part map as bit sets.

    Args:
        path: the PNG file.
        image_size: (width, height) of the upright photo.
        palette: what its ids or colours mean.

    Raises:
        InputError: the file is damaged, of another size than the photo, shows nobody, or holds ids
            or colours that the palette does not have.
    """
    pixels = _read_png(path, image_size)
    if pixels.ndim == 3 and palette.colors:
        sets = _of_colors(pixels[..., :3], palette, path)
    else:
        sets = _of_ids(_ids(pixels, palette, path), palette, path)
    if (sets == BACKGROUND).all():
        raise InputError(f"'{path}' shows nobody: all of it is background.")
    return sets


def read_mask(path: Path, image_size: tuple[int, int]) -> PixelSets:
    """A silhouette as bit sets: any part, or background.

    Raises:
        InputError: the file is damaged, of another size than the photo, or shows nobody.
    """
    person = _foreground(_read_png(path, image_size))
    if not person.any():
        raise InputError(f"'{path}' shows nobody: all of its pixels are black.")
    return np.where(person, ANY_PART, BACKGROUND).astype(np.uint16)


def _read_png(path: Path, image_size: tuple[int, int]) -> np.ndarray:
    """Ids (height, width), or channels (height, width, 2 to 4)."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.size != image_size:
                sizes = (f"{w} x {h}" for w, h in (image.size, image_size))
                raise InputError(
                    "'{}' has {} pixels but the upright photo has {}; maps have to be of the "
                    "photo's size.".format(path, *sizes)
                )
            return np.asarray(image)
    except UnidentifiedImageError:
        raise InputError(f"'{path}' is not a PNG file; save maps as PNG.") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"'{path}' is damaged or cannot be read ({error}).") from None


def _foreground(pixels: np.ndarray) -> Bool[np.ndarray, "height width"]:
    if pixels.ndim == 2:
        return pixels > 0
    channels = pixels.shape[2]
    visible = pixels[..., -1] > 0 if channels in (2, 4) else True
    return (pixels[..., : channels - (channels in (2, 4))] > 0).any(-1) & visible


def _ids(pixels: np.ndarray, palette: LabelPalette, path: Path) -> np.ndarray:
    """The id of each pixel; grey pictures in three channels are as good as one channel."""
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] > 2 and (pixels[..., :3] != pixels[..., :1]).any():
        raise InputError(
            f"'{path}' is a colour picture, but maps of the palette '{palette.name}' hold one id "
            "per pixel; save the ids as a grey PNG."
        )
    return pixels[..., 0]


def _of_ids(ids: np.ndarray, palette: LabelPalette, path: Path) -> PixelSets:
    known = np.array(palette.sets, np.uint16)
    # masks come as booleans; ids of 16-bit files may lie beyond the table
    within = ids < len(known)
    sets = np.where(within, known[np.where(within, ids, 0).astype(np.uint8)], 0).astype(np.uint16)
    if not sets.all():
        raise InputError(
            f"'{path}' holds the id {int(ids[sets == 0][0])}, which the palette '{palette.name}' "
            "does not have; choose the palette that the map was made with (--parts-palette)."
        )
    return sets


def _of_colors(rgb: np.ndarray, palette: LabelPalette, path: Path) -> PixelSets:
    channels = rgb.astype(np.uint32)
    packed = channels[..., 0] << 16 | channels[..., 1] << 8 | channels[..., 2]
    sets = np.zeros(packed.shape, np.uint16)
    for (red, green, blue), bits in palette.colors.items():
        sets[packed == (red << 16 | green << 8 | blue)] = bits
    if not sets.all():
        stranger = tuple(int(v) for v in rgb[sets == 0][0])
        raise InputError(
            f"'{path}' holds the colour {stranger}, which the palette '{palette.name}' does not "
            "have; draw maps without smoothing, and choose the palette they were made with "
            "(--parts-palette)."
        )
    return sets
