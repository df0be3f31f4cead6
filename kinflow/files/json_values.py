"""Values out of JSON, checked one by one against the dataclass that they are for.

Settings in the headers of weight files are JSON that anybody may have written. `from_json` builds
a flat dataclass from an object: no unknown or missing keys, every value of the declared type (a
bool is no number here, nor is text), numbers finite and within limits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from kinflow.errors import InputError

T = TypeVar("T")

_LARGEST_WHOLE = 2**53
Range = tuple[int | float, int | float]
"""Lowest and highest number."""


def from_json(cls: type[T], values: Any, limits: Mapping[str, Range] | None = None) -> T:
    """An instance of a dataclass with the values of a JSON object.

    Args:
        cls: a dataclass of numbers, text, `Literal`s, tuples and mappings of these.
        values: the object; what has a default may be missing.
        limits: lowest and highest number by name of the field.

    Raises:
        InputError: naming the first key that is unknown, missing or of a value that it cannot have;
            the caller knows the file.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"a set of named values is needed, not {_shown(values)}")
    hints, known = get_type_hints(cls), {f.name: f for f in fields(cls)}  # pyright: ignore[reportArgumentType]
    if unknown := [str(key) for key in values if key not in known]:
        raise InputError(f"'{unknown[0]}' is not known to this version of kinflow")
    for name, field in known.items():
        required = field.default is MISSING and field.default_factory is MISSING
        if required and name not in values:
            raise InputError(f"'{name}' is missing")
    low_high = limits or {}
    checked = {
        name: _checked(value, hints[name], low_high.get(name, (-math.inf, math.inf)), name)
        for name, value in values.items()
    }
    return cls(**checked)


def number(values: Any, key: str, low: int | float, high: int | float) -> float:
    """A number of a JSON object, within limits; `InputError` otherwise."""
    return _checked(_value(values, key), float, (low, high), key)


def whole_number(values: Any, key: str, low: int, high: int = _LARGEST_WHOLE) -> int:
    """A whole number of a JSON object, within limits; `InputError` otherwise."""
    return _checked(_value(values, key), int, (low, high), key)


def _value(values: Any, key: str) -> Any:
    if not isinstance(values, Mapping) or key not in values:
        raise InputError(f"'{key}' is missing")
    return values[key]


def _checked(value: Any, kind: Any, limits: Range, name: str) -> Any:
    origin = get_origin(kind)
    if kind in (int, float):
        return _number(value, kind, limits, name)
    if kind in (str, bool, NoneType):
        if not isinstance(value, kind):
            raise InputError(f"'{name}' cannot be {_shown(value)}")
        return value
    if origin is Literal:
        if not isinstance(value, str) or value not in get_args(kind):
            allowed = ", ".join(map(str, get_args(kind)))
            raise InputError(f"'{name}' cannot be {_shown(value)}; it is one of {allowed}")
        return value
    if origin is tuple:
        kinds = get_args(kind)
        if kinds[-1] is Ellipsis and isinstance(value, list | tuple):
            kinds = kinds[:1] * len(value)
        if not isinstance(value, list | tuple) or len(value) != len(kinds):
            raise InputError(f"'{name}' cannot be {_shown(value)}")
        return tuple(_checked(v, k, limits, name) for v, k in zip(value, kinds, strict=True))
    if not isinstance(value, Mapping):
        raise InputError(f"'{name}' cannot be {_shown(value)}")
    return {str(k): _checked(v, get_args(kind)[1], limits, name) for k, v in value.items()}


def _number(value: Any, kind: type, limits: Range, name: str) -> Any:
    low, high = limits
    right = isinstance(value, (int, float) if kind is float else int)
    if isinstance(value, bool) or not right or not math.isfinite(value):
        raise InputError(f"'{name}' cannot be {_shown(value)}")
    if not low <= value <= high:
        raise InputError(f"'{name}' cannot be {_shown(value)}; it is from {low:g} to {high:g}")
    return kind(value)


def _shown(value: Any) -> str:
    """A value in a sentence, in few letters."""
    if isinstance(value, Mapping | list | tuple):
        return f"a {'list' if isinstance(value, list | tuple) else 'set'} of {len(value)} values"
    return repr(value) if len(repr(value)) <= 40 else f"{repr(value)[:40]}…"
