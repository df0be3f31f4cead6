"""Files that appear complete or not at all.

A file is written under a temporary name beside its destination, flushed to disk and renamed at the
end, so a full disk, a crash or an interrupt leaves no half-written file behind. The temporary file
is locked while its writer lives: what a killed process left is what nobody holds, and the next
write into that folder removes it. Folders are `kinflow.files.folders`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kinflow.errors import InputError
from kinflow.files.locks import lock_handle

PREFIX = ".kinflow-"
"""How every temporary name begins; not the destination's own name, which may be as long as names
can be."""

_LITTER = re.compile(re.escape(PREFIX) + r"[0-9a-f]{16}\.(?:tmp|webm|mp4)")
_swept: set[Path] = set()
"""Folders in which this process has looked for litter; some hold 100,000 files."""


class PendingFile:
    """A file under its temporary name, which becomes `path` when the block ends without an error.

    Whoever fills it may write to `handle`, or open `temporary` by name, as encoders of video do.

    Args:
        path: the destination; an existing file is replaced.
        suffix: what the temporary name ends in: `.tmp`, or that of a video.

    Raises:
        InputError: `path` is a folder or a device.
        OSError: nothing can be written there; callers explain it (`explained`).
    """

    def __init__(self, path: Path, suffix: str = ".tmp") -> None:
        _check_replaceable(path)
        _sweep_once(path.parent)
        self.path = path
        self.handle, self.temporary = _temporary_file(path.parent, suffix)

    def finish(self) -> None:
        """Flush it to disk and give it its name."""
        try:
            os.fsync(self.handle)
            if os.name == "nt":  # there an open file cannot be renamed
                self._close()
            # renamed before it is closed: the lock ends with the handle
            self.temporary.replace(self.path)
            sync_folder(self.path.parent)
        except BaseException:
            self.discard()
            raise
        self._close()

    def discard(self) -> None:
        """Leave nothing behind."""
        self.temporary.unlink(missing_ok=True)
        self._close()

    def _close(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1

    def __enter__(self) -> PendingFile:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.finish()
        else:
            self.discard()


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write a whole file; an existing one is replaced.

    Raises:
        InputError: the disk is full, the folder cannot be written to, or `path` is a folder or a
            device.
    """
    path = Path(path)
    with (
        explained(path),
        PendingFile(path) as pending,
        open(pending.handle, "wb", closefd=False) as f,
    ):
        f.write(data)


def remove_file_litter(folder: Path) -> None:
    """Remove temporary files that killed processes left in a folder; those of live ones stay."""
    # whatever cannot be listed or removed is somebody else's, and no reason to stop
    entries: list[os.DirEntry[str]] = []
    with contextlib.suppress(OSError):
        entries = list(os.scandir(folder))
    for entry in entries:
        with contextlib.suppress(OSError):
            if _LITTER.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _remove_unless_locked(Path(entry.path))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the operating system's errors about writing `path` into one clear sentence."""
    try:
        yield
    except OSError as error:
        raise InputError(_sentence(path, error)) from error


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk; a file system that cannot do that is left alone."""
    with contextlib.suppress(OSError):
        sync(folder)


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to disk."""
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sentence(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full: '{path}' was not written; free some space and try again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"'{path}' cannot be written (no permission); choose another output folder."
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"'{path}' cannot be made because part of its path is a file; choose another folder."
    return f"'{path}' cannot be written ({error.strerror or error}); choose another output folder."


def _check_replaceable(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISDIR(mode):
        raise InputError(f"'{path}' is a folder; give the name of a file to write.")
    if not stat.S_ISREG(mode):
        # renaming a file over /dev/null would replace the device itself
        raise InputError(f"'{path}' is a device or a pipe, not a file; choose another file.")


def _temporary_file(folder: Path, suffix: str) -> tuple[int, Path]:
    """A new locked file, with the permissions that the user's mask gives."""
    while True:
        path = folder / f"{PREFIX}{secrets.token_hex(8)}{suffix}"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
        handle = os.open(path, flags, 0o666)
        lock_handle(handle)
        if os.fstat(handle).st_nlink:
            return handle, path
        os.close(handle)  # taken for litter before it was locked


def _sweep_once(folder: Path) -> None:
    folder = folder.absolute()
    if folder not in _swept:
        _swept.add(folder)
        remove_file_litter(folder)


def _remove_unless_locked(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        if lock_handle(handle):
            path.unlink(missing_ok=True)
    finally:
        os.close(handle)
