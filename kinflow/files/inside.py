"""Names of files that a label file gives, which must not lead out of the folder they are in."""

from __future__ import annotations

from pathlib import Path

from kinflow.errors import InputError

_MAX_LETTERS = 1024


def inside(folder: Path, name: str) -> Path:
    """A file below a folder by a name with forward slashes.

    Only the name is looked at: links that the owner of the folder put there are followed.

    Raises:
        InputError: the name is empty or too long, absolute, goes up (`..`), names a drive, or has
            backslashes or control characters.
    """
    parts = name.split("/")
    odd = "\\" in name or ":" in name or not name.isprintable() or len(name) > _MAX_LETTERS
    if odd or any(part in ("", ".", "..") for part in parts):
        shown = name if len(name) <= 60 else f"{name[:60]}…"
        raise InputError(f"{shown!r} is no name of a file below '{folder}'; it is not opened.")
    return folder / name
