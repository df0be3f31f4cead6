"""Files and folders that appear complete or not at all.

Everything is written under a temporary name beside its destination and renamed at the end, so a
full disk, a crash or an interrupt leaves no half-written result behind.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kinflow.errors import InputError


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file; an existing one is replaced.

    Raises:
        InputError: the disk is full or the folder cannot be written to.
    """
    with explained(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def new_folder(folder: Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder to fill; it becomes `folder` when the block ends without an error.

    Args:
        folder: the destination; its parents are made as needed.
        overwrite: replace a folder that exists and is not empty.

    Raises:
        InputError: the destination exists, the disk is full or the place cannot be written to.
    """
    check_destination(folder, overwrite)
    with explained(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(
            tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".part")
        )
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            _move_into_place(temporary, folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def check_destination(folder: Path, overwrite: bool) -> None:
    """Refuse a destination that holds something already; call it before a long computation.

    Raises:
        InputError: `folder` is a file, or is not empty and may not be overwritten.
    """
    with explained(folder):
        if folder.is_dir():
            if not overwrite and any(folder.iterdir()):
                raise InputError(
                    f"The folder '{folder}' exists already and is not empty; choose another one or "
                    "ask to overwrite it (--overwrite)."
                )
        elif folder.exists():
            raise InputError(f"'{folder}' is a file, not a folder; choose another output folder.")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the operating system's errors about writing `path` into one clear sentence."""
    try:
        yield
    except OSError as error:
        raise InputError(_sentence(path, error)) from error


def _sentence(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full: '{path}' was not written; free some space and try again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"'{path}' cannot be written (no permission); choose another output folder."
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"'{path}' cannot be made because part of its path is a file; choose another folder."
    return f"'{path}' cannot be written ({error.strerror or error}); choose another output folder."


def _move_into_place(temporary: Path, folder: Path) -> None:
    if not folder.exists():
        temporary.replace(folder)
        return
    previous = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".old"))
    folder.replace(previous / folder.name)
    try:
        temporary.replace(folder)
    except BaseException:
        (previous / folder.name).replace(folder)
        raise
    finally:
        shutil.rmtree(previous, ignore_errors=True)


def _umask() -> int:
    """The process's file mode mask, which temporary files ignore."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
