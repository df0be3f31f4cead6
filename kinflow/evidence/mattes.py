"""Silhouettes of the user's own: what share of each pixel is a person's.

Tools write a shape in many ways: white on black in grey, in 16 bits, in one bit or through a
palette; soft at hair and motion blur; as the transparency of a cut-out or of a black figure; in the
colours of a segmentation. What shows is what counts, never the number behind it:

1. transparency, where some of the picture is transparent and some is not;
2. of two colours, the brighter one;
3. of several colours that are not grey, everything but black;
4. brightness. A few dark shades without a bright one are numbers of people or classes: everything
   but black.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from kinflow.errors import InputError
from kinflow.evidence.image import upright
from kinflow.evidence.image_files import LOSSY_FORMATS
from kinflow.evidence.label_files import opened_map, scaled
from kinflow.evidence.pixels import deep_to_8_bits, has_alpha, is_deep, strips, with_alpha

HALF = 128
"""Share, of 255, from which a pixel is the person's."""
EVERYWHERE = 0.95
"""A mask that shows the person on such a share of the photo shows nothing, but perhaps a rim."""

_COLOURFUL = 24
"""A colour is no grey if its channels differ by more than JPEG or a warm white makes them."""
_MIN_COLOURFUL = 0.1
"""Share of the pixels that are not black."""
_RINGING = 32
"""Black in a JPEG, which rings beside edges."""
_MAX_CLASSES = 32
_GREY_MODES = frozenset({"1", "L", "LA", "La"})

Matte = UInt8[np.ndarray, "height width"]


@dataclass(frozen=True)
class _Pixels:
    """A picture's brightness, strongest channel and opacity."""

    grey: Matte
    peak: Matte
    alpha: Matte | None
    colourful: float
    """Share of what is not black that is not grey."""


def read_matte(path: Path, image_size: tuple[int, int]) -> Matte:
    """A silhouette as the share, of 255, that is a person's, in the size of the upright photo.

    Args:
        path: the image file.
        image_size: (width, height) of the upright photo.

    Raises:
        InputError: the file is damaged, of other proportions than the photo, or shows nobody or a
            person everywhere.
    """
    with opened_map(path, image_size) as (image, orientation):
        try:
            matte = _shape(_pixels(image), image.format in LOSSY_FORMATS)
        except InputError as error:
            raise InputError(f"'{path}': {error}") from error
    matte = scaled(upright(matte, orientation), image_size, smooth=True)
    shown = np.count_nonzero(matte >= HALF) / matte.size
    if not shown:
        brightest = int(matte.max(initial=0))
        reason = (
            f"none of its pixels is half white (the brightest has {brightest} of 255)"
            if brightest
            else "all of its pixels are black or transparent"
        )
        raise InputError(
            f"'{path}' shows nobody: {reason}; masks are white where the person is and black, or "
            "transparent, elsewhere."
        )
    if shown >= EVERYWHERE:
        raise InputError(
            f"'{path}' shows a person everywhere; masks are white where the person is and black, "
            "or transparent, elsewhere."
        )
    return matte


def _pixels(image: Image.Image) -> _Pixels:
    width, height = image.size
    to_8_bits = deep_to_8_bits(image) if is_deep(image) else None
    grey, peak = np.empty((height, width), np.uint8), np.empty((height, width), np.uint8)
    alpha = np.empty((height, width), np.uint8) if has_alpha(image) and to_8_bits is None else None
    colourful = visible = 0
    for top, strip in strips(image):
        rows = slice(top, top + strip.size[1])
        if to_8_bits is not None:
            grey[rows] = peak[rows] = to_8_bits(strip)
            continue
        if alpha is not None:
            strip = with_alpha(strip)
            alpha[rows] = np.asarray(strip.getchannel("A"))
        grey[rows] = np.asarray(strip.convert("L"))
        if image.mode in _GREY_MODES:
            peak[rows] = grey[rows]
            continue
        red, green, blue = cv2.split(np.asarray(strip.convert("RGB")))
        peak[rows] = np.maximum(np.maximum(red, green), blue)
        least = np.minimum(np.minimum(red, green), blue)
        not_black = peak[rows] > _RINGING
        visible += np.count_nonzero(not_black)
        colourful += np.count_nonzero(not_black & (peak[rows] - least > _COLOURFUL))
    return _Pixels(grey, peak, alpha, colourful / max(visible, 1))


def _shape(pixels: _Pixels, lossy: bool) -> Matte:
    alpha = pixels.alpha
    # one that is opaque throughout says nothing
    if alpha is not None and alpha.min() < HALF:
        return alpha
    # not numpy's count, which makes eight bytes of each pixel
    counts = cv2.calcHist([pixels.grey], [0], None, [256], [0, 256])
    shades = np.flatnonzero(counts)
    if len(shades) == 2 and not lossy:
        return _full(pixels.grey == shades[1])
    if pixels.colourful > _MIN_COLOURFUL:
        return _full(pixels.peak > (_RINGING if lossy else 0))
    if len(shades) <= _MAX_CLASSES and shades[-1] < HALF and not lossy:
        return _full(pixels.grey > 0)
    return pixels.grey


def _full(shown: np.ndarray) -> Matte:
    return shown.astype(np.uint8) * np.uint8(255)
