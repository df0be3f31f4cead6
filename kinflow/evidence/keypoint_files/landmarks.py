"""MediaPipe's 33 landmarks, which everybody saves in another way.

MediaPipe itself writes no files, so there are lists, protocol buffers as JSON, results of the
Python and JavaScript packages, objects by name or number, and rows of tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from kinflow.errors import InputError
from kinflow.evidence.keypoint_files.listing import (
    Entry,
    ImageRef,
    Listing,
    fields_of,
    image_ref,
)
from kinflow.evidence.keypoint_files.orders import body_point
from kinflow.evidence.keypoint_files.values import is_number

_LANDMARK_KEYS = ("poseLandmarks", "pose_landmarks", "landmarks", "landmark", "pose_landmark")
_LANDMARKS = 33
_LOOKED_AT = 200
_COLUMN = re.compile(
    r"(.*?)[_.\- ]?(x|y|z|v|c|visibility|presence|score|confidence)", re.IGNORECASE
)
_NUMBERED = re.compile(r"(x|y|z|v|visibility)[_.\- ]?(\d+)", re.IGNORECASE)


def has_landmarks(value: dict[str, Any]) -> bool:
    """Whether an object is a result of MediaPipe, rather than one of its landmarks."""
    # a row of a table has a landmark's name or number beside its coordinates
    return any(key in value for key in _LANDMARK_KEYS) and not ("x" in value and "y" in value)


def read_landmarks(frames: list[dict[str, Any]]) -> Listing:
    """The people of results of MediaPipe, one an image.

    Raises:
        InputError: one of them has no landmarks.
    """
    entries: list[Entry] = []
    for i, frame in enumerate(frames):
        key = next((k for k in _LANDMARK_KEYS if k in frame), None)
        if key is None:
            raise InputError(f"the list[{i}] has no landmarks, but {fields_of(frame) or 'nothing'}")
        here = key if len(frames) == 1 else f"the list[{i}].{key}"
        image = image_ref(frame, "") or (ImageRef(id=f"frame {i}") if len(frames) > 1 else None)
        for k, points in enumerate(_poses(frame[key])):
            entries.append(Entry(f"{here}, pose {k}", points, image=image))
    return Listing("landmarks", "MediaPipe", tuple(entries))


def flat_landmarks(values: list[Any]) -> list[list[Any]] | None:
    """The rows of 33 landmarks that were written one after another, with four numbers each."""
    if len(values) != 4 * _LANDMARKS or not all(v is None or is_number(v) for v in values):
        return None
    return [values[i : i + 4] for i in range(0, len(values), 4)]


def named_points(content: dict[str, Any]) -> Listing | None:
    """One person as an object of points: by name, by number, or a field for each coordinate."""
    points = _of_columns(content) or content
    if any(body_point(key) is not None for key in islice(points, _LOOKED_AT)):
        return Listing("entries", "named points", (Entry("the file", points),))
    by_number = _by_number(points)
    if by_number is not None and len(by_number) == _LANDMARKS:
        return replace(read_landmarks([{"landmarks": by_number}]), tool="numbered points")
    return None


def _of_columns(content: dict[str, Any]) -> dict[str, dict[str, Any]] | None:
    """Points of a row of a table, `nose_x`, `nose_y`, ... or `x0`, `y0`, ...; None if it is not."""
    if len(content) > 8 * _LANDMARKS:
        return None
    points: dict[str, dict[str, Any]] = {}
    for key, value in content.items():
        numbered, named = _NUMBERED.fullmatch(key), _COLUMN.fullmatch(key)
        if not (value is None or is_number(value)) or (numbered is None and named is None):
            continue
        name, axis = (numbered[2], numbered[1]) if numbered else (named[1], named[2])  # pyright: ignore[reportOptionalSubscript]
        points.setdefault(name, {})[axis.lower()] = value
    points = {name: point for name, point in points.items() if "x" in point and "y" in point}
    return points or None


def _by_number(points: dict[str, Any]) -> list[Any] | None:
    """The values of an object whose keys are 0, 1, 2, ..., in that order."""
    numbers = {int(key): value for key, value in points.items() if re.fullmatch(r"\d{1,3}", key)}
    if len(numbers) != len(points) or sorted(numbers) != list(range(len(numbers))):
        return None
    return [numbers[i] for i in range(len(numbers))]


def _poses(value: Any) -> Iterator[Any]:
    """The landmarks of each person: of one, or of several in a list."""
    if isinstance(value, dict):
        inner = value.get("landmark", value.get("landmarks"))
        # an object of points by number, or by name
        value = inner if inner is not None else _by_number(value) or value
    if value is None:
        return
    if (
        isinstance(value, list)
        and value
        and all(
            isinstance(v, list)
            or (isinstance(v, dict) and any(isinstance(v.get(k), list) for k in _LANDMARK_KEYS))
            for v in value
        )
    ):
        if isinstance(value[0], list) and value[0] and not isinstance(value[0][0], list | dict):
            yield value  # rows of numbers
            return
        for pose in value:
            yield pose.get("landmark", pose.get("landmarks")) if isinstance(pose, dict) else pose
        return
    yield value
