"""What a photo's EXIF says about its orientation and lens, as far as that can be trusted.

Cameras, editors and converters write these two numbers as integers, rationals, strings, bytes or
not at all, and whole blocks get damaged on the way. None of that is a reason to lose the photo.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from PIL import Image

ORIENTATION = 0x0112
EXIF_IFD = 0x8769
FOCAL_35MM = 0xA405
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?")


@dataclass(frozen=True)
class CameraTags:
    """The tags that matter here."""

    orientation: int = 1
    """1 to 8; 1 is upright."""
    focal_35mm: float | None = None
    """Focal length in millimetres of the lens that sees as much on 35 mm film."""


def camera_tags(image: Image.Image) -> CameraTags:
    """The tags of an image; what is missing or makes no sense is left out."""
    try:
        exif = image.getexif()
        orientation = exif.get(ORIENTATION)
    except Exception:  # whatever Pillow's parser raises on a damaged block, the pixels are fine
        return CameraTags()
    try:
        focal = exif.get_ifd(EXIF_IFD).get(FOCAL_35MM)
    except Exception:  # as above; the two blocks are damaged independently
        focal = None
    return CameraTags(_orientation(orientation), _focal_35mm(focal))


def _orientation(value: Any) -> int:
    numbers = _numbers(value)
    if isinstance(value, bytes) and not numbers and len(value) in (1, 2, 4):
        numbers = [float(int.from_bytes(value, order)) for order in ("big", "little")]
    turns = [number for number in numbers if number in range(1, 9)]
    return int(turns[0]) if turns else 1


def _focal_35mm(value: Any) -> float | None:
    """A length that lenses have; EXIF writes 0 for unknown."""
    lengths = [number for number in _numbers(value) if 4.0 <= number <= 3000.0]
    return lengths[0] if lengths else None


def _numbers(value: Any) -> list[float]:
    """The numbers that a tag's value may stand for, the likeliest first."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "ignore")
    if isinstance(value, str):
        match = _NUMBER.search(value[:100])
        return [float(match.group())] if match else []
    if isinstance(value, tuple | list):
        if len(value) == 2:  # a rational as some write it
            above, below = (_numbers(v)[:1] for v in value)
            if above and below and below[0]:
                return [above[0] / below[0]]
        return _numbers(value[0]) if len(value) == 1 else []
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return []
    return [number] if math.isfinite(number) else []
