"""Reading photos: any common file to upright 8-bit RGB, with the focal length that EXIF tells.

Headers are checked before pixels are decoded, so a decompression bomb costs nothing, and the
orientation is applied to the decoded array without a second copy inside the decoder.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from kinflow.errors import InputError

MIN_SIDE_PX = 16
MAX_PIXELS = 150_000_000
# Pillow opens MPO (several JPEGs in one file) as JPEG.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")

# CIPA DC-008: the 35 mm equivalent compares diagonals; that of a 36 mm x 24 mm frame is meant.
DIAGONAL_35MM = math.hypot(36.0, 24.0)
EXIF_ORIENTATION = 0x0112
EXIF_IFD = 0x8769
EXIF_FOCAL_35MM = 0xA405


@dataclass(frozen=True)
class Photo:
    """An upright image and what its file says about the camera."""

    rgb: UInt8[np.ndarray, "height width 3"]
    focal_px: float | None = None
    """Focal length in pixels from the EXIF 35 mm equivalent; None when the file has none."""

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
    _check_file(path)
    try:
        with warnings.catch_warnings():
            # Our own limit on the number of pixels replaces Pillow's warning.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                check_size(image.size, str(path))
                exif = image.getexif()
                rgb = _upright(_decode(image), exif.get(EXIF_ORIENTATION, 1))
    except Image.DecompressionBombError:
        raise InputError(f"{path} has too many pixels; make it smaller.") from None
    except UnidentifiedImageError:
        raise InputError(
            f"{path} is not an image that can be read (JPEG, PNG, WebP, BMP, TIFF or GIF); "
            "convert it to one of these."
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged or incomplete ({error}).") from None
    focal_35mm = float(exif.get_ifd(EXIF_IFD).get(EXIF_FOCAL_35MM) or 0)
    return Photo(rgb, _focal_px(focal_35mm, rgb.shape[1], rgb.shape[0]))


def as_photo(image: str | Path | Photo | np.ndarray) -> Photo:
    """A photo from a path or from an array.

    Arrays are (height, width), (height, width, 1), (height, width, 3) RGB or (height, width, 4)
    RGBA, of type uint8 or uint16. Raises `InputError` for anything else.
    """
    if isinstance(image, Photo):
        return image
    if isinstance(image, str | Path):
        return read_photo(image)
    array = np.asarray(image)
    if array.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"An image array has to be uint8 or uint16, not {array.dtype}; "
            "scale it to 0-255 and convert it."
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise InputError(
            f"An image array has to be (height, width) or (height, width, 1, 3 or 4), "
            f"not {array.shape}."
        )
    check_size((array.shape[1], array.shape[0]), "The image array")
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    if array.ndim == 2 or array.shape[2] == 1:
        array = np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    elif array.shape[2] == 4:
        array = np.asarray(_over_white(Image.fromarray(array, "RGBA")))
    return Photo(np.ascontiguousarray(array))


def check_size(size: tuple[int, int], name: str) -> None:
    """Raise `InputError` when an image of `size` (width, height) cannot be used."""
    width, height = size
    if min(width, height) < MIN_SIDE_PX:
        raise InputError(
            f"{name} has {width} x {height} pixels; a person needs at least {MIN_SIDE_PX} of them "
            "on each side."
        )
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{name} has {width} x {height} pixels, more than {MAX_PIXELS // 1_000_000} million; "
            "make it smaller."
        )


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a directory, not an image file.")
    if not path.exists():
        raise InputError(f"{path} does not exist.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (zero bytes).")


def _decode(image: Image.Image) -> np.ndarray:
    """Decode to (height, width, 3) uint8 in the file's own orientation."""
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow would clip 16-bit grey values at 255 rather than scale them.
        grey = np.asarray(image).astype(np.int64)
        levels = 8 if grey.max(initial=0) > 255 else 0
        return np.repeat((grey >> levels).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode == "F":
        raise InputError("Images of floating-point values are not supported; save it as 8 bits.")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return np.asarray(_over_white(image.convert("RGBA")))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _over_white(image: Image.Image) -> Image.Image:
    """An RGBA image composed over white."""
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image, mask=image.getchannel("A"))
    return white


def _upright(rgb: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation (1-8); unknown values count as upright."""
    if orientation in (5, 6, 7, 8):
        rgb = rgb.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        rgb = rgb[:, ::-1]
    if orientation in (3, 4, 7, 8):
        rgb = rgb[::-1]
    return np.ascontiguousarray(rgb)


def _focal_px(focal_35mm: float, width: int, height: int) -> float | None:
    """Focal length in pixels of a 35 mm equivalent; EXIF writes 0 for unknown."""
    if not 4.0 <= focal_35mm <= 3000.0:
        return None
    return focal_35mm / DIAGONAL_35MM * math.hypot(width, height)
