"""Result folders that appear complete or not at all, and give way only to their own kind.

A folder is claimed by a lock file beside it, filled in a working folder beside it, flushed to disk
and then put under its name: by one rename, or, where there is an earlier one, by an exchange of the
two. So at every instant the old or the new one is there. What was replaced is emptied of the files
that its marker lists; whatever else lies in it is somebody's own and moves into the new folder.

The working places of a folder `name` carry a digest of that name, which may be as long as names can
be:

- `.kinflow-<digest>.lock`: held by the process that works on it;
- `.kinflow-<digest>.part/<name>`: the unfinished folder, after the exchange the replaced one;
- `.kinflow-<digest>.old/<name>`: the replaced one where there is no exchange and two renames have
  to do;
- `.kinflow-<digest>.kept`: what its maker wants to find again if it is stopped before the end
  (`ledger.py`); only the maker removes it.

A process that is killed leaves them behind, but not its lock: whoever takes that lock next finishes
what was begun (`_recover`).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kinflow.errors import InputError
from kinflow.files.atomic import PREFIX, explained, remove_file_litter, sync, sync_folder
from kinflow.files.exchange import exchange
from kinflow.files.locks import Lock, try_lock
from kinflow.files.marker import MARKER_NAME, Marker
from kinflow.files.names import folded

_WORK = re.compile(re.escape(PREFIX) + r"([0-9a-f]{16})\.(?:lock|part|old)")
_POLL_S = 0.05
_IN_THE_WAY = (errno.EISDIR, errno.ELOOP, errno.EEXIST, errno.ENXIO)
"""Of opening a lock: a folder, a link, a pipe or a socket has its name."""


@dataclass(frozen=True)
class Claim:
    """The right to make one result folder, held until `release` or the end of the process."""

    folder: Path
    lock: Lock

    @staticmethod
    def take(folder: Path, patience_s: float = 0.0) -> Claim | None:
        """Claim a folder, or None when another process, or thread, still works on it.

        The folder it lies in is made as needed; what a killed process left of it is put in order.

        Args:
            folder: the result folder.
            patience_s: how long to wait for somebody else to finish.

        Raises:
            InputError: the place cannot be written to.
        """
        deadline = time.monotonic() + patience_s
        with explained(folder):
            folder = _located(folder)
            key = _key(folder.name)
            while (lock := _lock(folder.parent, key)) is None:
                if time.monotonic() >= deadline:
                    return None
                time.sleep(_POLL_S)
            try:
                _recover(folder.parent, key)
            except BaseException:
                lock.release()
                raise
            return Claim(folder, lock)

    @property
    def kept(self) -> Path:
        """A folder beside it for work that the next holder of the claim may go on with."""
        return kept_of(self.folder)

    def release(self) -> None:
        """Let others have the folder."""
        self.lock.release()

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def kept_of(folder: Path) -> Path:
    """Where work on a result folder is kept (`Claim.kept`)."""
    folder = _located(folder)
    return _work(folder.parent, _key(folder.name), "kept")


@contextmanager
def new_folder(
    folder: Path, marker: Marker, overwrite: bool = False, claim: Claim | None = None
) -> Iterator[Path]:
    """A temporary folder to fill; it becomes `folder` when the block ends without an error.

    Args:
        folder: the destination; its parents are made as needed.
        marker: what will be in it.
        overwrite: replace a folder that kinflow made.
        claim: the claim of `folder` if the caller has it already.

    Raises:
        InputError: something is in the way (`check_destination`), another process works on it, the
            disk is full or the place cannot be written to; nothing is left behind then.
    """
    check_destination(folder, marker.files, overwrite)
    if claim is not None:
        with _filled(claim, marker, overwrite) as temporary:
            yield temporary
        return
    taken = Claim.take(folder)
    if taken is None:
        raise InputError(f"Another kinflow is working on '{folder}'; wait until it is done.")
    with taken, _filled(taken, marker, overwrite) as temporary:
        yield temporary


def check_destination(folder: Path, files: tuple[str, ...], overwrite: bool) -> None:
    """Refuse a destination that holds something already; call it before a long computation.

    Args:
        folder: the result folder.
        files: names of what will be written into it.
        overwrite: whether a folder that kinflow made may be replaced.

    Raises:
        InputError: `folder` is a file, a link or a folder that kinflow did not make, or one that it
            made and may not replace.
    """
    with explained(folder):
        if folder.is_symlink():
            raise InputError(
                f"'{folder}' is a link, and kinflow does not replace what it leads to; remove the "
                "link or choose another output folder."
            )
        if not folder.exists():
            return
        if not folder.is_dir():
            raise InputError(f"'{folder}' is a file, not a folder; choose another output folder.")
        names = {entry.name for entry in folder.iterdir()}
        if not names:
            return
        marker = Marker.read(folder)
        if marker is None:
            raise InputError(
                f"The folder '{folder}' is there already, is not empty, and was not made by "
                "kinflow, which leaves it alone, asked to overwrite or not; choose another output "
                "folder.",
                {"overwrite": "overwrite"},
            )
        if not overwrite:
            raise InputError(
                f"The folder '{folder}' exists already and is not empty; choose another one or "
                "ask to overwrite it.",
                {"overwrite it": "overwrite"},
            )
        if own := sorted(names.difference(marker.files, [MARKER_NAME]).intersection(files)):
            raise InputError(
                f"'{folder / own[0]}' was not made by kinflow and would be replaced; move it away."
            )


def remove_litter(parent: Path) -> None:
    """Put in order what killed processes left in an output folder; what live ones use stays."""
    remove_file_litter(parent)
    keys: set[str] = set()
    # whatever cannot be listed or removed is somebody else's, and no reason to stop
    with contextlib.suppress(OSError):
        keys = {found[1] for name in os.listdir(parent) if (found := _WORK.fullmatch(name))}
    for key in sorted(keys):
        with contextlib.suppress(OSError, InputError):
            lock = _lock(parent, key)
            if lock is not None:
                try:
                    if lock.certain:
                        _recover(parent, key)
                finally:
                    lock.release()


@contextmanager
def _filled(claim: Claim, marker: Marker, overwrite: bool) -> Iterator[Path]:
    folder = claim.folder
    with explained(folder):
        work = _work(folder.parent, _key(folder.name), "part")
        new = work / folder.name
        try:
            try:
                work.mkdir()
            except FileExistsError as error:
                raise _in_the_way(work) from error
            new.mkdir()
            marker.write(new)
            yield new
            # again: much may have happened since the work began
            check_destination(folder, marker.files, overwrite)
            _sync_all(new)
            _publish(new, folder)
        finally:
            _recover(folder.parent, _key(folder.name))


def _sync_all(folder: Path) -> None:
    """Flush a folder to disk; file systems write several files at once as fast as one."""
    files = list(folder.iterdir())
    with ThreadPoolExecutor(len(files)) as threads:
        list(threads.map(sync, files))
    sync_folder(folder)


def _publish(new: Path, folder: Path) -> None:
    """Put a finished folder under its name; what was there is in its place, or in `.old`, then."""
    if folder.exists() and any(folder.iterdir()):
        if not exchange(new, folder):
            _replace_in_two_steps(new, folder)
        return
    if os.name == "nt" and folder.exists():
        folder.rmdir()
    new.rename(folder)
    sync_folder(folder.parent)


def _replace_in_two_steps(new: Path, folder: Path) -> None:
    old = _work(folder.parent, _key(folder.name), "old") / folder.name
    old.parent.mkdir()
    folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        old.rename(folder)
        raise


def _recover(parent: Path, key: str) -> None:
    """Finish what was begun on one folder; the caller holds its lock.

    What was moved out of the way is put back if nothing took its place, then everything that
    kinflow made in the working places is deleted.
    """
    for kind in ("old", "part"):
        work = _work(parent, key, kind)
        if work.is_symlink() or not work.is_dir():
            continue
        for child in list(work.iterdir()):
            folder = parent / child.name
            if kind == "old" and not os.path.lexists(folder):
                child.rename(folder)
                sync_folder(parent)
            else:
                _retire(child, folder)
        with contextlib.suppress(OSError):  # not empty: not ours
            work.rmdir()


def _retire(child: Path, folder: Path) -> None:
    """Delete what kinflow made in a replaced or unfinished folder; the rest moves to `folder`."""
    if child.is_symlink() or not child.is_dir():
        return
    marker = Marker.read(child)
    entries = {entry.name: entry.is_dir(follow_symlinks=False) for entry in os.scandir(child)}
    ours = {MARKER_NAME, *(marker.files if marker else ())}
    ours = {name for name, is_folder in entries.items() if name in ours and not is_folder}
    others = sorted(set(entries) - ours)
    if others and not os.path.lexists(folder):
        child.rename(folder)
        return
    for name in others:
        (child / name).rename(_unused(folder, name))
    sync_folder(folder.parent)
    # the marker goes last: a kill in between leaves a folder that still says what it is
    for name in sorted(ours, key=MARKER_NAME.__eq__):
        (child / name).unlink()
    child.rmdir()


def _unused(folder: Path, name: str) -> Path:
    """A path in a folder that is not taken, which `name` hardly ever is."""
    path, number = folder / name, 1
    while os.path.lexists(path):
        number += 1
        path = folder / f"{Path(name).stem}_{number}{Path(name).suffix}"
    return path


def _lock(parent: Path, key: str) -> Lock | None:
    path = _work(parent, key, "lock")
    while True:
        parent.mkdir(parents=True, exist_ok=True)
        try:
            return try_lock(path)
        except FileNotFoundError:
            if not parent.is_dir():  # removed between the two lines, by another that is done
                continue
            raise
        except OSError as error:
            if error.errno in _IN_THE_WAY:
                raise _in_the_way(path) from error
            raise


def _in_the_way(path: Path) -> InputError:
    return InputError(
        f"'{path}' is in the way of a place that kinflow works in, and was not made by it; remove "
        "it or choose another output folder."
    )


def _located(folder: Path) -> Path:
    """The folder by a path that ends in its own name."""
    folder = folder.absolute()
    if folder.name in ("", ".", ".."):
        folder = folder.resolve()
    if not folder.name:
        raise InputError(f"'{folder}' cannot be a result folder; choose another.")
    return folder


def _work(parent: Path, key: str, kind: str) -> Path:
    return parent / f"{PREFIX}{key}.{kind}"


def _key(name: str) -> str:
    """A digest of a folder's name; one for names that some file systems take for the same."""
    plain = folded(name).encode("utf8", "surrogateescape")
    return hashlib.sha256(plain).hexdigest()[:16]
