"""Arrays, dtypes and tensors of pickles, made of their bytes.

numpy would let a pickle set the state of a dtype, and so describe memory that is not the array's.
Here a dtype is one of a table and the state may only choose its byte order; shape, size and bytes
of an array have to agree. No function of numpy that restores state is called.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kinflow.errors import InputError

OBJECT_BYTES = 512
_MAX_AXES = 32
_MAX_LETTERS = 4096
SHOWN_LETTERS = 80
_LAST_CODE_POINT = 0x10FFFF

_NUMBER_TYPE = re.compile(r"b1|[iu][1248]|f[248]|c8|c16")
_TEXT_TYPE = re.compile(r"[SU](0|[1-9]\d{0,3})")
_OBJECT_TYPES = ("O", "O8", "O4")
_BYTE_ORDERS = {"<": "<", ">": ">", "=": "=", "|": "="}

Pay = Callable[[int], None]
"""Takes bytes from the budget of whoever reads a file; raises `InputError` when it is used up."""


@dataclass(eq=False)
class PickledType:
    """A dtype by its code in the table, such as "f8", and its byte order."""

    code: str
    order: str = "="

    @property
    def holds_objects(self) -> bool:
        return self.code in _OBJECT_TYPES

    def dtype(self) -> np.dtype[Any]:
        """Of numbers or text."""
        if self.holds_objects:
            raise InputError("it has an array of Python objects where bytes should be.")
        return np.dtype(self.order + self.code)


@dataclass(eq=False)
class UnfilledArray:
    """An array whose content follows; whoever refers to it by then has to be told."""

    memo_indices: list[int] = field(default_factory=list)


def set_byte_order(target: PickledType, state: Any) -> None:
    """Check a dtype's state: (version, order, 3 times None, size, alignment, flags[, metadata])."""
    if type(state) is not tuple or len(state) not in (8, 9) or type(state[0]) is not int:
        raise InputError("it has a dtype without a readable state.")
    if state[0] not in (3, 4):
        raise InputError("it has a dtype of an unknown kind.")
    _, order, *structure, size, alignment, flags = state[:8]
    if any(part is not None for part in (*structure, *state[8:])):
        raise InputError("it has a dtype with fields or parts, which is not among those allowed.")
    if type(order) is not str or order not in _BYTE_ORDERS:
        raise InputError("it has a dtype of an unknown byte order.")
    if any(type(number) is not int for number in (size, alignment, flags)):
        raise InputError("it has a dtype whose sizes are no numbers.")
    if size not in (-1, 8 if target.holds_objects else target.dtype().itemsize):
        raise InputError(f"it has a dtype '{target.code}' of another size than that type has.")
    target.order = _BYTE_ORDERS[order]


def filled(state: Any, pay: Pay) -> Any:
    """An array of its state: ([version,] shape, dtype, by columns, bytes or list)."""
    if type(state) is not tuple or len(state) not in (4, 5):
        raise InputError("it has an array without a readable state.")
    shape, kind, by_columns, content = state[-4:]
    if not isinstance(kind, PickledType) or type(by_columns) not in (bool, int):
        raise InputError("it has an array without a readable state.")
    if kind.holds_objects:
        return _nested_list(content, _checked_shape(shape), pay)
    if isinstance(content, str):
        pay(len(content))
        content = content.encode("latin1")
    return _array(content, kind, shape, "F" if by_columns else "C", pay)


def array_of_bytes(
    take: Callable[[int], bytes], kind: Any, shape: Any, order: Any, pay: Pay
) -> np.ndarray:
    """An array whose bytes come next in the file, `take(count)` of them."""
    if not isinstance(kind, PickledType):
        raise InputError("it has an array of an unknown type.")
    count = math.prod(_checked_shape(shape)) * kind.dtype().itemsize
    pay(count)
    return _array(take(count), kind, shape, order, pay)


def tensor(pay: Pay, storage: Any, offset: Any, size: Any, stride: Any, *_flags: Any) -> np.ndarray:
    """`torch._utils._rebuild_tensor_v2`: a tensor over some of a storage's numbers."""
    size, stride = _checked_shape(size), _checked_shape(stride)
    if not isinstance(storage, np.ndarray) or storage.ndim != 1 or type(offset) is not int:
        raise InputError("it has a tensor without a storage.")
    if offset < 0 or len(size) != len(stride):
        raise InputError("it has a tensor of a shape that cannot be.")
    count = math.prod(size)
    pay(count * storage.dtype.itemsize)
    if count == 0:
        return np.zeros(size, storage.dtype)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if last >= len(storage):
        raise InputError("it has a tensor that reaches beyond its storage.")
    strides = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, strides).copy()


STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "u1",
}
"""dtypes of torch's storages by the names of their classes."""


def storage_of(kind: str, content: bytes) -> np.ndarray:
    """The numbers of a storage of torch.

    Args:
        kind: the name of its class.
        content: its bytes.
    """
    code = STORAGES.get(kind)
    if code is None:
        raise InputError("it has tensors of a type that is not among those allowed.")
    if len(content) % np.dtype(code).itemsize:
        raise InputError("it has a storage whose bytes are no whole numbers.")
    if kind == "BoolStorage":
        return np.frombuffer(content, np.uint8) != 0
    if kind == "BFloat16Storage":  # the upper half of a single
        return (np.frombuffer(content, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(content, code)


def _checked_shape(shape: Any) -> tuple[int, ...]:
    if type(shape) is int:
        shape = (shape,)
    if type(shape) is not tuple or len(shape) > _MAX_AXES:
        raise InputError("it has an array without a readable shape.")
    if any(type(n) is not int or not 0 <= n < 2**31 for n in shape):
        raise InputError("it has an array of a shape that cannot be.")
    return shape


def _array(content: Any, kind: Any, shape: Any, order: Any, pay: Pay) -> np.ndarray:
    """An array over `content`, whose size has to be that of `shape`."""
    if type(content) not in (bytes, bytearray) or not isinstance(kind, PickledType):
        raise InputError("it has an array whose content is not bytes.")
    if type(order) is not str:
        raise InputError("it has an array of unknown order.")
    dtype, shape = kind.dtype(), _checked_shape(shape)
    if dtype.itemsize == 0 and shape:
        raise InputError("it has an array of texts without letters, of any size.")
    if math.prod(shape) * dtype.itemsize != len(content):
        raise InputError(
            f"it has an array of shape {shape} and type '{kind.code}' in {len(content)} bytes."
        )
    flat = np.frombuffer(content, dtype) if content else np.zeros(math.prod(shape), dtype)
    if kind.code == "b1":  # other bytes than 0 and 1 are no truth values to numpy
        pay(len(content))
        flat = flat.view(np.uint8) != 0
    if dtype.kind == "U" and (flat.view(dtype.str[0] + "u4") > _LAST_CODE_POINT).any():
        raise InputError("it has an array of text with letters that cannot be.")
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _nested_list(items: Any, shape: tuple[int, ...], pay: Pay) -> Any:
    """An array of objects, which numpy writes row by row in any case, as lists in lists."""
    if type(items) is not list or math.prod(shape) != len(items):
        raise InputError(f"it has an array of objects whose shape {shape} is not its size.")
    if not items:
        return []
    for width in reversed(shape[1:]):
        pay(OBJECT_BYTES * (len(items) // width))
        items = [items[i : i + width] for i in range(0, len(items), width)]
    return list(items) if shape else items[0]


def pickled_type(_: Pay, code: Any, align: Any = False, copy: Any = False) -> PickledType:
    """`numpy.dtype`."""
    if type(code) is str:
        text = _TEXT_TYPE.fullmatch(code)
        if _NUMBER_TYPE.fullmatch(code) or code in _OBJECT_TYPES:
            return PickledType(code)
        if text and int(text[1]) <= _MAX_LETTERS:
            return PickledType(code)
    shown = ascii(code)[:SHOWN_LETTERS] if type(code) is str else f"a {type(code).__name__}"
    raise InputError(f"it has a dtype {shown}, which is not among those allowed.")


def scalar(pay: Pay, kind: Any, content: Any = b"") -> Any:
    """`numpy.core.multiarray.scalar`."""
    if isinstance(content, str):
        content = content.encode("latin1")
    pay(2 * len(content))
    return _array(content, kind, (), "C", pay)[()]


def array_of_buffer(
    pay: Pay, content: Any, kind: Any, shape: Any, order: Any, axes: Any = None
) -> np.ndarray:
    """`numpy.core.numeric._frombuffer`, of protocol 5; `axes` are in the order of the bytes."""
    array = _array(content, kind, shape, order, pay)
    if order != "K" or axes is None:
        return array
    is_order = type(axes) is tuple and all(type(axis) is int for axis in axes)
    if not is_order or sorted(axes) != list(range(array.ndim)):
        raise InputError("it has an array whose axes are not in order.")
    return array.transpose(axes)
