"""Decoded pictures of any kind to 8-bit RGB, strip by strip.

A picture of 149 megapixels may come from a file of a few kilobytes, so besides the decoder's own
pixels and the result there is never a second copy of either: every conversion is made on strips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageCms

from kinflow.errors import InputError

STRIP_PIXELS = 1 << 22
_ALPHA_MODES = frozenset({"RGBA", "LA", "PA", "La", "RGBa"})

Convert = Callable[[Image.Image], np.ndarray]
"""From a strip to its (rows, width, 3) RGB or (rows, width) grey values in 8 bits."""


def rgb_of(image: Image.Image) -> UInt8[np.ndarray, "height width 3"]:
    """The pixels as RGB in the file's own orientation: alpha over white, deep values in 8 bits.

    Raises:
        InputError: its values are no colours.
    """
    convert = _conversion(image)
    width, height = image.size
    rgb = np.empty((height, width, 3), np.uint8)
    for top, strip in strips(image):
        values = convert(strip)
        rgb[top : top + len(values)] = values if values.ndim == 3 else values[..., None]
    return rgb


def strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The image in parts of full width, with the row at which each begins."""
    image.load()
    width, height = image.size
    rows = max(1, STRIP_PIXELS // max(1, width))
    if rows >= height:
        yield 0, image
        return
    for top in range(0, height, rows):
        yield top, image.crop((0, top, width, min(height, top + rows)))


def over_white(image: Image.Image) -> Image.Image:
    """An RGBA image composed over white."""
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image, mask=image.getchannel("A"))
    return white


def is_deep(image: Image.Image) -> bool:
    """Whether the image is grey with more than 8 bits a pixel."""
    return image.mode.startswith("I") or image.mode == "F"


def deep_to_8_bits(image: Image.Image) -> Convert:
    """The conversion of strips of this deep grey image to 8 bits.

    Integers keep the highest eight of the bits that the brightest pixel needs, so that cameras of
    12 bits are no darker than others and 8-bit values in a 16-bit file stay what they are.
    Fractions are taken for 0 to 1, 0 to 255 or 0 to 65535, whichever holds them.

    Raises:
        InputError: values are not finite, negative, or larger than that.
    """
    low, high = _extrema(image)
    if image.mode != "F":
        shift = bits_above_8(int(high))
        return lambda strip: (_values(strip).clip(0, None) >> shift).astype(np.uint8)
    if not np.isfinite([low, high]).all():
        raise InputError("Its pixels hold values that are not finite (NaN or infinity).")
    limit = next((top for top in (1.0, 255.0, 65535.0) if high <= top), None)
    if low < 0 or limit is None:
        raise InputError(
            f"Its pixels hold values from {low:g} to {high:g}, which are no colours; save it with "
            "8 bits a channel."
        )
    return lambda strip: np.rint(_values(strip) * np.float32(255 / limit)).astype(np.uint8)


def bits_above_8(highest: int) -> int:
    """How many of the lowest bits are dropped so that values up to `highest` fit 8 bits."""
    return max(0, highest.bit_length() - 8)


def _conversion(image: Image.Image) -> Convert:
    if is_deep(image):
        return deep_to_8_bits(image)
    if image.mode == "LAB":
        # Pillow itself does not convert it
        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(*profiles, "LAB", "RGB")
        return lambda strip: np.asarray(ImageCms.applyTransform(strip, transform))
    if has_alpha(image):
        return lambda strip: np.asarray(over_white(with_alpha(strip)))
    return lambda strip: np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"))


def has_alpha(image: Image.Image) -> bool:
    """Whether parts of the image may be transparent."""
    return image.mode in _ALPHA_MODES or "transparency" in image.info


def with_alpha(image: Image.Image) -> Image.Image:
    """The image as RGBA, from a mode with alpha or a palette or colour that is transparent."""
    return (image.convert("LA") if image.mode == "La" else image).convert("RGBA")


def _extrema(image: Image.Image) -> tuple[float, float]:
    """The least and the largest value; not finite if one of them all is not."""
    found = [(values.min(), values.max()) for values in (_values(s) for _, s in strips(image))]
    lows, highs = np.array(found, np.float64).T
    return float(lows.min()), float(highs.max())


def _values(image: Image.Image) -> np.ndarray:
    return np.asarray(image)
