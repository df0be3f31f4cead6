"""Options check themselves: what their dataclasses call from `__post_init__`.

Each function looks at fields by name, raises one sentence that says which field, what it may be and
what it is, and leaves plain Python numbers behind, so that numpy's scalars are welcome:

    @dataclass(frozen=True)
    class Search:
        poses: int = 1024
        share: float = 0.5

        def __post_init__(self) -> None:
            whole(self, "poses", at_least=1)
            number(self, "share", at_least=0, at_most=1)

Nothing heavy is imported here: the command line's options are checked as well, and speak of flags.
"""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NoReturn, cast

from kinflow.errors import InputError, OptionError

MAX_WHOLE = 2**63 - 1
"""What torch and numpy can hold."""

Bound = float | int | None

_parsing: ContextVar[bool] = ContextVar("parsing", default=False)


@contextmanager
def command_line() -> Iterator[None]:
    """Inside, options are those of the command line: what is wrong with them is an `OptionError`.

    tyro draws a box around every `ValueError`, such as an `InputError`; kinflow prints sentences.
    """
    token = _parsing.set(True)
    try:
        yield
    finally:
        _parsing.reset(token)


def refuse(sentence: str) -> NoReturn:
    """Say what is wrong with an option."""
    raise OptionError(sentence) if _parsing.get() else InputError(sentence)


def number(
    options: Any,
    *names: str,
    at_least: Bound = None,
    above: Bound = None,
    at_most: Bound = None,
    below: Bound = None,
    or_none: bool = False,
    flags: bool = False,
) -> None:
    """Finite numbers within bounds; never text, nor True and False.

    Args:
        options: the dataclass.
        names: its fields.
        at_least, above, at_most, below: bounds, the second and the last of them excluded.
        or_none: whether None is fine too.
        flags: call fields as the command line does: `--focal-px`.

    Raises:
        InputError: one of them is something else.
    """
    wanted = "a number" + _bounds(at_least, above, at_most, below)
    for name in names:
        value = getattr(options, name)
        if value is None and or_none:
            continue
        good = is_number(value) and _within(value, at_least, above, at_most, below)
        _keep(options, name, good, float, wanted, flags)


def whole(
    options: Any,
    *names: str,
    at_least: int = 0,
    at_most: int = MAX_WHOLE,
    or_none: bool = False,
    flags: bool = False,
) -> None:
    """Whole numbers within bounds; arguments and errors as for `number`."""
    wanted = "a whole number" + _bounds(at_least, at_most=None if at_most == MAX_WHOLE else at_most)
    for name in names:
        value = getattr(options, name)
        if value is None and or_none:
            continue
        integral = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        good = integral and at_least <= int(cast(int, value)) <= at_most
        _keep(options, name, good, int, wanted, flags)


def share(options: Any, *names: str) -> None:
    """Probabilities and other fractions of a whole: from 0 to 1."""
    number(options, *names, at_least=0, at_most=1)


def positive(options: Any, *names: str) -> None:
    """Numbers above 0."""
    number(options, *names, above=0)


def not_negative(options: Any, *names: str) -> None:
    """Numbers of 0 and more."""
    number(options, *names, at_least=0)


def numbers_of(
    options: Any,
    *names: str,
    count: int | None = None,
    at_least: Bound = None,
    above: Bound = None,
    at_most: Bound = None,
    ascending: bool = False,
    kind: type = float,
) -> None:
    """Tuples of finite numbers within bounds.

    Args:
        options: the dataclass.
        names: its fields.
        count: how many numbers; any but none if left out.
        at_least, above, at_most: bounds of each.
        ascending: whether none may be smaller than the one before, as in ranges.
        kind: float, or int for whole numbers.

    Raises:
        InputError: one of the fields is something else.
    """
    what = "whole numbers" if kind is int else "numbers"
    wanted = f"{count or 'one or more'} {what}{_bounds(at_least, above, at_most)}"
    wanted += ", the smaller first" if ascending else ""
    for name in names:
        values = getattr(options, name)
        good = isinstance(values, Sequence) and not isinstance(values, str | bytes)
        good = good and len(values) > 0 and count in (None, len(values))
        good = good and all(
            is_number(v) and _within(v, at_least, above, at_most) and kind(v) == v for v in values
        )
        good = good and (not ascending or list(values) == sorted(values))
        _keep(options, name, good, lambda v: tuple(kind(x) for x in v), wanted, False)


