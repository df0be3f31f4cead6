"""The checker of types and shapes in tests: beartype, at a function's first call.

Compiling the checks of all of kinflow takes seconds in every process that runs tests, most of it
for functions that it never calls. Nor is a call checked again whose like has passed: what jaxtyping
and beartype say depends on types, shapes and data types alone, and to ask them takes longer than
much of what the functions themselves do.

To import this module makes `jaxtyping.jaxtyped` remember; kinflow is imported after it. And what
kinflow's modules import has its compiled files where they always are: jaxtyping, which needs a
place of its own for those of kinflow, would else have every process of the first tests on a machine
compile half of torch and SymPy anew.
"""

import contextlib
import functools
import operator
import random
import threading
from collections.abc import Callable, Collection
from enum import Enum
from importlib.machinery import SourceFileLoader
from importlib.util import cache_from_source
from types import CodeType, FunctionType
from typing import Any
from unittest.mock import patch

import jaxtyping._decorator
import jaxtyping._import_hook
import numpy as np
from beartype import beartype
from torch import Tensor

LIKES_KEPT = 1000
"""Of a function that is called with ever new values no more are kept."""
MANY_ARGUMENTS = 32
FEW_ITEMS = 16
DEEPEST = 3
"""Longer tuples and lists are checked each time, those within more of them, and longer calls."""
_BY_VALUE = (int, str, type(None), type, Enum)
"""Literal types and names of axes may ask for a value of these."""


_TAG = "checked" + "".join(filter(str.isalnum, jaxtyping.__version__))


def _get_code(loader: SourceFileLoader, name: str) -> CodeType | None:
    """Of a module of kinflow; compiled files of others are looked for elsewhere."""
    place = functools.partial(cache_from_source, optimization=_TAG)
    with patch("importlib._bootstrap_external.cache_from_source", place):
        return SourceFileLoader.get_code(loader, name)


jaxtyping._import_hook._JaxtypingLoader.exec_module = SourceFileLoader.exec_module
jaxtyping._import_hook._JaxtypingLoader.get_code = _get_code


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
    likes, result_likes = _LIKES[1], _LIKES[0]

    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        __tracebackhide__ = True
        try:
            like = tuple([likes[type(value)](value) for value in arguments])
            if keywords:
                named = [likes[type(value)](value) for value in keywords.values()]
                like = (*like, _NAMED, *keywords, *named)
        except _EachTime:
            like = None
        results = passed.get(like)
        if results is None:
            result = compiled()(*arguments, **keywords)
        else:
            result = function(*arguments, **keywords)
            try:
                if result_likes[type(result)](result) in results:
                    return result
            except _EachTime:
                pass
            _given.result = result
            try:
                only_result()(*arguments, **keywords)
            finally:
                del _given.result
        if like is None or len(like) > MANY_ARGUMENTS:
            return result
        with contextlib.suppress(_EachTime):
            result_like = result_likes[type(result)](result)
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


class _EachTime(Exception):
    """A check of a value may depend on more than its like; it has to be looked at each time."""


class _Likes(dict[type, Callable[[Any], Any]]):
    """For each kind of values, what makes of one of them what a check of it can depend on.

    Every call in kinflow comes here, so that functions of C do it where they can.
    """

    def __init__(self, depth: int) -> None:
        super().__init__()
        self._depth = depth

    def __missing__(self, kind: type) -> Callable[[Any], Any]:
        self[kind] = how = self._how(kind)
        return how

    def _how(self, kind: type) -> Callable[[Any], Any]:
        if issubclass(kind, (Tensor, np.ndarray)):
            return operator.attrgetter("__class__", "shape", "dtype")
        if kind in (int, str):
            return kind  # the value itself; those that are equal to it are of kinds that are told
        if issubclass(kind, _BY_VALUE):
            return lambda value: (kind, value)
        if issubclass(kind, (tuple, list)):
            return self._of_items(kind)
        if issubclass(kind, Collection):  # its items are looked at, too
            return _refused
        return type

    def _of_items(self, kind: type) -> Callable[[Any], Any]:
        if self._depth > DEEPEST:
            return _refused
        likes = _LIKES[self._depth + 1]

        def of_items(values: tuple | list) -> Any:
            if len(values) > FEW_ITEMS:
                raise _EachTime
            return kind, *[likes[type(value)](value) for value in values]

        return of_items


def _refused(value: Any) -> Any:
    raise _EachTime


_LIKES = [_Likes(depth) for depth in range(DEEPEST + 2)]
_NAMED = object()
"""Stands before the names of arguments that are given by name."""
_given = threading.local()
_numbers = random.Random(0)
_jaxtyped = jaxtyping._decorator.jaxtyped
jaxtyping.jaxtyped = jaxtyping._decorator.jaxtyped = _remembering
