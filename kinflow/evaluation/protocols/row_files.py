"""Reading files of person rows, which anybody may have written: one sentence for what is wrong.

A folder of files counts as one file whose rows are those of all of them, so that a data set with
meshes can be written a sequence at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kinflow.datasets.person_rows import (
    FIELDS,
    FORMAT,
    LARGEST_M,
    METRES,
    TOGETHER,
    Field,
    PersonRows,
)
from kinflow.errors import InputError
from kinflow.files.npz_files import read_npz
from kinflow.files.reading import guarded, readable

MAX_BYTES = 8 << 30
"""Of what one file unpacks to."""
MAX_ROWS = 5_000_000
_WHAT = "a file of person rows"
_LONGEST_TEXT = 1000
_CHUNK = 1024
_KINDS = {"f": ("fiu", "numbers"), "i": ("iu", "whole numbers"), "b": ("biu", "truth values")}
_MILLIMETRES_M = 20.0
"""Joints of a person are never so far from their middle in metres."""


def read_rows(path: Path | str) -> PersonRows:
    """The rows of a file, or of all npz files of a folder in the order of their names.

    Raises:
        InputError: there is no such file, it is damaged or of another kind, an array is missing or
            does not fit the format, files of a folder differ in what they hold, or two rows are of
            one person in one frame.
    """
    path = Path(path)
    with readable(path):
        is_folder = path.is_dir()
        files = sorted(path.glob("*.npz")) if is_folder else [path]
    if not files:
        raise InputError(f"'{path}' holds no .npz files of person rows.")
    parts = [_read_file(file) for file in files]
    arrays = parts[0] if len(parts) == 1 else _joined(parts, files)
    _check_unique(arrays, path)
    name = str(arrays["name"]) if "name" in arrays else path.stem
    return PersonRows(name, arrays)


def _read_file(path: Path) -> dict[str, np.ndarray]:
    with guarded(path, _WHAT):
        raw = read_npz(path, tuple(FIELDS), what=_WHAT, at_most=MAX_BYTES)
        if "format" not in raw or raw["format"].ndim or str(raw["format"]) != FORMAT:
            raise InputError(f"'{path}' is not {_WHAT}: its `format` is not '{FORMAT}'.")
        try:
            return _checked(raw)
        except InputError as error:
            raise InputError(f"'{path}' cannot be used: {error}") from error


def _checked(raw: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    for name, entry in FIELDS.items():
        if entry.required and name not in raw:
            raise InputError(f"{name} is missing ({entry.meaning}).")
    for name, other in TOGETHER:
        if name in raw and other not in raw:
            raise InputError(f"{name} needs {other} ({FIELDS[other].meaning}).")
    sizes: dict[str, tuple[int, str]] = {}
    arrays = {name: _shaped(name, array, sizes) for name, array in raw.items()}
    for name in arrays:
        _check_kind(name, arrays[name])
    for name in ("joint_names", "keypoint_names"):
        if name in arrays and len(set(arrays[name].tolist())) < len(arrays[name]):
            raise InputError(f"{name} has a name twice.")
    rows = PersonRows("", arrays)
    if not 0 < len(rows) <= MAX_ROWS:
        raise InputError(f"it has {len(rows)} rows; 1 to {MAX_ROWS} can be used.")
    for name in arrays:
        _check_values(name, rows)
    _check_metres(rows)
    _check_rotations(rows)
    return arrays


def _shaped(name: str, array: np.ndarray, sizes: dict[str, tuple[int, str]]) -> np.ndarray:
    """The array with an axis for samples where it may have one, axes of one name being alike."""
    axes = FIELDS[name].axes
    if "samples" in axes and array.ndim == len(axes) - 1:
        array = np.expand_dims(array, axes.index("samples"))
    if array.ndim != len(axes):
        raise InputError(f"{name} has {array.ndim} axes instead of {len(axes)} ({_axes(axes)}).")
    for axis, size in zip(axes, array.shape, strict=True):
        if isinstance(axis, int):
            if size != axis:
                raise InputError(f"{name} has the shape {array.shape} instead of ({_axes(axes)}).")
            continue
        wanted, by = sizes.setdefault(axis, (size, name))
        if size != wanted:
            raise InputError(f"{name} has {size} {axis}, but {by} has {wanted}.")
    return array


def _axes(axes: tuple[str | int, ...]) -> str:
    return ", ".join(str(axis) for axis in axes)


def _check_kind(name: str, array: np.ndarray) -> None:
    kind = FIELDS[name].kind
    if kind == "U":
        if array.dtype.kind != "U":
            raise InputError(f"{name} holds {array.dtype} instead of text.")
        if array.dtype.itemsize > 4 * _LONGEST_TEXT:
            raise InputError(f"{name} has texts of more than {_LONGEST_TEXT} letters.")
        return
    kinds, what = _KINDS[kind]
    if array.dtype.kind not in kinds:
        raise InputError(f"{name} holds {array.dtype} instead of {what}.")


def _check_values(name: str, rows: PersonRows) -> None:
    entry, array = FIELDS[name], rows[name]
    if entry.kind == "U":
        if entry.required and array.ndim and bool((array == "").any()):
            raise InputError(f"{name} is empty in row {int((array == '').argmax())}.")
        return
    if array.size == 0:
        raise InputError(f"{name} is empty.")
    if entry.kind == "b":
        low, high = 0.0, 1.0
    else:
        low = -np.inf if entry.at_least is None else entry.at_least
        high = np.inf if entry.at_most is None else entry.at_most
    if entry.kind == "f":
        _check_finite(name, entry, rows)
    if low > -np.inf or high < np.inf:
        seen = array[~np.isnan(array)] if array.dtype.kind == "f" else array
        if seen.size and not (low <= seen.min() and seen.max() <= high):
            raise InputError(
                f"{name} reaches from {seen.min():g} to {seen.max():g}; it has to be "
                + (f"from {low:g} to {high:g}." if high < np.inf else f"at least {low:g}.")
            )


def _check_finite(name: str, entry: Field, rows: PersonRows) -> None:
    array = rows[name]
    bad = np.isinf(array) if entry.may_be_nan else ~np.isfinite(array)
    if entry.axes[:1] != ("rows",):
        if bad.any():
            raise InputError(f"{name} is not finite (NaN or infinity).")
        return
    flat = bad.reshape(len(rows), -1).any(1)
    if entry.may_be_nan:
        flat = flat | _nan_where_valid(name, rows)
    if flat.any():
        raise InputError(
            f"{name} is not finite (NaN or infinity) for {rows.where(int(flat.argmax()))}; mark "
            "the row as not valid, or leave it out."
        )


def _nan_where_valid(name: str, rows: PersonRows) -> np.ndarray:
    """Rows that count and yet have NaN in a joint that counts."""
    missing = np.isnan(rows[name])
    if name in ("joints_m", "joints_world_m"):
        missing = missing.any(-1)
        if "joint_valid" in rows:
            counts = rows["joint_valid"].astype(bool)
            missing &= counts[:, None] if name == "joints_m" else counts
    return missing.reshape(len(rows), -1).any(1) & rows.flags("valid", True)


def _check_metres(rows: PersonRows) -> None:
    for name in METRES:
        if name not in rows:
            continue
        array = rows[name]
        if array.size and float(np.nanmax(np.abs(array), initial=0.0)) > LARGEST_M:
            raise InputError(f"{name} holds numbers beyond {LARGEST_M:g} m.")
        if name in ("joints_m", "vertices_m"):
            _check_span(name, rows)


def _check_span(name: str, rows: PersonRows) -> None:
    """Nobody is as long as a house; numbers in millimetres look so."""
    for begin in range(0, len(rows), _CHUNK):
        points = rows[name][begin : begin + _CHUNK]
        with np.errstate(invalid="ignore"):
            span = np.abs(points - points[..., :1, :]).max((1, 2, 3))
        far = np.nan_to_num(span) > _MILLIMETRES_M
        if far.any():
            raise InputError(
                f"{name} spans more than {_MILLIMETRES_M:g} m for "
                f"{rows.where(begin + int(far.argmax()))}; is it in millimetres?"
            )


def _check_rotations(rows: PersonRows) -> None:
    if "pose" not in rows:
        return
    R = rows["pose"].astype(np.float64)
    off = np.abs(R @ R.swapaxes(-1, -2) - np.eye(3)).max((-1, -2))
    bad = (off > 1e-2) | (np.linalg.det(np.nan_to_num(R)) < 0)
    bad &= ~np.isnan(R).any((-1, -2))
    if bad.any():
        raise InputError(f"pose is no rotation for {rows.where(int(bad.any(1).argmax()))}.")


def _joined(
    parts: Sequence[Mapping[str, np.ndarray]], files: Sequence[Path]
) -> dict[str, np.ndarray]:
    first = parts[0]
    for part, file in zip(parts[1:], files[1:], strict=True):
        if set(part) != set(first):
            off = ", ".join(sorted(set(part) ^ set(first)))
            raise InputError(f"'{files[0]}' and '{file}' differ in what they hold: {off}.")
        for name, array in part.items():
            by_row = FIELDS[name].axes[:1] == ("rows",)
            same = array.shape[1:] == first[name].shape[1:] if by_row else None
            if same is None:
                same = array.shape == first[name].shape and bool((array == first[name]).all())
            if not same:
                raise InputError(f"'{files[0]}' and '{file}' differ in {name}.")
    return {
        name: np.concatenate([part[name] for part in parts])
        if FIELDS[name].axes[:1] == ("rows",)
        else array
        for name, array in first.items()
    }


def _check_unique(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """No person twice in a frame; where persons have no numbers, nobody can know."""
    if "person" not in arrays:
        return
    rows = PersonRows("", arrays)
    seen: set[tuple[str, int, int]] = set()
    keys = zip(*(arrays[name].tolist() for name in ("sequence", "frame", "person")), strict=True)
    for index, key in enumerate(keys):
        if key in seen:
            raise InputError(f"'{path}' has two rows for {rows.where(index)}.")
        seen.add(key)
