"""Pickles that nobody vouches for, read as plain data.

A pickle is a program that may call anything that is installed. Here its opcodes are interpreted
(`pickle_opcodes`) into strings, numbers, containers and arrays (`pickled_arrays`), and nothing that
a file names is ever imported or called. SMPL's files, pickles of Python 2 among them, need no more.

Stages: the file's size, the opcodes under a budget of memory, then one look at what came out. A
value may be shared or nested many times at the cost of a byte each, and would end whoever walks
through it later; so it is measured as if it were unfolded, and refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from kinflow.errors import InputError
from kinflow.files.dense_arrays import as_array
from kinflow.files.pickle_machine import PickleMachine
from kinflow.files.pickle_opcodes import run
from kinflow.files.pickled_arrays import UnfilledArray
from kinflow.files.pickled_names import ForeignObject
from kinflow.files.reading import guarded, read_bytes

__all__ = ["ForeignObject", "as_array", "load_plain", "parse_plain"]

MAX_PICKLE_BYTES = 550 << 20
"""SMPL-X's has 544 MB. An array of Python 2 is there three times over while it is read."""
MAX_NESTING = 100
_MAX_OWN_USES = 16
"""Of containers that hold each other: there are more ways through a few than there is time."""
_SLOT_BYTES = 8


def load_plain(path: Path | str) -> Any:
    """The content of a pickle of any protocol, of Python 2 (as latin1) or 3.

    Args:
        path: the file.

    Returns:
        strings, bytes, numbers, None, lists, tuples, dicts, sets and numpy arrays (some of them
        read-only), also as joblib writes them; arrays of objects as nested lists; objects of
        `scipy.sparse` and `chumpy` as `ForeignObject`s, which `as_array` reads. A container may
        hold itself.

    Raises:
        InputError: the file cannot be read, is no pickle, needs anything else than that, or would
            take much more memory than its size explains.
    """
    return parse_plain(read_bytes(path, MAX_PICKLE_BYTES), path)


def parse_plain(
    data: bytes,
    path: Path | str,
    elsewhere: Callable[[Any], Any] | None = None,
    further_bytes: int = 0,
) -> Any:
    """As `load_plain`, of the bytes of a file; `path` is where they came from.

    Args:
        data: the bytes.
        path: the file.
        elsewhere: gives what the pickle refers to outside of itself (see `PickleMachine`).
        further_bytes: how much of that there is.
    """
    with guarded(path, "a pickle"):
        machine = PickleMachine(data, elsewhere, further_bytes)
        try:
            value = run(machine)
            _check_unfolded(value, machine.max_bytes)
        except InputError as error:
            raise InputError(
                f"'{path}' was refused: {error} Take the file as its makers give it out, or save "
                "its arrays as .npz."
            ) from error
        return value


def _check_unfolded(root: object, max_bytes: int) -> None:
    """Refuse what is nested too deeply or, with every shared part repeated, is too large.

    A container that holds itself counts as nothing inside itself.
    """
    done: dict[int, tuple[int, int]] = {}
    """Of the containers that are measured, by id: levels below them, and bytes."""
    opened: set[int] = set()
    """Those between the root and where we are."""
    own_uses = 0
    todo = [root]
    while todo:
        value, key = todo[-1], id(todo[-1])
        if key in done:
            todo.pop()
        elif key not in opened:
            opened.add(key)
            if len(opened) > MAX_NESTING:
                raise InputError(f"it is nested more than {MAX_NESTING} levels deep.")
            nests = [child for child in _children(value) if isinstance(child, _NESTS)]
            todo += [child for child in nests if not (id(child) in done or id(child) in opened)]
            own_uses += sum(id(child) in opened for child in nests)
            if own_uses > _MAX_OWN_USES:
                raise InputError("it holds itself in too many places.")
        else:
            opened.remove(key)
            done[key] = _measure(value, done)
            levels, size = done[key]
            if levels > MAX_NESTING or size > max_bytes:
                raise InputError(
                    f"it unfolds to more than {MAX_NESTING} levels or {max_bytes / 1e6:.0f} MB."
                )
            todo.pop()


def _measure(value: object, done: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Levels and bytes of a value whose children are done."""
    levels, size = 0, _own_bytes(value)
    for child in _children(value):
        if isinstance(child, _NESTS):
            below, unfolded = done.get(id(child), (0, 0))
            levels, size = max(levels, below), size + unfolded
        else:
            size += _own_bytes(child)
    return levels + 1, size


_NESTS = (list, tuple, dict, ForeignObject)


def _children(value: object) -> Iterable[Any]:
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, dict):
        return value.values()
    return [value.state] if isinstance(value, ForeignObject) else ()


def _own_bytes(value: object) -> int:
    """Of a value without what it refers to; roughly, as far as its size can differ much."""
    if isinstance(value, UnfilledArray):
        raise InputError("it has an array without content.")
    if isinstance(value, np.ndarray):
        return value.nbytes + _SLOT_BYTES
    if isinstance(value, str | bytes | bytearray | set | frozenset):
        return len(value) + _SLOT_BYTES
    return _SLOT_BYTES
