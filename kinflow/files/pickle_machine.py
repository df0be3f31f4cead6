"""The stack, the memo and the containers of a pickle, without calling what it names.

The machine of `pickle.Unpickler` with three differences. A name is only compared with the closed
tables here and in `pickled_names`. Everything that is pushed is paid for from a budget of bytes,
and every opcode from a budget of steps. Keys are plain and short, so that no hash recurses or takes
long.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from kinflow.errors import InputError
from kinflow.files.pickle_bytes import MAX_NAME_LETTERS, Damaged, PickleBytes
from kinflow.files.pickled_arrays import UnfilledArray, array_of_bytes
from kinflow.files.pickled_names import (
    JOBLIB_ARRAY,
    ForeignObject,
    Name,
    allowed_name,
    build,
    construct,
    new_object,
)

_SPARE_BYTES = 128 << 20
_BYTES_PER_BYTE = 3
"""An array of Python 2 is in memory as text and as bytes; a third for what is small."""
_MAX_STEPS = 4_000_000
_HIGHEST_PROTOCOL = 5

# what a value takes beyond the value itself, at most, as measured on CPython
_STEP_BYTES = 64
_SLOT_BYTES = 10
_ENTRY_BYTES = 128
_NEST_BYTES = 256
"""An empty set; for other containers, what it takes to look through them later."""

_MAX_KEY_LENGTH = 4096
_MAX_KEY_PARTS = 16
_MEMO_GAP = 1024
_SIMPLE_KEYS = (str, bytes, int, float, bool, type(None))
_SETS = tuple(
    Name(module, kind) for kind in ("set", "frozenset") for module in ("__builtin__", "builtins")
)
_ORDERED_DICT = Name("collections", "OrderedDict")
_DEFAULT_DICT = Name("collections", "defaultdict")


class PickleMachine:
    """One pickle being read.

    Args:
        data: the file.
        elsewhere: gives what the pickle refers to outside of itself, by what it calls it; without
            one such pickles are refused.
        further_bytes: how much of that there is.
    """

    def __init__(
        self,
        data: bytes,
        elsewhere: Callable[[Any], Any] | None = None,
        further_bytes: int = 0,
    ) -> None:
        self.max_bytes = _SPARE_BYTES + _BYTES_PER_BYTE * (len(data) + further_bytes)
        self._elsewhere = elsewhere
        self.source = PickleBytes(data)
        self.stack: list[Any] = []
        self._outer: list[list[Any]] = []
        """The stacks below the marks."""
        self._memo: dict[int, Any] = {}
        self._bytes_left = self.max_bytes
        self._steps_left = _MAX_STEPS

    def count_step(self) -> None:
        """Account for an opcode."""
        self.pay(_STEP_BYTES)
        self.spend(1)

    def pay(self, size: int) -> None:
        """Take bytes from the budget."""
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise InputError(
                f"it would take more than {self.max_bytes / 1e6:.0f} MB of memory, too much for "
                "a file of its size."
            )

    def spend(self, steps: int) -> None:
        """Take steps from the budget."""
        self._steps_left -= steps
        if self._steps_left < 0:
            raise InputError("it has too many values; numbers belong into arrays.")

    # the stack

    def push_paid(self, value: Any) -> None:
        """Push a value whose size the file decides."""
        self.pay(sys.getsizeof(value))
        self.stack.append(value)

    def take(self) -> Any:
        if not self.stack:
            raise Damaged("a value is missing")
        return self.stack.pop()

    def top(self) -> Any:
        if not self.stack:
            raise Damaged("a value is missing")
        return self.stack[-1]

    def mark(self) -> None:
        self.pay(_STEP_BYTES)
        self._outer.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[Any]:
        if not self._outer:
            raise Damaged("a mark is missing")
        items, self.stack = self.stack, self._outer.pop()
        return items

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def duplicate(self) -> None:
        self.stack.append(self.top())

    # the memo

    def memoize(self, index: int | None = None) -> None:
        """Remember the top of the stack.

        Picklers count upwards. Indices far beyond the count are refused, which keeps a dict with
        whole numbers as keys as fast as a list: they cannot be chosen to collide.
        """
        index = len(self._memo) if index is None else index
        if not 0 <= index <= 2 * len(self._memo) + _MEMO_GAP:
            raise InputError(f"it numbers its values without order ({index}).")
        self.pay(_ENTRY_BYTES)
        self._memo[index] = value = self.top()
        if isinstance(value, UnfilledArray):
            value.memo_indices.append(index)

    def recall(self, index: int) -> None:
        if index not in self._memo:
            raise Damaged(f"it refers to a value {index} that it has not had")
        self.stack.append(self._memo[index])

    # containers

    def append(self, items: list[Any] | None = None) -> None:
        items = [self.take()] if items is None else items
        target = self.top()
        if type(target) is not list:
            raise InputError(f"it appends to a {_kind(target)}.")
        self.pay(_SLOT_BYTES * len(items))
        target.extend(items)

    def make_tuple(self, count: int | None = None) -> None:
        items = self.pop_mark() if count is None else [self.take() for _ in range(count)][::-1]
        self.pay(_NEST_BYTES)
        self.push_paid(tuple(items))

    def make_list(self) -> None:
        self.pay(_NEST_BYTES)
        self.push_paid(self.pop_mark())

    def make_dict(self) -> None:
        items = self.pop_mark()
        self.push_new(dict)
        self.set_items(items)

    def push_new(self, kind: type) -> None:
        """Push an empty container."""
        self.pay(_NEST_BYTES)
        self.stack.append(kind())

    def set_items(self, items: list[Any] | None = None) -> None:
        if items is None:
            value, key = self.take(), self.take()
            items = [key, value]
        target = self.top()
        if type(target) is not dict:
            raise InputError(f"it sets items of a {_kind(target)}.")
        if len(items) % 2:
            raise Damaged("a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._check_key(key, len(target))
            target[key] = value

    def add_items(self, items: Any, target: set[Any] | None = None) -> set[Any]:
        target = self.top() if target is None else target
        if type(target) is not set or type(items) is not list:
            raise InputError(f"it adds a {_kind(items)} to a {_kind(target)}.")
        for item in items:
            self._check_key(item, len(target))
            target.add(item)
        return target

    def make_frozenset(self) -> None:
        items = self.pop_mark()
        self.pay(_NEST_BYTES)
        self.stack.append(frozenset(self.add_items(items, set())))

    def _check_key(self, key: Any, entries: int) -> None:
        """Refuse keys whose hash or comparison may take long, or recurse.

        Hashes of numbers are known beforehand, so that numbers can be chosen to collide with each
        other: they are paid for as if they did.
        """
        self.pay(_ENTRY_BYTES)
        if type(key) not in (str, bytes):
            self.spend(entries >> 4)
        parts = [key]
        for part in parts:  # which grows
            if type(part) in (tuple, frozenset) and len(parts) + len(part) <= _MAX_KEY_PARTS:
                parts += part
            elif type(part) not in _SIMPLE_KEYS:
                raise InputError(f"it has a {_kind(part)} as a key or in a set.")
            elif isinstance(part, str | bytes) and len(part) > _MAX_KEY_LENGTH:
                raise InputError(f"it has a key of {len(part)} letters.")

    # names and objects

    def push_name(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise Damaged("a name that is no text")
        if len(module) > MAX_NAME_LETTERS or len(name) > MAX_NAME_LETTERS:
            raise Damaged("a name that is too long")
        self.stack.append(allowed_name(module, name))

    def stack_name(self) -> None:
        name, module = self.take(), self.take()
        self.push_name(module, name)

    def reduce(self) -> None:
        arguments, function = self.take(), self.take()
        self._construct(function, arguments)

    def instance(self) -> None:
        name = allowed_name(self.source.name_line(), self.source.name_line())
        self._construct(name, tuple(self.pop_mark()))

    def object(self) -> None:
        items = self.pop_mark()
        if not items:
            raise Damaged("an object without a class")
        self._construct(items[0], tuple(items[1:]))

    def new_object(self, has_keywords: bool = False) -> None:
        keywords = self.take() if has_keywords else {}
        arguments, name = self.take(), self.take()
        if type(arguments) is not tuple or type(keywords) is not dict:
            raise Damaged("arguments that are none")
        self.stack.append(new_object(name))

    def build(self) -> None:
        state, target = self.take(), self.take()
        value = build(target, state, self.pay)
        if isinstance(value, ForeignObject) and value.foreign_name == JOBLIB_ARRAY:
            value = self._array_of_joblib(value.state)
        self.stack.append(value)
        if isinstance(target, UnfilledArray):
            for index in target.memo_indices:
                if self._memo.get(index) is target:
                    self._memo[index] = value
            target.memo_indices.clear()

    def _array_of_joblib(self, state: dict[str, Any]) -> Any:
        """The array whose bytes follow, after as many as make its address a round one."""
        if state.get("numpy_array_alignment_bytes") is not None:
            self.source.take(self.source.unsigned(1))
        dtype, shape, order = (state.get(name) for name in ("dtype", "shape", "order"))
        return array_of_bytes(self.source.take, dtype, shape, order, self.pay)

    def refer(self) -> None:
        """Push what the top of the stack is a reference to."""
        if self._elsewhere is None:
            self.refuse("an object by its number")
        else:
            self.stack.append(self._elsewhere(self.take()))

    def _construct(self, name: Any, arguments: Any) -> None:
        if type(arguments) is not tuple:
            raise Damaged("arguments that are none")
        if not isinstance(name, Name):  # an array would compare itself entry by entry below
            raise InputError(f"it calls a {_kind(name)}.")
        self.pay(_NEST_BYTES)
        if name == _ORDERED_DICT:
            self._make_ordered_dict(*arguments)
        elif name == _DEFAULT_DICT:  # what it would fill gaps with is not called
            self.stack.append({})
        elif name in _SETS:
            value = self.add_items(*arguments, target=set()) if arguments else set()
            self.stack.append(value if name in _SETS[:2] else frozenset(value))
        else:
            self.stack.append(construct(name, arguments, self.pay))

    def _make_ordered_dict(self, pairs: Any = ()) -> None:
        self.stack.append({})
        for pair in pairs:
            if type(pair) not in (list, tuple) or len(pair) != 2:
                raise Damaged("a pair that is none")
            self.set_items(list(pair))

    # the rest

    def integer_line(self) -> None:
        text = self.source.number_line()
        booleans = {"00": False, "01": True}
        self.push_paid(booleans[text] if text in booleans else int(text, 0))

    def protocol(self) -> None:
        version = self.source.unsigned(1)
        if version > _HIGHEST_PROTOCOL:
            raise InputError(f"it is of protocol {version}, which is not known.")

    def push(self, value: Any) -> None:
        """Push a value that no file can make large."""
        self.stack.append(value)

    def refuse(self, what: str) -> None:
        raise InputError(f"it refers to {what}, which is not part of the file.")


def _kind(value: object) -> str:
    return type(value).__name__
