"""Work that is kept while it goes on: entries that only grow, and the state after the last of them.

    ledger = Ledger.open(folder, {"clip": digest})
    ledger.entries, ledger.state            # what a process before kept; none, and None
    ledger.add(entry, state)

Entries and states are files of their own that never change; a small file that lists them with their
checksums is replaced at once when both are on disk. So a kill at any moment leaves the work as it
was after some `add`. What is damaged, or was kept of another task, counts as nothing. One process
at a time may have a ledger open; callers hold a lock (`kinflow.files.folders.Claim`).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kinflow.errors import InputError
from kinflow.files.atomic import explained, write_bytes
from kinflow.files.json_files import parse_json, read_json
from kinflow.files.snapshots import Snapshot
from kinflow.files.tensor_files import checksum, read_tensors, write_tensors

FORMAT = "kinflow kept work 1"
_LIST, _SUFFIX, _TREE = "kept.json", ".safetensors", "tree"
_MOST_BYTES = 1 << 30
_MOST_LIST_BYTES = 64 << 20


@dataclass
class Ledger:
    """What is kept of one task in a folder; make it with `open`."""

    folder: Path
    key: Mapping[str, Any]
    entries: list[Snapshot] = field(default_factory=list)
    """What earlier processes added; those that this one adds are on disk only."""
    state: Snapshot | None = None
    """After the last of them; None where nothing was kept."""
    _checksums: list[str] = field(default_factory=list)
    _states: int = 0

    @staticmethod
    def open(folder: Path, key: Mapping[str, Any]) -> Ledger:
        """What is kept in a folder, which need not be there.

        Args:
            folder: a folder that nothing else is in.
            key: plain JSON that says what the work is; other work is forgotten.

        Raises:
            InputError: something is in the way that kinflow did not make.
        """
        ledger = Ledger(folder, key)
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise InputError(f"'{folder}' is in the way of work to be kept; remove it.")
        if folder.is_dir():
            # damaged, of another version or unreadable: the work begins from its beginning
            with contextlib.suppress(InputError):
                ledger._read()
            if ledger.state is None:
                ledger.forget()
        return ledger

    def add(self, entry: Snapshot | None, state: Snapshot) -> None:
        """Keep one more entry, and the state after it.

        Raises:
            InputError: it cannot be written.
        """
        with explained(self.folder):
            self.folder.mkdir(exist_ok=True)
        if entry is not None:
            self._checksums.append(_write(self._entry_path(len(self._checksums)), entry))
        before = self._state_path()
        self._states += 1
        document = {
            "format": FORMAT,
            "key": dict(self.key),
            "entries": self._checksums,
            "states": self._states,
            "state": _write(self._state_path(), state),
        }
        write_bytes(self.folder / _LIST, json.dumps(document).encode("ascii"))
        before.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove all that is kept."""
        # the list goes first: without it the rest is nothing
        with explained(self.folder):
            (self.folder / _LIST).unlink(missing_ok=True)
            for path in self.folder.glob(f"*{_SUFFIX}"):
                path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # not there, or something else is in it
                self.folder.rmdir()
        self.entries, self.state, self._checksums, self._states = [], None, [], 0

    def _entry_path(self, number: int) -> Path:
        return self.folder / f"entry-{number:06d}{_SUFFIX}"

    def _state_path(self) -> Path:
        return self.folder / f"state-{self._states:06d}{_SUFFIX}"

    def _read(self) -> None:
        document = read_json(self.folder / _LIST, _MOST_LIST_BYTES)
        match document:
            case {"format": str(), "key": key, "entries": [*sums], "states": int(), "state": str()}:
                pass
            case _:
                return
        # as JSON gives it back, tuples are lists
        if document["format"] != FORMAT or key != json.loads(json.dumps(dict(self.key))):
            return
        entries = [_read(self._entry_path(i), expected) for i, expected in enumerate(sums)]
        self._states = document["states"]
        state = _read(self._state_path(), document["state"])
        self.entries, self.state, self._checksums = entries, state, list(sums)


def _write(path: Path, snapshot: Snapshot) -> str:
    """Write a snapshot; its checksum."""
    texts = {_TREE: json.dumps(snapshot.tree)}
    write_tensors(path, snapshot.tensors, texts)
    held = {name: tensor.contiguous() for name, tensor in snapshot.tensors.items()}
    return checksum(held, texts)


def _read(path: Path, expected: str) -> Snapshot:
    texts, tensors = read_tensors(path, what="kept work", at_most=_MOST_BYTES, trusted=True)
    if checksum(tensors, texts) != expected:
        raise InputError(f"'{path}' is damaged.")
    return Snapshot(parse_json(texts.get(_TREE, ""), path), tensors)
