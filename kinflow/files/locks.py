"""Locks that end with the process that holds them, however it ends.

They are advisory locks of whole files (`flock`): they need no process numbers, no clocks and no
clean-up after a kill. Some network file systems have none; a lock taken there is not `certain`, and
whoever cleans up after others has to leave everything alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_UNSUPPORTED = (errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL)


@dataclass(frozen=True)
class Lock:
    """A lock file that this process holds."""

    path: Path
    handle: int
    certain: bool
    """Whether nobody else can hold it: False where the file system knows no locks."""

    def release(self) -> None:
        """Give the lock up and remove its file."""
        # removed while it is held, so that nobody locks a file that is about to vanish unnoticed
        with contextlib.suppress(OSError):
            self.path.unlink()
        os.close(self.handle)


def try_lock(path: Path) -> Lock | None:
    """Take the lock that a file stands for, or None at once when somebody else holds it.

    Raises:
        OSError: the file cannot be made.
    """
    flags = os.O_CREAT | os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)
    flags |= getattr(os, "O_NONBLOCK", 0)  # a pipe of that name would wait for a writer, for ever
    while True:
        handle, kept = os.open(path, flags, 0o666), False
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
            locked = lock_handle(handle)
            if locked is False:
                return None
            # its last holder may have removed it between opening and locking
            if _is_still(path, handle):
                kept = True
                return Lock(path, handle, certain=bool(locked))
        finally:
            if not kept:
                os.close(handle)


def lock_handle(handle: int) -> bool | None:
    """Lock an open file until it is closed: whether that worked, None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
