"""Numbers out of what others' files hold, checked: the fields of one body or of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64

from kinflow.body.skeleton import NUM_JOINTS
from kinflow.errors import InputError
from kinflow.files.dense_arrays import as_array
from kinflow.geometry.rotations import rotvec_to_matrix

_MAX_ANGLE_RAD = 1e3
_MAX_VALUE = 1e9


class NoNumbers(InputError):
    """A field of the right shape holds NaN, or what no label is."""


def numbers(
    content: Mapping[Any, Any], name: str, shape: Sequence[int | None], rows: bool = False
) -> Float64[np.ndarray, "..."]:
    """The array of a field.

    Args:
        content: fields of a body, or of many.
        name: of the field.
        shape: None for an axis of any length.
        rows: whether rows stand for themselves: those that cannot be right are NaN, unless all are.

    Raises:
        InputError: it is missing, is not of numbers, or has another shape.
    """
    if name not in content:
        raise InputError(f"it has no {name}")
    try:
        array = np.asarray(as_array(content[name]), np.float64)
    except InputError as error:
        raise InputError(f"its {name} is unusable: {error}") from error
    fits = array.ndim == len(shape) and all(
        wanted in (None, found) for wanted, found in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise InputError(f"its {name} has shape {array.shape} where ({wanted}) is needed")
    good = np.abs(array) <= _MAX_VALUE  # NaN is not
    if good.all():
        return array
    if rows:
        good = good.all(tuple(range(1, array.ndim)))
        if good.any():
            return np.where(good.reshape(-1, *[1] * (array.ndim - 1)), array, np.nan)
    raise NoNumbers(f"its {name} holds numbers that are not finite, or beyond any use")


def optional(
    content: Mapping[Any, Any], name: str, shape: Sequence[int | None], rows: bool = False
) -> Float64[np.ndarray, "..."] | None:
    """As `numbers`; None where the field is missing."""
    return numbers(content, name, shape, rows) if content.get(name) is not None else None


def whole(array: Float64[np.ndarray, " rows"], what: str) -> Int64[np.ndarray, " rows"]:
    """Whole numbers that are stored as any kind of number."""
    if (array != np.floor(array)).any():
        raise InputError(f"its {what} are not whole numbers")
    return array.astype(np.int64)


def rotations(rotvec: Float64[np.ndarray, "rows coordinates"]) -> Float64[np.ndarray, "rows j 3 3"]:
    """Rotation vectors side by side as matrices, of the first 22 joints at most.

    Raises:
        InputError: they are no angles in radians.
    """
    if rotvec.size and np.abs(rotvec).max() > _MAX_ANGLE_RAD:
        raise InputError("its pose holds numbers that are no angles in radians")
    chosen = rotvec[:, : 3 * NUM_JOINTS]
    vectors = torch.from_numpy(chosen.reshape(len(chosen), chosen.shape[1] // 3, 3))
    return rotvec_to_matrix(vectors).numpy()


def stacked(
    rows: Sequence[Mapping[Any, Any]], names: Sequence[str]
) -> dict[str, Float64[np.ndarray, "..."]]:
    """Fields of several bodies with a row for each body; those that one of them lacks are left out.

    Raises:
        InputError: a field is not of numbers, or differs in shape.
    """
    return {name: _stacked(rows, name) for name in names if all(name in row for row in rows)}


def _stacked(rows: Sequence[Mapping[Any, Any]], name: str) -> Float64[np.ndarray, "..."]:
    try:
        arrays = [np.asarray(as_array(row[name]), np.float64) for row in rows]
    except InputError as error:
        raise InputError(f"its {name} is unusable: {error}") from error
    if len({array.shape for array in arrays}) > 1:
        raise InputError(f"its {name} differs in shape from body to body")
    return np.stack(arrays)
