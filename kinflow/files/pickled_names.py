"""What pickles name, as data: a closed table, and objects of SciPy and chumpy as their state.

Nothing that a pickle names is imported or called. Arrays are made of their bytes
(`kinflow.files.pickled_arrays`), whatever else may be made is made here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kinflow.errors import InputError
from kinflow.files.pickle_bytes import Damaged
from kinflow.files.pickled_arrays import (
    OBJECT_BYTES,
    SHOWN_LETTERS,
    STORAGES,
    Pay,
    PickledType,
    UnfilledArray,
    array_of_buffer,
    filled,
    pickled_type,
    scalar,
    set_byte_order,
    tensor,
)

_FOREIGN_PACKAGES = ("scipy.sparse", "chumpy", "joblib.numpy_pickle")
JOBLIB_ARRAY = "joblib.numpy_pickle.NumpyArrayWrapper"
"""Stands in joblib's pickles before an array, whose bytes follow it outside of the pickle."""


@dataclass(frozen=True)
class Name:
    """What a pickle would import, as nothing but its name."""

    module: str
    name: str

    @property
    def is_foreign(self) -> bool:
        """Whether it belongs to a package whose objects are kept as their state."""
        return any(self.module == p or self.module.startswith(p + ".") for p in _FOREIGN_PACKAGES)

    def __str__(self) -> str:
        """Printable and not long, whatever the file put into it."""
        full = ascii(f"{self.module}.{self.name}")
        return full if len(full) <= SHOWN_LETTERS else f"{full[:SHOWN_LETTERS]}...'"


class ForeignObject:
    """State of an object whose class is not available; see `kinflow.files.dense_arrays`."""

    __slots__ = ("foreign_name", "state")

    def __init__(self, foreign_name: str) -> None:
        """What the class was built from is ignored: its state follows in the pickle."""
        self.foreign_name = foreign_name
        self.state: dict[str, Any] = {}


def allowed_name(module: str, name: str) -> Name:
    """A name out of the closed table.

    Raises:
        InputError: it is not in the table.
    """
    found = Name(module, name)
    if found in _CONSTRUCTORS or found in _PLAIN_NAMES or found.is_foreign:
        return found
    raise InputError(f"it names {found}, which is not among the few things allowed.")


def construct(name: Name, arguments: tuple[Any, ...], pay: Pay) -> Any:
    """What calling `name` with `arguments` would have made, as data.

    Raises:
        InputError: it is not in the table, or the arguments are not such as Python and numpy write.
    """
    pay(OBJECT_BYTES)
    if name.is_foreign:
        return ForeignObject(f"{name.module}.{name.name}")
    if name not in _CONSTRUCTORS:
        raise InputError(f"it calls {name}, which is not among the few things allowed.")
    try:
        return _CONSTRUCTORS[name](pay, *arguments)
    except TypeError as error:
        raise Damaged(f"arguments of {name}: {error}") from error


def new_object(name: Any) -> ForeignObject:
    """An object of a foreign class, without its state.

    Raises:
        InputError: the class is another one.
    """
    if not isinstance(name, Name):
        raise InputError(f"it makes an object of a {type(name).__name__}.")
    if not name.is_foreign:
        raise InputError(f"it makes an object of {name}, a class that is not allowed.")
    return ForeignObject(f"{name.module}.{name.name}")


def build(target: Any, state: Any, pay: Pay) -> Any:
    """`target` with its state: the same object, or the array that an `UnfilledArray` becomes.

    Raises:
        InputError: the target has no state, or the state is not such as numpy writes.
    """
    pay(OBJECT_BYTES)
    if isinstance(target, ForeignObject):
        if type(state) is not dict:
            raise InputError(f"a '{_shown(target)}' in it has no readable state.")
        target.state = state
        return target
    if isinstance(target, PickledType):
        set_byte_order(target, state)
        return target
    if isinstance(target, UnfilledArray):
        return filled(state, pay)
    raise InputError(f"it sets the state of a {type(target).__name__}.")