def pairs_of_sides(options: Any, name: str, at_least: int, at_most: int) -> None:
    """A tuple of one or more sizes (width, height) in whole pixels within bounds."""
    sizes = getattr(options, name)
    good = isinstance(sizes, tuple | list) and all(
        isinstance(size, tuple | list)
        and len(size) == 2
        and all(isinstance(side, int) and at_least <= side <= at_most for side in size)
        for size in sizes
    )
    if not (good and sizes):
        refuse(
            f"{name} has to be a tuple of sizes (width, height) of {at_least} to {at_most} pixels, "
            f"not {_shown(sizes)}."
        )


def flag(options: Any, *names: str) -> None:
    """True or False."""
    for name in names:
        value = getattr(options, name)
        # numpy has a bool of its own
        good = type(value).__name__ in ("bool", "bool_") and value in (True, False)
        _keep(options, name, good, bool, "True or False", False)


def one_of(options: Any, name: str, choices: Collection[str]) -> None:
    """One of a few words."""
    value = getattr(options, name)
    if not (isinstance(value, str) and value in choices):
        refuse(f"{name} has to be one of {', '.join(choices)}; {_shown(value)} is not.")


def some_of(options: Any, name: str, choices: Collection[str]) -> None:
    """A tuple of at least one of a few words."""
    values = getattr(options, name)
    listed = isinstance(values, Collection) and not isinstance(values, str | bytes)
    if not (listed and values and all(isinstance(v, str) and v in choices for v in values)):
        refuse(
            f"{name} has to be a tuple of one or more of {', '.join(choices)}, "
            f"not {_shown(values)}."
        )


def words(options: Any, name: str, wanted: str, or_none: bool = False) -> None:
    """A tuple of one or more texts or paths; `wanted` is what to call it, `or_none` allows ()."""
    values = getattr(options, name)
    listed = isinstance(values, tuple | list)
    listed = listed and all(isinstance(value, str | os.PathLike) for value in values)
    if not (listed and (values or or_none)):
        refuse(f"{name} has to be {wanted}, not {_shown(values)}.")


def path(options: Any, *names: str, or_none: bool = False) -> None:
    """Paths, as text or path objects; what is left behind is a `Path`."""
    for name in names:
        value = getattr(options, name)
        if value is None and or_none:
            continue
        good = isinstance(value, str | os.PathLike) and str(value) != ""
        _keep(options, name, good, lambda v: Path(os.fsdecode(v)), "a path", False)


def instance(options: Any, name: str, kind: type | tuple[type, ...], wanted: str) -> None:
    """A value of some type, for nested options above all; `wanted` is what to call it."""
    value = getattr(options, name)
    if not isinstance(value, kind):
        refuse(f"{name} has to be {wanted}, not {_shown(value)}.")


def nested(options: Any, **kinds: type) -> None:
    """Fields that are options themselves, by name and type."""
    for name, kind in kinds.items():
        instance(options, name, kind, f"a {kind.__name__}")


def is_number(value: Any) -> bool:
    """Whether it is a finite number, and neither text nor True or False."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


def _within(
    value: Any,
    at_least: Bound = None,
    above: Bound = None,
    at_most: Bound = None,
    below: Bound = None,
) -> bool:
    return (
        (at_least is None or value >= at_least)
        and (above is None or value > above)
        and (at_most is None or value <= at_most)
        and (below is None or value < below)
    )


def _bounds(
    at_least: Bound = None,
    above: Bound = None,
    at_most: Bound = None,
    below: Bound = None,
) -> str:
    if at_least is not None and at_most is not None:
        return f" from {at_least:g} to {at_most:g}"
    words = (("of at least", at_least), ("above", above), ("up to", at_most), ("below", below))
    return " and".join(f" {word} {bound:g}" for word, bound in words if bound is not None)


def _keep(options: Any, name: str, good: bool, plain: Any, wanted: str, flags: bool) -> None:
    value = getattr(options, name)
    if not good:
        called = "--" + name.replace("_", "-") if flags else name
        refuse(f"{called} has to be {wanted}, not {_shown(value)}.")
    # frozen dataclasses refuse ordinary assignment, and this one is still being made
    object.__setattr__(options, name, plain(value))


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
