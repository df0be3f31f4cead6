"""From JSON values of any kind to arrays of points, numbers and names.

A person's points come as numbers in a row, as rows of numbers, as objects with `x` and `y`, or as
an object of columns; confidences stand with them or in a list of their own. What is null or NaN is
missing, not wrong. All errors are `InputError`s that begin with the place in the file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from kinflow.errors import InputError
from kinflow.evidence.keypoint_files.orders import KNOWN_COUNTS, unknown_count

MAX_POINTS = 1000
_MIN_COUNTED = 5
_CONFIDENCE_KEYS = ("score", "visibility", "confidence", "visible", "v", "c", "conf")
_NAME_KEYS = ("name", "part", "label", "class", "landmark", "id")
_NUMBER_KEYS = ("id", "class_id", "index")


@dataclass(frozen=True)
class PointTable:
    """The points of one person as a file gives them."""

    xyc: Float[np.ndarray, "n 3"]
    """x, y and what stands for the confidence; NaN where the file has no number."""
    names: tuple[str, ...] | None = None
    """What the file calls the points, where each carries its name."""
    in_space: bool = False
    """Whether the points have a third coordinate in the place of a confidence."""


def describe(value: Any) -> str:
    """A short description of any JSON value; never its whole content, which may be huge."""
    if isinstance(value, dict):
        return f"an object of {len(value)} fields"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "...")
    if is_number(value):
        return f"{value}"
    return "null" if value is None else str(value).lower()


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number (true and false are none)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(value: Any, place: str) -> float:
    """A number; NaN for null.

    Raises:
        InputError: it is something else.
    """
    if value is None:
        return math.nan
    if not is_number(value):
        raise InputError(f"{place} has to be a number, but it is {describe(value)}")
    return float(value)


def numbers(values: Any, place: str) -> Float[np.ndarray, " n"]:
    """A list of numbers and nulls.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(values, list):
        raise InputError(f"{place} has to be a list of numbers, but it is {describe(values)}")
    for i, value in enumerate(values):
        if value is not None and not is_number(value):
            raise InputError(f"{place}[{i}] has to be a number, but it is {describe(value)}")
    return np.array([math.nan if v is None else v for v in values], dtype=np.float64)


def text(value: Any, place: str) -> str:
    """A text.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(value, str):
        raise InputError(f"{place} has to be a text, but it is {describe(value)}")
    return value


def objects(value: Any, place: str) -> list[dict[str, Any]]:
    """A list of objects.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(value, list):
        raise InputError(f"{place} has to be a list, but it is {describe(value)}")
    for i, entry in enumerate(value):
        if not isinstance(entry, dict):
            raise InputError(f"{place}[{i}] has to be an object, but it is {describe(entry)}")
    return value


def read_points(value: Any, place: str, scores: Any = None, count: int = 0) -> PointTable | None:
    """The points of a person; None where the file says that there are none.

    Args:
        value: any of the forms that tools write (see the module).
        place: where it stands, for sentences.
        scores: a list of confidences that stands beside the points.
        count: number of points that is expected, where the file or the user names them.

    Raises:
        InputError: it is none of the forms.
    """
    if value is None or value == [] or value == {}:
        return None
    if isinstance(value, list | dict) and len(value) > 5 * MAX_POINTS:
        raise InputError(f"{place} is {describe(value)}, far more than a body has points")
    if isinstance(value, dict):
        table = _of_columns(value, place) if "x" in value else _of_names(value, place)
    elif not isinstance(value, list):
        raise InputError(f"{place} has to be a list of numbers, but it is {describe(value)}")
    elif all(entry is None or is_number(entry) for entry in value):
        table = PointTable(_of_flat(value, place, count))
    elif all(isinstance(entry, dict) for entry in value):
        table = _of_objects(value, place)
    elif len(value) == 1 and _is_nested(value[0]):
        return read_points(value[0], f"{place}[0]", scores, count)
    elif all(entry is None or isinstance(entry, list) for entry in value):
        table = _without_depth(PointTable(_of_rows(_without_numbers(value), place)))
    else:
        table = PointTable(_of_flat(value, place, count))
    if not 0 < len(table.xyc) <= MAX_POINTS:
        raise InputError(unknown_count(place, len(table.xyc)))
    return table if scores is None else _with_scores(table, scores, place)


def _is_nested(value: Any) -> bool:
    """Whether a value is itself a list of rows or objects, rather than a row."""
    return (
        isinstance(value, list) and bool(value) and all(isinstance(v, list | dict) for v in value)
    )


def _of_flat(values: list[Any], place: str, count: int) -> Float[np.ndarray, "n 3"]:
    row = numbers(values, place)
    if len(row) % 3 == 0 and len(row) // 3 in KNOWN_COUNTS:
        return row.reshape(-1, 3)
    # other columns are only believed where the number of points is known: 50 numbers are
    # rather a damaged list of 51 than 25 pairs
    for columns in (3, 2, 4):
        if count and len(row) == columns * count:
            return _as_xyc(row.reshape(-1, columns))
    known = ", ".join(str(3 * known) for known in KNOWN_COUNTS)
    expected = f"{3 * count} numbers are expected" if count else f"known are {known} numbers"
    raise InputError(
        f"{place} has {len(row)} numbers, but {expected} (x, y, confidence of each point)"
    )


