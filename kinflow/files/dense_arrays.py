"""Numbers out of what `plain_pickle` reads: lists, sparse matrices and chumpy arrays as arrays.

A sparse matrix or a selection of few bytes can stand for a dense array of any size, and its indices
can be anything: sizes are bounded and every index is checked before one is used.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kinflow.errors import InputError
from kinflow.files.pickled_names import ForeignObject

MAX_DENSE_ENTRIES = 1 << 23
"""Of an array that is larger than what it is made of; SMPL's largest has 6.2 million."""
_MAX_LIST_ENTRIES = 1 << 20
_MAX_LIST_AXES = 4
_MAX_SELECTIONS = 8


def as_array(value: object) -> np.ndarray:
    """The numbers of an array, number, list of numbers, sparse matrix or chumpy array.

    Args:
        value: something out of `load_plain`.

    Returns:
        a dense array of whole numbers, floats or truth values; it may be read-only.

    Raises:
        InputError: the value is none of these, or its parts do not fit together.
    """
    if isinstance(value, ForeignObject):
        try:
            return _dense(value, _MAX_SELECTIONS)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            shown = ascii(value.foreign_name)[1:-1][:80]
            raise InputError(f"a '{shown}' in the file cannot be read ({error})") from error
    return _numbers(value, "an array of numbers was expected, not")


def _numbers(value: object, sentence: str = "numbers were expected, not") -> np.ndarray:
    """An array, a number or a list of numbers as an array."""
    kind = type(value).__name__
    if isinstance(value, list | tuple):
        value = _array_of_list(value)
    elif isinstance(value, bool | int | float):
        value = np.asarray(value)
    if not isinstance(value, np.ndarray | np.generic) or value.dtype.kind not in "biuf":
        raise InputError(f"{sentence} {kind}")
    return np.asarray(value)


def _array_of_list(value: Any) -> np.ndarray | None:
    """A regular list in lists of Python numbers; None if it is something else.

    Whether it is regular is looked at level by level, of which numpy is shown no more than it has
    to see: a list may hold itself, or the same one a million times.
    """
    shape: list[int] = []
    level: list[Any] = [value]
    while level and all(isinstance(items, list | tuple) for items in level):
        widths = {len(items) for items in level}
        if len(widths) > 1 or len(shape) == _MAX_LIST_AXES:
            return None
        shape.append(widths.pop())
        if math.prod(shape) > _MAX_LIST_ENTRIES:
            raise InputError(f"a list of more than {_MAX_LIST_ENTRIES} numbers")
        level = [item for items in level for item in items]
    kinds = {type(item) for item in level}
    if not kinds <= {bool, int, float}:
        return None
    if any(type(item) is int and not -(2**63) <= item < 2**63 for item in level):
        raise InputError("a whole number beyond 64 bits")
    return np.array(level).reshape(shape)


def _dense(value: ForeignObject, selections_left: int) -> np.ndarray:
    package, kind = value.foreign_name.split(".")[0], value.foreign_name.rsplit(".", 1)[-1]
    if package == "scipy":
        return _sparse_array(kind[:3], value.state)
    if kind == "Ch":
        return _inner(value.state["x"], selections_left)
    if kind == "Select":
        return _selected(value.state, selections_left)
    raise ValueError("of a kind that is not known")


def _inner(value: object, selections_left: int) -> np.ndarray:
    """What a chumpy array is made of, which may be another one."""
    if isinstance(value, ForeignObject):
        if selections_left == 0:
            raise ValueError("it is made of too many others")
        return _dense(value, selections_left - 1)
    return _numbers(value)


def _selected(state: dict[str, Any], selections_left: int) -> np.ndarray:
    """Entries of another array by their place in it as if it were flat."""
    chosen = _indices(state["idxs"])
    flat = _inner(state["a"], selections_left).ravel()
    shape = _shape(state.get("preferred_shape", chosen.shape))
    if chosen.size > MAX_DENSE_ENTRIES:
        raise ValueError(f"{chosen.size} entries")
    _check_range(chosen, -len(flat), len(flat))
    return flat[chosen].reshape(shape)


def _sparse_array(layout: str, state: dict[str, Any]) -> np.ndarray:
    """Compressed columns (csc), compressed rows (csr) or coordinates (coo); repeats add up."""
    shape = _shape(state["_shape"] if "_shape" in state else state["shape"])
    data = _numbers(state["data"])
    if len(shape) != 2 or data.ndim != 1:
        raise ValueError("it is no matrix")
    if math.prod(shape) > MAX_DENSE_ENTRIES:
        raise ValueError(f"a matrix of {shape}")
    if layout == "coo":
        coordinates = state["coords"] if "coords" in state else (state["row"], state["col"])
        rows, columns = (_indices(index) for index in coordinates)
    elif layout in ("csc", "csr"):
        inner, starts = _indices(state["indices"]), _indices(state["indptr"])
        outer = _expanded(starts, shape[1] if layout == "csc" else shape[0], len(inner))
        # what is stored beyond the last start is not part of the matrix
        inner, data = inner[: len(outer)], data[: len(outer)]
        rows, columns = (inner, outer) if layout == "csc" else (outer, inner)
    else:
        raise ValueError("of a layout that is not known")
    if not rows.shape == columns.shape == data.shape:
        raise ValueError("its parts differ in length")
    _check_range(rows, 0, shape[0])
    _check_range(columns, 0, shape[1])
    dense = np.zeros(shape, data.dtype)
    np.add.at(dense, (rows, columns), data)
    return dense


def _expanded(starts: np.ndarray, count: int, stored: int) -> np.ndarray:
    """Number of the row (or column) of each entry, from where each of `count` of them starts."""
    if len(starts) != count + 1 or starts[0] != 0 or starts[-1] > stored:
        raise ValueError("its parts do not begin and end where its entries do")
    lengths = np.diff(starts)
    if (lengths < 0).any():
        raise ValueError("its parts are not in order")
    return np.repeat(np.arange(count), lengths)


def _indices(value: object) -> np.ndarray:
    """One row of whole numbers, as int64."""
    array = _numbers(value)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError("its indices are no whole numbers")
    return array.astype(np.int64)


def _check_range(indices: np.ndarray, first: int, end: int) -> None:
    if len(indices) and not (first <= indices.min() and indices.max() < end):
        raise ValueError("an index beyond its size")


def _shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple | list) or len(shape) > _MAX_LIST_AXES:
        raise ValueError("its shape is none")
    if not all(isinstance(n, int | np.integer) and 0 <= n < 2**31 for n in shape):
        raise ValueError("its shape is none")
    return tuple(int(n) for n in shape)
