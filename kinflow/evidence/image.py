"""Reading photos: any common file or array to upright 8-bit RGB, with the focal length of its EXIF.

Files are opened in `image_files`, turned into RGB in `pixels`, and their tags read in `exif`. The
orientation is applied to the result once the decoder's own copy of the pixels is gone.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from kinflow.errors import InputError
from kinflow.evidence.exif import CameraTags, camera_tags
from kinflow.evidence.image_files import MAX_PIXELS, check_pixels, opened
from kinflow.evidence.pixels import bits_above_8, is_deep, over_white, rgb_of
from kinflow.files.reading import reason_of

__all__ = ["MAX_PIXELS", "MIN_SIDE_PX", "Photo", "as_photo", "check_size", "read_photo", "upright"]

MIN_SIDE_PX = 16

# CIPA DC-008: the 35 mm equivalent compares diagonals; that of a 36 mm x 24 mm frame is meant.
DIAGONAL_35MM = math.hypot(36.0, 24.0)

_MAX_DEEP_PIXELS = 50_000_000
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
_PAGED = "TIFF"


@dataclass(frozen=True)
class Photo:
    """An upright image and what its file says about the camera."""

    rgb: UInt8[np.ndarray, "height width 3"]
    focal_px: float | None = None
    """Focal length in pixels from the EXIF 35 mm equivalent; None when the file has none."""
    notes: tuple[str, ...] = ()
    """What was left out, a sentence each: all but the first picture of an animation."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.rgb.shape[1], self.rgb.shape[0]


def read_photo(path: str | Path) -> Photo:
    """Read an image file: 8-bit RGB, EXIF orientation applied, alpha over white.

    Raises `InputError` for a missing path, a directory, an empty, damaged or unknown file, and an
    image that is too small or too large.
    """
    path = Path(path)
    if os.path.isdir(path):  # pathlib raises where a name is too long
        raise InputError(f"{path} is a directory, not an image file.")
    rgb, tags, notes = _decoded(path)
    return _photo(rgb, tags, notes)


def as_photo(image: Any) -> Photo:
    """A photo from a path, a Pillow image or an array.

    Arrays, and lists or tensors that numpy can read as such, are (height, width), (height, width,
    1), (height, width, 3) RGB or (height, width, 4) RGBA. They hold whole numbers: 0 to 255, or up
    to 65535 in 16 bits. Raises `InputError` for anything else.
    """
    if isinstance(image, Photo):
        return image
    if isinstance(image, str | Path):
        return read_photo(image)
    if isinstance(image, Image.Image):
        check_size(image.size, "The image")
        tags = camera_tags(image)
        try:
            return _photo(rgb_of(image), tags)
        except InputError:
            raise
        except (OSError, SyntaxError, ValueError) as error:
            # Pillow decodes lazily: its file may be damaged, or closed
            raise InputError(f"The image cannot be decoded ({error}).") from error
    array = _eight_bits(_checked(image))
    if array.ndim == 2 or array.shape[2] == 1:
        array = np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    elif array.shape[2] == 4:
        array = np.asarray(over_white(Image.fromarray(np.ascontiguousarray(array), "RGBA")))
    return Photo(np.ascontiguousarray(array))


def check_size(size: tuple[int, int], name: str) -> None:
    """Raise `InputError` when an image of `size` (width, height) cannot be used."""
    width, height = size
    if min(width, height) < MIN_SIDE_PX:
        raise InputError(
            f"{name} has {width} x {height} pixels; a person needs at least {MIN_SIDE_PX} of them "
            "on each side."
        )
    check_pixels(size, name)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (height, width, ...) turned and flipped by an EXIF orientation (1-8)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _decoded(path: Path) -> tuple[np.ndarray, CameraTags, tuple[str, ...]]:
    """The pixels in the file's own orientation; the decoder is gone on return."""
    with opened(path) as image:
        check_size(image.size, str(path))
        # how the decoder is told to read its strips ("RGB;16B"), until it has: tags may need that
        is_deep_color = not is_deep(image) and ";16" in str(getattr(image, "tile", ""))
        tags = camera_tags(image)
        try:
            rgb = rgb_of(image)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        if is_deep_color and rgb.min() == rgb.max():
            rgb = _from_low_bits(path, rgb)
        return rgb, tags, _notes(image, path)


