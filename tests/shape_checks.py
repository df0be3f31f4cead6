"""The checker of types and shapes in tests: beartype, at a function's first call.

Compiling the checks of all of kinflow takes seconds in every process that runs tests, most of it
for functions that it never calls. Nor is a call checked again whose like has passed: what jaxtyping
and beartype say depends on types, shapes and data types alone, and to ask them takes longer than
much of what the functions themselves do.

To import this module makes `jaxtyping.jaxtyped` remember; kinflow is imported after it.
"""

import functools
import random
import threading
from collections.abc import Callable, Collection
from enum import Enum
from types import FunctionType
from typing import Any

import jaxtyping._decorator
import numpy as np
from beartype import beartype
from torch import Tensor

LIKES_KEPT = 1000
"""Of a function that is called with ever new values no more are kept."""
FEW_ITEMS = 16
DEEPEST = 3
"""Longer tuples and lists are checked each time, and so are those within more of them."""
_BY_VALUE = (int, str, type(None), type, Enum)
"""Literal types and names of axes may ask for a value of these."""


def at_first_call(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, checked: jaxtyping's `typechecker`.

    jaxtyping gives two functions for each of kinflow's. The first takes the arguments, before the
    call. The second, after it, takes them again, to return what was returned; of that one only the
    result is checked, by the sizes of axes that the first has found. (To check arrays twice would
    be half of the time that many tests take.)
    """
    annotations = function.__annotations__
    if annotations.get("return", Any) is not Any:
        function.__annotations__ = {"return": annotations["return"]}
    checked: Callable[..., Any] | None = None

    def call(*arguments: Any, **keywords: Any) -> Any:
        nonlocal checked
        if checked is None:
            checked = _with_own_numbers(beartype(function))
        return checked(*arguments, **keywords)

    return call


def _with_own_numbers(checked: Callable[..., Any]) -> Callable[..., Any]:
    """A function of beartype's, whose choice of an item to look at leaves Python's numbers alone.

    A program has to draw the same ones whether a call is checked or has passed before.
    """
    parts = checked.__kwdefaults__ or {}
    parts.update(
        {name: _numbers.getrandbits for name, part in parts.items() if part == random.getrandbits}
    )
    return checked


def _remembering(function: Any = None, *, typechecker: Any) -> Any:
    """`jaxtyping.jaxtyped`, which remembers what arguments and results have passed."""
    if function is None:
        return functools.partial(_remembering, typechecker=typechecker)
    if not isinstance(function, FunctionType) or typechecker is None:
        return _jaxtyped(function, typechecker=typechecker)  # which calls this for its functions
    if hasattr(function, "passed"):  # a dataclass that inherits how it is made
        return function
    passed: dict[Any, set[Any]] = {}
    compiled = functools.cache(lambda: _jaxtyped(function, typechecker=typechecker))
    only_result = functools.cache(lambda: _jaxtyped(_returning(function), typechecker=typechecker))

    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        __tracebackhide__ = True
        like = _like((arguments, *keywords.items()) if keywords else arguments)
        results = passed.get(like)
        if results is None:
            result = compiled()(*arguments, **keywords)
        else:
            result = function(*arguments, **keywords)
            if _like(result) in results:
                return result
            _given.result = result
            try:
                only_result()(*arguments, **keywords)
            finally:
                del _given.result
        if like is not None and (result_like := _like(result)) is not None:
            if len(passed) >= LIKES_KEPT:
                passed.clear()
            passed.setdefault(like, set()).add(result_like)
        return result

    call.passed = passed  # pyright: ignore[reportFunctionMemberAccess]
    return call


def _returning(function: FunctionType) -> Callable[..., Any]:
    """What takes what the function takes and returns what is given."""
    given = _given

    def returned(*_arguments: Any, **_keywords: Any) -> Any:
        return given.result

    # annotations are looked up among the names that the function sees
    there = FunctionType(returned.__code__, function.__globals__, closure=returned.__closure__)
    return functools.update_wrapper(there, function)


def _like(value: Any, depth: int = 0) -> Any:
    """What a check of a value can depend on; None for one that has to be looked at each time."""
    kind = type(value)
    how = _HOW.get(kind)
    if how is None:
        how = _HOW[kind] = _how(kind)
    if how is _type_alone:
        return kind
    return _items(value, depth) if how is _items else how(value)


def _how(kind: type) -> Callable[[Any], Any]:
    if issubclass(kind, (Tensor, np.ndarray)):
        return lambda array: (kind, array.shape, array.dtype)
    if issubclass(kind, _BY_VALUE):
        return lambda value: (kind, value)
    if issubclass(kind, (tuple, list)):
        return _items
    if issubclass(kind, Collection):  # its items are looked at, too
        return lambda _: None
    return _type_alone


def _items(values: tuple | list, depth: int = 0) -> Any:
    if len(values) > FEW_ITEMS or depth > DEEPEST:
        return None
    likes = tuple([_like(value, depth + 1) for value in values])
    return None if None in likes else (type(values), likes)


def _type_alone(value: Any) -> type:
    return type(value)


_HOW: dict[type, Callable[[Any], Any]] = {}
_given = threading.local()
_numbers = random.Random(0)
_jaxtyped = jaxtyping._decorator.jaxtyped
jaxtyping.jaxtyped = jaxtyping._decorator.jaxtyped = _remembering
