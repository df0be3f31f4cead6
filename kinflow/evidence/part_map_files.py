"""Part maps of the user's own: image files to bit sets per pixel.

Most hold one id per pixel: grey with any number of bits, the index of a palette, or three equal
channels. Others are in colours: of a palette that has its own, of PASCAL VOC's colour map, in which
parsers of people draw their ids, or DensePose's IUV, one of whose channels is the chart.

A file is gone through twice, strip by strip: which codes (ids, packed colours) are there, and then,
with a table of what each means, which pixel has which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt16
from PIL import Image

from kinflow.body.parts import BACKGROUND
from kinflow.errors import InputError
from kinflow.evidence.image import upright
from kinflow.evidence.image_files import LOSSY_FORMATS
from kinflow.evidence.label_files import opened_map, scaled
from kinflow.evidence.pixels import strips

PixelSets = UInt16[np.ndarray, "height width"]
"""Bit set of each pixel (see `evidence.types.PartLabels`)."""

NUM_CODES = 1 << 24
MAX_ID = 255
UNSAID = 255
"""The id that stands for nothing known, or for the background (BodyPix); some write it as -1."""
_LISTED = 5

Color = tuple[int, int, int]


@runtime_checkable
class LabelPalette(Protocol):
    """What ids and colours of a part map mean (`kinflow.body.part_maps` has the known ones)."""

    @property
    def name(self) -> str:
        """What users call it."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each class, in the order of the ids."""
        ...

    @property
    def sets(self) -> tuple[int, ...]:
        """Bit set of each id from 0 to 255, 0 for ids that mean nothing."""
        ...

    @property
    def colors(self) -> Mapping[Color, int]:
        """Bit set of each colour (sRGB); empty where only ids are understood."""
        ...

    @property
    def charts(self) -> int:
        """How many charts DensePose's IUV images have; 0 where such images are not understood."""
        ...

    def others_with(self, ids: Sequence[int]) -> tuple[str, ...]:
        """Names of other palettes that have all of these ids."""
        ...


def read_part_map(path: Path, image_size: tuple[int, int], palette: LabelPalette) -> PixelSets:
    """A part map as bit sets, in the size of the upright photo.

    Args:
        path: the image file.
        image_size: (width, height) of the upright photo.
        palette: what its ids or colours mean.

    Raises:
        InputError: the file is damaged, lossy, of other proportions than the photo, shows nobody,
            or holds ids or colours that the palette does not have.
    """
    with opened_map(path, image_size) as (image, orientation):
        if image.format in LOSSY_FORMATS:
            raise InputError(
                f"'{path}' is not a PNG file but {image.format}, which blurs ids where parts "
                "meet; save maps as PNG."
            )
        try:
            sets = _sets(image, palette)
        except InputError as error:
            raise InputError(f"'{path}' {error}", error.options) from error
    sets = scaled(upright(sets, orientation), image_size, smooth=False)
    if (sets == BACKGROUND).all():
        raise InputError(f"'{path}' shows nobody: all of it is background.")
    return sets


def voc_color(label: int) -> Color:
    """The colour of a label in PASCAL VOC's colour map: its bits, dealt out to the channels."""
    channels = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            channels[channel] |= (label >> channel & 1) << (7 - place)
        label >>= 3
    return channels[0], channels[1], channels[2]


_VOC_LABELS = {voc_color(label): label for label in range(MAX_ID + 1)}


def _sets(image: Image.Image, palette: LabelPalette) -> PixelSets:
    codes_of, is_color = _coding(image)
    known = np.zeros(NUM_CODES, bool)
    for _, strip in strips(image):
        codes = codes_of(strip)
        if codes.min() < 0 or codes.max() >= NUM_CODES:
            strange = int(codes.max() if codes.max() >= NUM_CODES else codes.min())
            raise InputError(_strangers(palette, [strange]), {"made with": "palette"})
        known[codes] = True
    codes = np.flatnonzero(known)
    table = np.zeros(codes[-1] + 1, np.uint16)
    if is_color:
        colors = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], -1).astype(np.uint8)
    else:
        colors = _colors_of_indices(codes, image, palette)
    if colors is not None:
        table[codes] = _sets_of_colors(colors, palette)
    else:
        table[codes] = _sets_of_ids(codes, palette)
    sets = np.empty(image.size[::-1], np.uint16)
    for top, strip in strips(image):
        sets[top : top + strip.size[1]] = table[codes_of(strip)]
    return sets


def _coding(image: Image.Image) -> tuple[Callable[[Image.Image], np.ndarray], bool]:
    """How a strip becomes whole numbers, and whether these are packed colours."""
    if image.mode in ("P", "L", "1") or image.mode.startswith("I"):
        return _ids, False
    if image.mode in ("PA", "LA", "La"):
        # transparency is no label: what is under it is
        return lambda strip: np.asarray(strip)[..., 0], False
    if image.mode == "F":
        return _whole, False
    return _packed, True


def _ids(strip: Image.Image) -> np.ndarray:
    ids = np.asarray(strip)
    if ids.dtype == bool:
        return ids.astype(np.uint8)
    return np.where(ids == -1, UNSAID, ids) if ids.dtype.kind == "i" else ids