def _photo(rgb: np.ndarray, tags: CameraTags, notes: tuple[str, ...] = ()) -> Photo:
    rgb = upright(rgb, tags.orientation)
    focal_px = None
    if tags.focal_35mm is not None:
        focal_px = tags.focal_35mm / DIAGONAL_35MM * math.hypot(*rgb.shape[:2])
    return Photo(rgb, focal_px, notes)


def _from_low_bits(path: Path, rgb: np.ndarray) -> np.ndarray:
    """Pixels of a file with 16 bits a channel that hold 8-bit values, else `rgb` as it is.

    Pillow keeps the high bytes of colour channels only, in which there is nothing then.
    """
    if rgb.shape[0] * rgb.shape[1] > _MAX_DEEP_PIXELS:
        return rgb
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    deep = cv2.imdecode(np.fromfile(path, np.uint8), flags)
    if deep is None or deep.dtype != np.uint16 or deep.shape != rgb.shape:
        return rgb
    return _eight_bits(deep)[..., ::-1]


def _notes(image: Image.Image, path: Path) -> tuple[str, ...]:
    try:
        several = getattr(image, "is_animated", False)
    except Exception:  # the next picture is damaged; the first one is what counts
        return ()
    if not several or image.format not in (*_ANIMATED, _PAGED):
        return ()
    kind = "page" if image.format == _PAGED else "picture"
    return (f"{path} has several {kind}s; the first one is used.",)


def _checked(image: Any) -> np.ndarray:
    """An array of a picture's shape that holds whole numbers."""
    try:
        array = np.asarray(image)
    except Exception as error:  # ragged lists, tensors with gradients or on a GPU: each its own
        raise InputError(
            f"An image of the type {type(image).__name__} cannot be read as an array "
            f"({reason_of(error)}); give a path, a Pillow image or a numpy array."
        ) from error
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        hint = "; move the channels to the end" if array.ndim == 3 and len(array) in (1, 3) else ""
        raise InputError(
            "An image array has to be (height, width) or (height, width, 1, 3 or 4), "
            f"not {array.shape}{hint}."
        )
    if array.dtype.kind not in "ui":
        raise InputError(
            f"An image array has to be uint8 or uint16, not {array.dtype}; {_to_integers(array)}."
        )
    check_size((array.shape[1], array.shape[0]), "The image array")
    return array


def _to_integers(array: np.ndarray) -> str:
    """How to convert an array of another type."""
    if array.dtype.kind == "f" and array.size:
        with np.errstate(invalid="ignore"):
            low, high = float(np.min(array)), float(np.max(array))
        if not math.isfinite(low + high):
            return "it also holds NaN or infinity, so check where it comes from"
        if low >= 0 and high <= 1:
            return "its values are 0 to 1, so convert it with (255 * image).astype(np.uint8)"
        if low >= 0 and high <= 255:
            return "its values are 0 to 255, so convert it with image.astype(np.uint8)"
        if low >= -1 and high <= 1:
            return "its values are -1 to 1: use (127.5 * (image + 1)).astype(np.uint8)"
    if array.dtype.kind == "b":
        return "give the photo itself and not a mask"
    return "scale it to 0-255 and convert it"


def _eight_bits(array: np.ndarray) -> UInt8[np.ndarray, "height width *channels"]:
    """Whole numbers in 8 bits: values up to 255 are taken as they are, deeper ones scaled."""
    if array.dtype == np.uint8:
        return array
    low, high = (int(array.min(initial=0)), int(array.max(initial=0)))
    if low < 0 or high > 65535:
        raise InputError(
            f"An image array has to hold 0 to 255, or to 65535, not {low} to {high}; scale it to "
            "0-255 and convert it to uint8."
        )
    return (array >> bits_above_8(high)).astype(np.uint8)
