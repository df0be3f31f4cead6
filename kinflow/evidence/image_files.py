"""Image files of every common kind, known by their content and not by their names.

Headers are checked before pixels are decoded, so a decompression bomb costs nothing, and each kind
has a limit of its own: decoders of some keep several copies of the picture. Readers of HEIC are a
plugin of Pillow's that is registered when the first such file appears.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from PIL import Image, UnidentifiedImageError, features
from typing_extensions import assert_never

from kinflow.errors import InputError
from kinflow.files.reading import check_file, reason_of
from kinflow.threads import without_warnings

MAX_PIXELS = 150_000_000
# Pillow opens MPO (several JPEGs in one file) as JPEG.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "JPEG2000")
MAX_PIXELS_OF_FORMAT = {
    "WEBP": 80_000_000,
    "JPEG2000": 50_000_000,
    "AVIF": 100_000_000,
    "HEIF": 100_000_000,
}
"""Fewer for kinds whose decoders need more than some 8 bytes a pixel."""
LOSSY_FORMATS = frozenset({"JPEG", "MPO", "JPEG2000", "AVIF", "HEIF"})

IMAGE_SUFFIXES = frozenset(
    f".{ending}"
    for endings in (
        ("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "webp", "bmp", "dib", "tif", "tiff", "gif"),
        ("jp2", "j2k", "jpx", "avif", "heic", "heif", "hif"),
    )
    for ending in endings
)
"""How names of image files end, in lower case."""
RAW_SUFFIXES = frozenset(
    f".{ending}"
    for endings in (
        ("dng", "nef", "nrw", "cr2", "cr3", "crw", "arw", "sr2", "orf", "rw2", "raf", "pef"),
        ("srw", "raw", "3fr", "iiq", "x3f"),
    )
    for ending in endings
)
"""Raw photos, many of which are TIFF files of a thumbnail to whoever does not know better."""

HEIF_PLUGINS = ("pi_heif", "pillow_heif")
_INSTALL_HEIF = "pip install 'kinflow[heif]'"
_INSTALL_AVIF = "pip install --upgrade pillow"

BoxKind = Literal["heif", "avif", "video"]
"""Files that are boxes of ISO's base media format."""
_BRANDS_OF_HEIF = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1"})
_BRANDS_OF_AVIF = frozenset({b"avif", b"avis"})
_SNIFFED_BYTES = 64
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ")


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image whose header has been read; decode it inside.

    Args:
        path: the file.

    Raises:
        InputError: there is no such file, it is no image of a known kind, it has too many pixels,
            or whatever is done inside finds it damaged.
    """
    check_file(path)
    formats = _formats(path)
    # Our own limit on the number of pixels replaces Pillow's warning; its remarks about odd
    # metadata are of no use to anybody here.
    with without_warnings(), _readable(path), Image.open(path, formats=formats) as image:
        check_pixels(image.size, str(path), image.format)
        yield image


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What decoders make of a damaged file, as one sentence."""
    try:
        yield
    except InputError:
        raise
    except UnidentifiedImageError:
        if begins_like_an_image(path):
            raise InputError(
                f"{path} is damaged or incomplete (its header), or of a rare kind; "
                "save it as JPEG or PNG."
            ) from None
        raise InputError(
            f"{path} is not an image that can be read (JPEG, PNG, WebP, BMP, TIFF, GIF, JPEG 2000, "
            "AVIF or HEIC); convert it to one of these."
        ) from None
    except Image.DecompressionBombError:
        raise InputError(f"{path} has too many pixels; make it smaller.") from None
    except MemoryError:
        raise InputError(f"{path} asks for more memory than there is; make it smaller.") from None
    except Exception as error:  # each decoder has its own, from struct, zlib and the plugins
        raise InputError(f"{path} is damaged or incomplete ({reason_of(error)}).") from error


def check_pixels(size: tuple[int, int], name: str, format: str | None = None) -> None:
    """Raise `InputError` when an image of `size` (width, height) is too large to be decoded."""
    limit = MAX_PIXELS_OF_FORMAT.get(format or "", MAX_PIXELS)
    width, height = size
    if width * height > limit:
        kind = "" if limit == MAX_PIXELS else f" that a {format} file may have here"
        raise InputError(
            f"{name} has {width} x {height} pixels, more than the {limit // 1_000_000} million"
            f"{kind}; make it smaller."
        )


def missing_reader(path: Path) -> str | None:
    """What to install to read this file, None if it needs nothing more.

    The file's first bytes tell, or its name if it cannot be opened.
    """
    kind = box_kind(path) or {".heic": "heif", ".heif": "heif", ".hif": "heif"}.get(
        path.suffix.lower()
    )
    if kind == "heif" and not _register_heif():
        return _INSTALL_HEIF
    if kind == "avif" and not has_avif():
        return _INSTALL_AVIF
    return None


def box_kind(path: Path) -> BoxKind | None:
    """Which of the kinds that begin with a box of brands a file is of, None for all others."""
    head = _head(path)
    if head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[i : i + 4] for i in range(16, end - 3, 4))}
    if brands & _BRANDS_OF_AVIF:
        return "avif"
    return "heif" if brands & _BRANDS_OF_HEIF else "video"


def begins_like_an_image(path: Path) -> bool:
    """Whether a file has the first bytes of some kind of image."""
    head = _head(path)
    return head.startswith(_MAGIC) or head[4:8] == b"ftyp" or head[8:12] == b"WEBP"


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(_SNIFFED_BYTES)
    except OSError:
        return b""


def has_avif() -> bool:
    """Whether Pillow reads AVIF, as it does from 11.3 on."""
    with without_warnings():  # older versions do not know what is asked for
        return bool(features.check("avif"))


def _formats(path: Path) -> tuple[str, ...]:
    """What to try, so that plugins for rare kinds are loaded for these only.

    Raises:
        InputError: it only looks like an image, or something has to be installed first.
    """
    if path.suffix.lower() in RAW_SUFFIXES:
        raise InputError(f"{path} is a raw photo; export it as JPEG or TIFF.")
    kind = box_kind(path)
    if kind is None:
        return FORMATS
    if kind == "video":
        raise InputError(
            f"{path} is a video, not a photo; `kinflow reconstruct` and `Pipeline` take videos."
        )
    command = missing_reader(path)
    if command is None:
        return (kind.upper(),)
    if kind == "heif":
        raise InputError(
            f"{path} is a HEIC image, which needs a plugin: {command}, or convert it to JPEG."
        )
    if kind == "avif":
        raise InputError(
            f"{path} is an AVIF image, which needs a newer Pillow: {command}, or convert it to "
            "JPEG."
        )
    assert_never(kind)


def _register_heif() -> bool:
    """Teach Pillow to read HEIC, if a plugin for that is installed."""
    if "HEIF" in Image.OPEN:
        return True
    for name in HEIF_PLUGINS:
        try:
            importlib.import_module(name).register_heif_opener()
        except (ImportError, AttributeError):
            continue
        # a plugin that takes itself for installed but registers nothing is as good as none
        return "HEIF" in Image.OPEN
    return False