def _whole(strip: Image.Image) -> np.ndarray:
    values = np.asarray(strip)
    if not (np.isfinite(values).all() and (values == np.rint(values)).all()):
        raise InputError("holds fractions where ids are expected; save ids as whole numbers.")
    return np.where(values == -1, UNSAID, values.clip(-2, NUM_CODES)).astype(np.int64)


def _packed(strip: Image.Image) -> np.ndarray:
    channels = np.asarray(strip if strip.mode in ("RGB", "RGBA", "RGBX") else strip.convert("RGB"))
    packed = channels[..., 0].astype(np.uint32)
    for channel in (1, 2):
        packed <<= 8
        packed |= channels[..., channel]
    return packed


def _sets_of_colors(colors: np.ndarray, palette: LabelPalette) -> UInt16[np.ndarray, " colors"]:
    """The bit set of each colour that is there: whichever way of colouring has all of them."""
    # no colour map has more colours, and a photo given by mistake has millions
    few = _tuples(colors[: MAX_ID + 2])
    of_palette = [palette.colors.get(color, 0) for color in few]
    if len(few) == len(colors) and all(of_palette):
        return np.array(of_palette, np.uint16)
    of_voc = [_VOC_LABELS.get(color) for color in few]
    is_voc = len(few) == len(colors) and None not in of_voc
    is_grey = (colors == colors[:, :1]).all()
    if is_grey and not (is_voc and not _have(colors[:, 0], palette)):
        return _sets_of_ids(colors[:, 0], palette)
    if is_voc:
        return _sets_of_ids(np.array(of_voc), palette)
    chart = _chart_channel(colors, palette.charts)
    if chart is not None:
        return _sets_of_ids(colors[:, chart], palette)
    if not palette.colors:
        raise InputError(
            f"is a colour picture, but maps of the palette '{palette.name}' hold one id per pixel; "
            "save the ids as a grey PNG, or choose the palette that it was drawn with.",
            {"drawn with": "palette"},
        )
    stranger = few[of_palette.index(0)] if 0 in of_palette else few[-1]
    raise InputError(
        f"holds the colour {stranger}, which the palette '{palette.name}' does not have; draw maps "
        "without smoothing, and choose the palette they were made with.",
        {"made with": "palette"},
    )


def _chart_channel(colors: np.ndarray, charts: int) -> int | None:
    """Which channel of DensePose's IUV holds the charts: the last one as OpenCV writes it."""
    for channel in (2, 0) if charts else ():
        others = np.delete(colors, channel, axis=1)
        outside = colors[:, channel] == 0
        if colors[:, channel].max() <= charts and not others[outside].any():
            return channel
    return None


def _colors_of_indices(
    codes: np.ndarray, image: Image.Image, palette: LabelPalette
) -> np.ndarray | None:
    """Colours of indices that some program has sorted anew, None where the index is the id.

    That is so unless the colours are those of a colour map and in another order.
    """
    table = image.getpalette("RGB") if image.mode in ("P", "PA") else None
    if table is None or codes[-1] >= len(table) // 3:
        return None
    colors = np.array(table, np.uint8).reshape(-1, 3)[codes]
    found = _tuples(colors)
    labels = [_VOC_LABELS.get(color) for color in found]
    if len(set(found)) < max(2, len(codes)) or labels == codes.tolist():
        return None
    mapped = None not in labels or all(color in palette.colors for color in found)
    return colors if mapped else None


def _have(ids: np.ndarray, palette: LabelPalette) -> bool:
    return all(palette.sets[int(label)] for label in ids)


def _sets_of_ids(ids: np.ndarray, palette: LabelPalette) -> UInt16[np.ndarray, " ids"]:
    known = np.array(palette.sets, np.uint16)
    sets = np.where(ids <= MAX_ID, known[np.minimum(ids, MAX_ID)], 0).astype(np.uint16)
    if ids.tolist() == [0, UNSAID] and sets[0] == BACKGROUND:
        raise InputError(
            "is black and white, as silhouettes are, and tells no parts; give it as a silhouette.",
            {"as a silhouette": "masks"},
        )
    if not sets.all():
        sentence = _strangers(palette, ids[sets == 0].tolist(), ids.tolist())
        raise InputError(sentence, {"made with": "palette"})
    return sets


def _strangers(palette: LabelPalette, strange: list[int], ids: list[int] | None = None) -> str:
    """The sentence about ids that the palette does not have."""
    listed = ", ".join(map(str, strange[:_LISTED]))
    if len(strange) > _LISTED:
        listed += f" and {len(strange) - _LISTED} more"
    others = palette.others_with(ids) if ids else ()
    fitting = f"; all of its ids are in {' and in '.join(others)}" if others else ""
    return (
        f"holds the id{'s' if len(strange) > 1 else ''} {listed}, which the palette "
        f"'{palette.name}' does not have, whose ids are 0 to {len(palette.classes) - 1} and "
        f"{UNSAID}; choose the palette that the map was made with{fitting}."
    )


def _tuples(colors: np.ndarray) -> list[Color]:
    return [(red, green, blue) for red, green, blue in colors.tolist()]
