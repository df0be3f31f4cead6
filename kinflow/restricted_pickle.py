"""Reads arrays out of pickles that kinflow's users own, without running what is in them.

SMPL's files are Python 2 pickles. A pickle is a program: it may name any function of any installed
package and call it. Here it may only build plain values and numpy arrays; classes of `scipy.sparse`
and `chumpy`, which such files also hold, become `ForeignObject`s that merely keep their state, so
neither package is imported. Whatever else a file names is refused before anything is called.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from kinflow.errors import InputError

# numpy moved its core in 2.0; asking an existing pickle for the functions works with both layouts
_RECONSTRUCT_ARRAY = np.empty(0).__reduce__()[0]
_MAKE_SCALAR = np.float64(0).__reduce__()[0]  # type: ignore[index]  # a tuple, whatever its stub says

_FOREIGN_PACKAGES = ("scipy.sparse", "chumpy")
_MAX_DENSE = 1 << 28
"""Entries of a sparse matrix; a small file can claim one that would not fit into memory."""


class ForeignObject:
    """State of an object whose class is not available; see `as_array`."""

    foreign_name = ""

    def __init__(self, *arguments: object) -> None:
        """Whatever the class was built from is ignored: its state follows in the pickle."""

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict):
            raise InputError(f"A '{self.foreign_name}' in the file has no readable state.")
        self.state: dict[str, Any] = state


def load_restricted(path: Path | str) -> Any:
    """Read a pickle (Python 2's too) that holds nothing but plain values and arrays.

    Raises:
        InputError: the file cannot be read, is no pickle, or names something that is not allowed.
    """
    try:
        with open(path, "rb") as stream:
            return _RestrictedUnpickler(stream, encoding="latin1").load()
    except InputError as error:
        raise InputError(f"'{path}' was refused: {error}") from error
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}.") from error
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise InputError(f"'{path}' is not a pickle, or is damaged ({error}).") from error


def as_array(value: object) -> np.ndarray:
    """The numbers of an unpickled array, sparse matrix or chumpy array as a dense array.

    Raises:
        InputError: the value is none of these.
    """
    if not isinstance(value, ForeignObject):
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise InputError(f"an array of numbers was expected, not {type(value).__name__}")
        return array
    package, kind = value.foreign_name.split(".")[0], value.foreign_name.rsplit(".", 1)[-1]
    try:
        if package == "chumpy":
            return _chumpy_array(kind, value.state)
        return _sparse_array(kind[:3], value.state)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
        raise InputError(f"a '{value.foreign_name}' in the file cannot be read") from error


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" in _ALLOWED:
            return _ALLOWED[f"{module}.{name}"]
        if any(module == p or module.startswith(p + ".") for p in _FOREIGN_PACKAGES):
            # a class of its own for each file: a pickle can write to the classes it names
            return type("Foreign", (ForeignObject,), {"foreign_name": f"{module}.{name}"})
        raise InputError(f"it names '{module}.{name}', which is not among the few things allowed.")


def _reconstruct(cls: object, base: object = object, state: object = None) -> object:
    """`copyreg._reconstructor`, which can call any class, for the classes of this module."""
    if isinstance(cls, type) and issubclass(cls, ForeignObject) and base is object:
        return cls()
    raise InputError("it rebuilds an object of a class that is not allowed.")


def _encode_latin1(text: str, encoding: str = "latin1") -> bytes:
    """`_codecs.encode` as Python 3 uses it for the bytes of a protocol-2 pickle, no other codec."""
    if encoding.lower() not in ("latin1", "latin-1", "iso-8859-1"):
        raise InputError(f"it asks for the text encoding '{encoding}'.")
    return text.encode("latin1")


def _array_of_bytes(
    data: bytes | bytearray, dtype: np.dtype, shape: tuple[int, ...], order: str
) -> np.ndarray:
    """How protocol 5 rebuilds an array; numpy itself refuses to make objects out of bytes."""
    return np.frombuffer(data, dtype).reshape(shape, order="F" if order == "F" else "C")


_ALLOWED: dict[str, Any] = {
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "numpy.core.multiarray._reconstruct": _RECONSTRUCT_ARRAY,
    "numpy._core.multiarray._reconstruct": _RECONSTRUCT_ARRAY,
    "numpy.core.multiarray.scalar": _MAKE_SCALAR,
    "numpy._core.multiarray.scalar": _MAKE_SCALAR,
    "numpy.core.numeric._frombuffer": _array_of_bytes,
    "numpy._core.numeric._frombuffer": _array_of_bytes,
    "_codecs.encode": _encode_latin1,
    "copy_reg._reconstructor": _reconstruct,
    "copyreg._reconstructor": _reconstruct,
    "__builtin__.object": object,
    "builtins.object": object,
}


def _chumpy_array(kind: str, state: dict[str, Any]) -> np.ndarray:
    """A plain array `Ch`, or a `Select`ion of entries of another one."""
    if kind == "Ch":
        return as_array(state["x"])
    if kind == "Select":
        chosen = as_array(state["a"]).ravel()[as_array(state["idxs"])]
        return chosen.reshape(tuple(state.get("preferred_shape", chosen.shape)))
    raise ValueError(kind)


def _sparse_array(layout: str, state: dict[str, Any]) -> np.ndarray:
    """Compressed columns (csc), compressed rows (csr) or coordinates (coo); repeats add up."""
    shape = tuple(int(n) for n in state["_shape"])
    data = as_array(state["data"])
    if layout == "coo":
        coordinates = state["coords"] if "coords" in state else (state["row"], state["col"])
        rows, columns = (as_array(index) for index in coordinates)
    elif layout in ("csc", "csr"):
        inner, starts = as_array(state["indices"]), as_array(state["indptr"])
        outer = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        rows, columns = (inner, outer) if layout == "csc" else (outer, inner)
    else:
        raise ValueError(layout)
    if len(shape) != 2 or np.prod(shape) > _MAX_DENSE:
        raise ValueError(f"a matrix of {shape}")
    dense = np.zeros(shape, data.dtype)
    np.add.at(dense, (rows, columns), data)
    return dense