def _shown(value: ForeignObject) -> str:
    return ascii(value.foreign_name)[1:-1][:SHOWN_LETTERS]


# what takes the place of functions; each is given how to pay and the arguments


def _unfilled(_: Pay, kind: Any, shape: Any = None, code: Any = None) -> UnfilledArray:
    """`numpy.core.multiarray._reconstruct`: its shape and type are placeholders."""
    if not isinstance(kind, Name) or kind not in _ARRAY_CLASSES:
        raise InputError("it makes an array of a class that is not allowed.")
    return UnfilledArray()


def _encoded(pay: Pay, text: Any, encoding: Any = "latin1") -> bytes:
    """`_codecs.encode` as Python 3 uses it for the bytes of old protocols, no other codec."""
    if type(text) is not str or type(encoding) is not str:
        raise Damaged("bytes of what is no text")
    if encoding.lower() not in ("latin1", "latin-1", "iso-8859-1"):
        raise InputError(f"it asks for the text encoding {ascii(encoding)[:SHOWN_LETTERS]}.")
    pay(len(text))
    return text.encode("latin1")


def _bytes(pay: Pay, content: Any = b"", encoding: Any = "latin1") -> bytes:
    """`bytes`, of nothing, of bytes, or of text."""
    if type(content) is bytes:
        return content
    return _encoded(pay, content, encoding)


def _bytearray(pay: Pay, content: Any = b"", encoding: Any = "latin1") -> bytearray:
    """`bytearray`, of nothing, of bytes, or of Python 2's text."""
    content = _bytes(pay, content, encoding)
    pay(len(content))
    return bytearray(content)


def _rebuilt(_: Pay, kind: Any, base: Any = None, state: Any = None) -> ForeignObject:
    """`copyreg._reconstructor`, which could call any class."""
    if not isinstance(base, Name) or base not in _OBJECT_NAMES:
        raise InputError("it rebuilds an object of a class that is not allowed.")
    return new_object(kind)


def _newly(_: Pay, kind: Any, *arguments: Any) -> ForeignObject:
    """`copyreg.__newobj__`."""
    return new_object(kind)


def _names(modules: str, *names: str) -> list[Name]:
    return [Name(module, name) for module in modules.split() for name in names]


_ARRAY_CLASSES = frozenset(
    _names("numpy", "ndarray", "matrix", "memmap")
    + _names("numpy.matrixlib.defmatrix numpy.core.defmatrix", "matrix")
    + _names("numpy.core.memmap numpy._core.memmap", "memmap")
)
_OBJECT_NAMES = _names("__builtin__ builtins", "object")
_PLAIN_NAMES = frozenset(
    [*_ARRAY_CLASSES, *_OBJECT_NAMES, Name("collections", "OrderedDict")]
    + _names("collections", "defaultdict")
    + _names("__builtin__ builtins", "set", "frozenset", "dict", "list", "int", "float")
    + _names("torch", *STORAGES)
)
_CONSTRUCTORS: dict[Name, Callable[..., Any]] = {
    name: function
    for names, function in (
        (_names("numpy", "dtype"), pickled_type),
        (_names("numpy.core.multiarray numpy._core.multiarray", "_reconstruct"), _unfilled),
        (_names("numpy.core.multiarray numpy._core.multiarray", "scalar"), scalar),
        (_names("numpy.core.numeric numpy._core.numeric", "_frombuffer"), array_of_buffer),
        (_names("_codecs", "encode"), _encoded),
        (_names("torch._utils", "_rebuild_tensor_v2"), tensor),
        (_names("__builtin__ builtins", "bytes"), _bytes),
        (_names("__builtin__ builtins", "bytearray"), _bytearray),
        (_names("copy_reg copyreg", "_reconstructor"), _rebuilt),
        (_names("copy_reg copyreg", "__newobj__"), _newly),
    )
    for name in names
}
