"""What the user named, turned into a list of photo files and of folders for their results."""

from __future__ import annotations

import glob
from pathlib import Path

from kinflow.errors import InputError
from kinflow.files.atomic import check_writable
from kinflow.files.names import folder_names

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})


def find_photos(names: tuple[str, ...]) -> list[Path]:
    """Files for paths, folders (not recursive) and glob patterns, in order, each once.

    A path that does not exist is kept, so that it is reported with the others.

    Raises:
        InputError: a folder or pattern holds no photos, or nothing was named.
    """
    photos: dict[Path, None] = {}
    for name in names:
        for path in _expand(name):
            photos.setdefault(path)
    if not photos:
        raise InputError("No photos were named; give files, folders or patterns such as '*.jpg'.")
    return list(photos)


def _expand(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        found = sorted(
            p for p in path.iterdir() if p.suffix.lower() in PHOTO_SUFFIXES and p.is_file()
        )
        if not found:
            raise InputError(f"The folder '{name}' holds no photos (JPEG, PNG, WebP, BMP, TIFF).")
        return found
    if path.exists() or not glob.has_magic(name):
        return [path]
    found = sorted(Path(p) for p in glob.glob(name, recursive=True) if Path(p).is_file())
    if not found:
        raise InputError(f"The pattern '{name}' matches no file.")
    return found


def result_folders(photos: list[Path], out: Path) -> list[Path]:
    """One folder a photo in `out`, named like it as far as that is safe (`folder_name`); photos of
    the same name get numbers."""
    return [out / name for name in folder_names([photo.stem for photo in photos])]


def check_output(out: Path) -> None:
    """Refuse an output folder that cannot be written to before any work is done.

    Raises:
        InputError: `out`, or the folder it would be made in, is a file or write-protected.
    """
    check_writable(out)