def _of_rows(rows: list[Any], place: str) -> Float[np.ndarray, "n 3"]:
    table = np.full((len(rows), 3), math.nan)
    for i, row in enumerate(rows):
        values = numbers(row if row is not None else [None, None], f"{place}[{i}]")
        if not 2 <= len(values) <= 5:
            raise InputError(
                f"{place}[{i}] has to be x, y and a confidence, but it has {len(values)} numbers"
            )
        table[i] = _as_xyc(values[None])[0]
    return table


def _without_numbers(rows: list[Any]) -> list[Any]:
    """Rows without a first column that merely counts them: `[[0, x, y], [1, x, y], ...]`."""
    counted = len(rows) >= _MIN_COUNTED and all(
        isinstance(row, list) and len(row) >= 3 and is_number(row[0]) and row[0] == i
        for i, row in enumerate(rows)
    )
    return [row[1:] for row in rows] if counted else rows


def _without_depth(table: PointTable) -> PointTable:
    """Points in space without their depth, which would pass for a confidence.

    No tool has confidences below zero, but for a -1 that stands for a missing point.
    """
    c = table.xyc[:, 2]
    if np.count_nonzero((c < 0) & (c != -1)) < 2:
        return table
    return PointTable(np.column_stack((table.xyc[:, :2], np.ones(len(c)))), table.names, True)


def _in_order(points: Sequence[Any]) -> Sequence[Any]:
    """Points that carry the numbers 0, 1, 2, ... in the order of these."""
    for key in _NUMBER_KEYS:
        places = [point.get(key) for point in points]
        if all(type(place) is int for place in places):
            if sorted(places) == list(range(len(places))):
                return sorted(points, key=lambda point: point[key])
            return points
    return points


def _as_xyc(table: Float[np.ndarray, "n columns"]) -> Float[np.ndarray, "n 3"]:
    """Columns x, y; x, y, confidence; or x, y, z, visibility (and presence)."""
    if table.shape[1] == 2:
        return np.column_stack((table, np.full(len(table), math.nan)))
    return table[:, (0, 1, min(table.shape[1], 4) - 1)]


def _of_columns(value: dict[str, Any], place: str) -> PointTable:
    x, y = (numbers(value.get(axis), f"{place}.{axis}") for axis in ("x", "y"))
    given = next((key for key in _CONFIDENCE_KEYS if value.get(key) is not None), None)
    c = np.full(len(x), math.nan) if given is None else numbers(value[given], f"{place}.{given}")
    if not len(x) == len(y) == len(c):
        raise InputError(f"{place} has {len(x)} x but {len(y)} y and {len(c)} confidences")
    return PointTable(np.column_stack((x, y, c)))


def _of_names(value: dict[str, Any], place: str) -> PointTable:
    """An object with one entry a point: `{"nose": [x, y, confidence], ...}`."""
    names, rows = tuple(value), list(value.values())
    if all(isinstance(row, dict) for row in rows):
        return PointTable(_of_objects(rows, place).xyc, names)
    return PointTable(_of_rows(rows, place), names)


def _of_objects(points: Sequence[Any], place: str) -> PointTable:
    table = np.full((len(points), 3), math.nan)
    points = _in_order(points)
    for i, point in enumerate(points):
        at, here = point.get("position", point), f"{place}[{i}]"
        if not isinstance(at, dict) or "x" not in at or "y" not in at:
            raise InputError(f"{here} has to be an object with x and y, but it is {describe(at)}")
        given = next((key for key in _CONFIDENCE_KEYS if key in point), None)
        table[i] = (
            number(at["x"], f"{here}.x"),
            number(at["y"], f"{here}.y"),
            math.nan if given is None else number(point[given], f"{here}.{given}"),
        )
    return PointTable(table, _names_of(points))


def _names_of(points: Sequence[dict[str, Any]]) -> tuple[str, ...] | None:
    for key in _NAME_KEYS:
        if points and all(isinstance(point.get(key), str) for point in points):
            return tuple(point[key] for point in points)
    return None


def _with_scores(table: PointTable, scores: Any, place: str) -> PointTable:
    if isinstance(scores, list) and len(scores) == 1 and isinstance(scores[0], list):
        scores = scores[0]
    row = numbers(scores, f"the scores of {place}")
    if len(row) != len(table.xyc):
        raise InputError(f"{place} has {len(table.xyc)} points but {len(row)} scores")
    # a third number beside the scores is a depth
    in_space = table.in_space or bool(np.isfinite(table.xyc[:, 2]).any())
    return PointTable(np.column_stack((table.xyc[:, :2], row)), table.names, in_space)
