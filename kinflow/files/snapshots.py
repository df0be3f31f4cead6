"""State that outlives its process: dataclasses, arrays and containers as tensors and JSON.

    snapshot = taken({"tracks": tracks, "time_s": 1.5}, (Track,))
    value = restored(snapshot, (Track,))

What comes back is equal to what went in, types and bits included. Nothing is ever run: only
dataclasses of a closed table are made, with the checks that they make of themselves. Arrays of the
same type and shape are stacked, for there may be thousands of small ones.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from kinflow.errors import InputError

_LISTS = {"list": list, "tuple": tuple, "set": set}


@dataclass(frozen=True)
class Snapshot:
    """A value as plain JSON, and the numbers of its arrays."""

    tree: Any
    tensors: Mapping[str, Tensor]


class Resumable:
    """Something that works step by step, whose state another process can go on from.

    A class names the attributes that change while it works; what it was made with it is made with
    again.
    """

    changing: ClassVar[tuple[str, ...]]
    """Names of attributes; what these hold may be `Resumable` itself."""

    def state(self) -> dict[str, Any]:
        """What changed since it was made, by the name of the attribute: no copies."""
        state = {name: getattr(self, name) for name in self.changing}
        return {n: v.state() if isinstance(v, Resumable) else v for n, v in state.items()}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, which is its own from now on.

        Raises:
            InputError: it is the state of something else.
        """
        if set(state) != set(self.changing):
            raise InputError(f"This is no state of a {type(self).__name__}.")
        for name, value in state.items():
            now = getattr(self, name)
            if isinstance(now, Resumable):
                now.resume(value)
            else:
                setattr(self, name, value)


def taken(value: Any, classes: Sequence[type]) -> Snapshot:
    """A snapshot of a value.

    Args:
        value: dataclasses, arrays, tensors, numbers, text, None, and lists, tuples, sets, deques
            and dictionaries of them.
        classes: the dataclasses that may be in it, no two of the same name.

    Raises:
        InputError: it holds something else.
    """
    writer = _Writer(classes)
    tree = writer.node(value)
    return Snapshot(tree, {str(i): torch.stack(rows) for i, rows in enumerate(writer.rows)})


def restored(snapshot: Snapshot, classes: Sequence[type]) -> Any:
    """The value that a snapshot was taken of.

    Args:
        snapshot: from anywhere.
        classes: the dataclasses that may be in it.

    Raises:
        InputError: it is not what this version of kinflow writes.
    """
    known = {cls.__name__: cls for cls in classes}
    try:
        return _value(snapshot.tree, snapshot.tensors, known)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise InputError(f"This is no state that can be gone on from ({error}).") from error


class _Writer:
    """Collects arrays while a tree is written."""

    def __init__(self, classes: Sequence[type]) -> None:
        self._classes = frozenset(classes)
        self.rows: list[list[Tensor]] = []
        self._groups: dict[tuple[torch.dtype, tuple[int, ...]], int] = {}

    def node(self, value: Any) -> Any:
        match value:
            case None | bool() | int() | str():
                return value
            case np.generic():
                return {"scalar": self._array(torch.from_numpy(np.array(value)))}
            case float():
                return value if math.isfinite(value) else {"float": str(value)}
            case Tensor():
                return {"tensor": self._array(value)}
            case np.ndarray():
                return {"array": self._array(torch.from_numpy(np.ascontiguousarray(value)))}
            case deque():
                return {"deque": [self.node(v) for v in value], "most": value.maxlen}
            case list() | tuple() | set():
                return {type(value).__name__: [self.node(v) for v in value]}
            case dict():
                return {"pairs": [[self.node(k), self.node(v)] for k, v in value.items()]}
        if type(value) in self._classes:
            held = {f.name: self.node(getattr(value, f.name)) for f in fields(value)}
            return {"class": type(value).__name__, "fields": held}
        raise InputError(f"A {type(value).__name__} cannot be stored.")

    def _array(self, tensor: Tensor) -> list[int]:
        """Where it will be: number of the stack, and of the row in it."""
        key = (tensor.dtype, tuple(tensor.shape))
        group = self._groups.setdefault(key, len(self.rows))
        if group == len(self.rows):
            self.rows.append([])
        self.rows[group].append(tensor.detach().cpu())
        return [group, len(self.rows[group]) - 1]


def _value(node: Any, tensors: Mapping[str, Tensor], known: Mapping[str, type]) -> Any:
    def inner(part: Any) -> Any:
        return _value(part, tensors, known)

    def row(place: Any) -> Tensor:
        group, index = place
        return tensors[str(group)][index].clone()

    match node:
        case {"tensor": place}:
            return row(place)
        case {"array": place}:
            return row(place).numpy()
        case {"scalar": place}:
            return row(place).numpy()[()]
        case {"float": text}:
            return float(text)
        case {"deque": values, "most": most}:
            return deque(map(inner, values), most)
        case {"pairs": pairs}:
            return {inner(key): inner(value) for key, value in pairs}
        case {"class": name, "fields": dict() as held}:
            return known[name](**{key: inner(value) for key, value in held.items()})
        case dict():
            ((kind, values),) = node.items()
            return _LISTS[kind](map(inner, values))
        case list():
            raise ValueError("a list without its kind")
    return node
