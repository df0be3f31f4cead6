"""Places to write to, looked at before anything is computed or loaded.

A run of hours must not end in "permission denied". Nothing is made here: the nearest folder that
is there already has to be one, and writable.
"""

from __future__ import annotations

import os
from pathlib import Path

from kinflow.errors import InputError
from kinflow.files.reading import reason_of


def check_folder_destination(folder: Path | str) -> None:
    """Refuse a folder that can be neither written to nor made.

    Raises:
        InputError: it is a file, lies below one, its name cannot be, or nothing may be written.
    """
    folder = _real(folder)
    _check_writable(folder, folder)


def check_file_destination(path: Path | str) -> None:
    """Refuse a file that cannot be written; the folders above it may be missing.

    Raises:
        InputError: it is a folder, its folder cannot be made or written to, or it has no name.
    """
    path = _real(path)
    if path.is_dir():
        raise InputError(f"'{path}' is a folder, not a file; give the name of a file to write.")
    if path.exists() and not path.is_file():
        raise InputError(f"'{path}' is a device or a pipe, not a file; choose another name.")
    _check_writable(path.parent, path)


def _real(path: Path | str) -> Path:
    """A path that the operating system accepts, absolute only where it has to be looked up."""
    path = Path(path)
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:  # a null byte, a name that is too long, a loop of links
        raise InputError(
            f"'{path}' cannot be written ({reason_of(error)}); choose another place."
        ) from error
    return path


def _check_writable(folder: Path, wanted: Path) -> None:
    existing = folder.absolute()
    while not os.path.lexists(existing):
        existing = existing.parent
    if not existing.exists():
        raise InputError(f"'{wanted}' cannot be written: '{existing}' is a link to nowhere.")
    if not existing.is_dir():
        what = "it is" if existing == wanted.absolute() else f"'{existing}' is"
        raise InputError(
            f"'{wanted}' cannot be written to: {what} a file, not a folder; choose another place."
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(
            f"'{wanted}' cannot be written (no permission in '{existing}'); choose another place."
        )
