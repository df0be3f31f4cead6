# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: 2026 the kinflow authors
"""Finds the photo or clip behind a result, and turns photos upright as kinflow saw them.

Blender loads photos as they are stored and ignores how EXIF says that they are held. Photos that
are gone, or of kinds that Blender does not read, are also in `viewer.html`, upright and reduced.
"""

import base64
import re
import struct
from pathlib import Path

import numpy as np

from .result import same_file

IMAGES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".jp2")
"""Photos that Blender reads."""
_ABOVE = 3
"""Folders above the result in which a source that was given by a relative path is looked for."""
_ORIENTATION = 0x0112
_SHORT = 3


def find_source(result):
    """The photo or clip that a result was made of: where it was, or by its name near the folder.

    Returns:
        Its path and whether it is the same as then; None and False where it is not found. Of
        numbered images the path is that of the first.
    """
    changed = None
    for path in _candidates(result):
        if _is_sequence(path):
            first = _first_of_sequence(path)
            if first is not None:
                return first, True
        elif path.is_file():
            if same_file(path, result.source_sha256):
                return path, True
            changed = changed or path
    return changed, False


def _candidates(result):
    folder = result.folder.resolve()
    name = re.split(r"[/\\]", result.source)[-1]
    above = [folder, *folder.parents[:_ABOVE]]
    if result.source:
        yield Path(result.source)
        yield from (place / result.source for place in above)
    if name:
        yield from (place / name for place in above)


def _is_sequence(path):
    return "%" in path.name or path.is_dir()


def _first_of_sequence(path):
    if path.is_dir():
        pictures = [p for p in path.iterdir() if p.suffix.lower() in IMAGES]
    else:
        name = re.sub(r"%0?\d*d", "*", path.name)
        pictures = list(path.parent.glob(name)) if "*" in name else []
    return min(pictures, default=None)


def orientation(data):
    """How EXIF says that a JPEG is held: 1 (upright) to 8; 1 where it says nothing.

    Args:
        data: the beginning of the file.
    """
    at = 2
    if data[:2] != b"\xff\xd8":
        return 1
    while at + 4 <= len(data) and data[at] == 0xFF:
        kind, size = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        body = data[at + 4 : at + 2 + size]
        if kind == 0xE1 and body[:6] == b"Exif\0\0":
            try:
                return _tiff_orientation(body[6:])
            except struct.error:
                return 1
        at += 2 + max(size, 2)
    return 1


def _tiff_orientation(tiff):
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    (at,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, at)
    for entry in range(count):
        tag, kind = struct.unpack_from(order + "HH", tiff, at + 2 + 12 * entry)
        if tag == _ORIENTATION and kind == _SHORT:
            (value,) = struct.unpack_from(order + "H", tiff, at + 10 + 12 * entry)
            return value if 1 <= value <= 8 else 1
    return 1


def upright(pixels, held):
    """A picture turned as EXIF asks for.

    Args:
        pixels: (height, width, channels), the top row first.
        held: the orientation, 1 to 8.
    """
    if held in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if held in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if held in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def photo_of_viewer(folder):
    """The upright photo inside `viewer.html`, as a JPEG file; None where there is none."""
    try:
        page = (Path(folder) / "viewer.html").read_text(encoding="utf8")
    except (OSError, ValueError):
        return None
    found = re.search(r'"photo": ?"data:image/jpeg;base64,([A-Za-z0-9+/=]+)"', page)
    return base64.b64decode(found[1]) if found else None
