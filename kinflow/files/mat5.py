"""MATLAB's MAT files of version 5 to 7, from anybody.

scipy's reader trusts the sizes that a file states and may crash the process on a damaged one, so
this one checks each against the bytes that are there. It follows MathWorks' "MAT-File Format",
version 5: tagged elements, some of them deflated, with matrices of numbers, text, cells and structs
inside. What it gives is what `scipy.io.loadmat` gives; objects, functions and sparse matrices are
None.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kinflow.errors import InputError
from kinflow.files.reading import guarded, read_bytes

MAX_MAT_BYTES = 1 << 30
_MAX_UNPACKED = 2 << 30
_HEADER = 128
_HDF5 = b"\x89HDF"
_MATRIX, _DEFLATED = 14, 15
_INT8, _INT32, _UINT32 = 1, 5, 6
_STORED = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4"},
    **{7: "f4", 9: "f8", 12: "i8", 13: "u8"},
}
"""How numbers lie in the file, by the type of their element."""
_TEXT = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCT, _CHAR = 1, 2, 4
_CLASSES = {
    **{6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2"},
    **{12: "i4", 13: "u4", 14: "i8", 15: "u8"},
}
"""What numbers are, by the class of their matrix."""
_COMPLEX = 0x08
_TAG = {order: struct.Struct(f"{order}II") for order in "<>"}
_TWO_AXES = {order: struct.Struct(f"{order}6I2i") for order in "<>"}
"""Flags and shape of matrices that have two axes, with the tags of both."""
_MAX_DEPTH = 16
_MAX_AXES = 16
_MAX_FIELDS = 1000
_CUT = "it is cut off"


def read_mat5(
    path: Path | str, names: Collection[str], at_most: int = MAX_MAT_BYTES
) -> dict[str, Any]:
    """Variables of a MAT file; those that it does not have are left out.

    Numbers are arrays of their shape, text an array of strings, cells arrays of objects, structs
    arrays with named fields of objects.

    Args:
        path: the file.
        names: of the variables that are wanted.
        at_most: size of the file in bytes.

    Raises:
        InputError: the file cannot be read, is no MAT file of these versions, or is damaged.
    """
    data = read_bytes(path, at_most)
    if data.startswith((_HDF5, b"MATLAB 7.3")) or _HDF5 in data[:516]:
        raise InputError(
            f"'{path}' is a MAT file of version 7.3; the original release has version 5."
        )
    what = "a MAT file of MATLAB 5 to 7"
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise InputError(f"'{path}' is not {what}.")
    try:
        with guarded(path, what):
            return _variables(_Elements(memoryview(data)[_HEADER:], order), names)
    except _Damaged as error:
        raise InputError(f"'{path}' is damaged ({error}).") from error


class _Damaged(InputError):
    """What is wrong, for a sentence that names the file."""


@dataclass
class _Elements:
    """Elements one after another, and a place among them."""

    data: memoryview
    order: str
    at: int = 0

    def next(self) -> tuple[int, memoryview]:
        """Type and content of the element at this place, and past it."""
        data, at = self.data, self.at
        if len(data) - at < 8:
            raise _Damaged(_CUT)
        first, size = _TAG[self.order].unpack_from(data, at)
        if first >> 16:  # up to four bytes lie in the tag itself
            size = first >> 16
            if size > 4:
                raise _Damaged("a small element has more than four bytes")
            self.at = at + 8
            return first & 0xFFFF, data[at + 4 : at + 4 + size]
        end = at + 8 + size
        if end > len(data):
            raise _Damaged(_CUT)
        # elements begin at multiples of eight, except after deflated ones
        self.at = end if first == _DEFLATED else min(end + -size % 8, len(data))
        return first, data[at + 8 : end]

    def numbers(self, kind: int) -> list[int]:
        """The next element as whole numbers of one type."""
        found, content = self.next()
        if found != kind or len(content) % 4:
            raise _Damaged(f"there is an element of type {found} where {kind} has to be")
        return np.frombuffer(content, self.order + _STORED[kind]).tolist()

    def inside(self, content: memoryview) -> _Elements:
        """The elements of an element."""
        return _Elements(content, self.order)

    @property
    def left(self) -> int:
        """Bytes that follow."""
        return len(self.data) - self.at


def _variables(file: _Elements, names: Collection[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    unpacked = 0
    while file.left >= 8:
        kind, content = file.next()
        if kind == _DEFLATED:
            inner = file.inside(_inflated(content, _MAX_UNPACKED - unpacked))
            unpacked += len(inner.data)
            kind, content = inner.next()
        if kind != _MATRIX:
            raise _Damaged(f"there is an element of type {kind} where a variable has to be")
        matrix = file.inside(content)
        flags, shape, name = _head(matrix)
        if name in names:
            found[name] = _value(matrix, flags, shape, 0)
    return found


def _inflated(content: memoryview, at_most: int) -> memoryview:
    engine = zlib.decompressobj()
    data = engine.decompress(content, at_most + 1)
    if len(data) > at_most:
        raise _Damaged("it unpacks to more than such files may have")
    if not engine.eof:
        raise _Damaged(_CUT)
    return memoryview(data)


def _head(matrix: _Elements) -> tuple[int, tuple[int, ...], str]:
    """Flags and class, shape and name of a matrix."""
    flags, shape = _flags_and_shape(matrix)
    if not 2 <= len(shape) <= _MAX_AXES or min(shape) < 0:
        raise _Damaged(f"a matrix has the shape {shape}")
    kind, name = matrix.next()
    if kind not in (_INT8, 2, 16):
        raise _Damaged("a variable has no name")
    return flags, shape, bytes(name).decode("latin-1")


def _flags_and_shape(matrix: _Elements) -> tuple[int, tuple[int, ...]]:
    usual = _TWO_AXES[matrix.order]
    if len(matrix.data) >= usual.size:  # a file may have millions of these
        a, a_size, flags, _, b, b_size, rows, columns = usual.unpack_from(matrix.data)
        if (a, a_size, b, b_size) == (_UINT32, 8, _INT32, 8):
            matrix.at = usual.size
            return flags, (rows, columns)
    words = matrix.numbers(_UINT32)
    if len(words) != 2:
        raise _Damaged("a matrix has no flags")
    return words[0], tuple(matrix.numbers(_INT32))


def _matrix(elements: _Elements, depth: int) -> Any:
    """The matrix at this place; MATLAB writes nothing at all for some that are empty."""
    kind, content = elements.next()
    if kind != _MATRIX:
        raise _Damaged(f"there is an element of type {kind} where a matrix has to be")
    if not len(content):
        return np.zeros((0, 0))
    matrix = elements.inside(content)
    flags, shape, _ = _head(matrix)
    return _value(matrix, flags, shape, depth)


def _value(matrix: _Elements, flags: int, shape: tuple[int, ...], depth: int) -> Any:
    kind, count = flags & 0xFF, math.prod(shape)
    if kind in _CLASSES:
        real = _numbers(matrix, _CLASSES[kind], shape, count)
        return real + 1j * _numbers(matrix, "f8", shape, count) if flags >> 8 & _COMPLEX else real
    if kind == _CHAR:
        return _text(matrix, shape, count)
    if depth >= _MAX_DEPTH:
        raise _Damaged("matrices lie in each other too deeply")
    if kind == _CELL:
        _room(matrix, count)
        cells = np.empty(count, object)
        for i in range(count):
            cells[i] = _matrix(matrix, depth + 1)
        return cells.reshape(shape, order="F")
    return _structs(matrix, shape, count, depth) if kind == _STRUCT else None


def _room(matrix: _Elements, count: int) -> None:
    """There are bytes for the tags of so many matrices, so that no array is made of a lie."""
    if count * 8 > matrix.left:
        raise _Damaged(_CUT)


def _numbers(matrix: _Elements, wanted: str, shape: tuple[int, ...], count: int) -> np.ndarray:
    kind, content = matrix.next()
    if kind not in _STORED or len(content) % int(_STORED[kind][1]):
        raise _Damaged(f"numbers are stored as type {kind}")
    values = np.frombuffer(content, matrix.order + _STORED[kind])
    if len(values) != count:
        raise _Damaged(f"a matrix of {count} numbers has {len(values)}")
    return values.astype(wanted).reshape(shape, order="F")


def _text(matrix: _Elements, shape: tuple[int, ...], count: int) -> np.ndarray:
    """Rows of letters as strings."""
    if count == 0:
        return np.zeros(0, "U1")
    kind, content = matrix.next()
    if kind not in _TEXT:
        raise _Damaged(f"text is stored as type {kind}")
    encoding = _TEXT[kind]
    if encoding in ("utf-16", "utf-32"):
        encoding += "-le" if matrix.order == "<" else "-be"
    letters = list(bytes(content).decode(encoding))
    if len(letters) != count:
        raise _Damaged(f"text of {count} letters has {len(letters)}")
    rows = np.array(letters).reshape(shape[0], -1, order="F")
    return np.array(["".join(row) for row in rows])


def _structs(matrix: _Elements, shape: tuple[int, ...], count: int, depth: int) -> np.ndarray:
    """An array of structs as one with named fields."""
    (length,) = matrix.numbers(_INT32) or [0]
    kind, content = matrix.next()
    if kind != _INT8 or length < 1 or len(content) % length:
        raise _Damaged("a struct has no names of fields")
    packed = bytes(content)
    names = [
        packed[i : i + length].split(b"\0")[0].decode("latin-1")
        for i in range(0, len(packed), length)
    ]
    if not names or len(names) > _MAX_FIELDS or not all(map(str.isidentifier, names)):
        raise _Damaged("a struct has no names of fields")
    if len(set(names)) != len(names):
        raise _Damaged("a struct has two fields of one name")
    _room(matrix, count * len(names))
    structs = np.empty(count, [(name, object) for name in names])
    for i in range(count):
        structs[i] = tuple(_matrix(matrix, depth + 1) for _ in names)
    return structs.reshape(shape, order="F")
