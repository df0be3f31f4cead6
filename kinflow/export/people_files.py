"""`people.npz` and `people.json`: two spellings of the same content, and reading either back."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from kinflow.errors import InputError
from kinflow.export.people_document import fields_of, key_of
from kinflow.export.people_from_fields import from_fields
from kinflow.export.people_schema import FIELDS, Fields
from kinflow.export.people_to_fields import to_fields
from kinflow.files.atomic import write_bytes
from kinflow.files.json_files import read_json
from kinflow.files.names import printable
from kinflow.files.npz_files import is_archive, read_npz
from kinflow.files.reading import check_file, guarded
from kinflow.results import Reconstruction

NPZ_NAME = "people.npz"
JSON_NAME = "people.json"

MAX_NPZ_BYTES = 256 << 20
"""Of an archive, packed as unpacked; a hundred thousand bodies without alternatives fit in."""
MAX_JSON_BYTES = 32 << 20
"""About a thousand people with alternatives, six thousand without; what is not as it should be
may take thirty times that in memory."""

_SHOWN = 5
_WHAT = "a people file of kinflow"


def load(path: Path | str) -> Reconstruction:
    """Read a reconstruction that kinflow wrote.

    Args:
        path: a `people.npz`, a `people.json`, or the folder that holds one of them.

    Raises:
        InputError: there is no such file, or it is damaged or of another kind.

    Examples:
        >>> load("no-such-folder/people.npz")
        Traceback (most recent call last):
            ...
        kinflow.errors.InputError: There is no file 'no-such-folder/people.npz'; ...
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"A people file is given by its path, not by {path!r}.")
    path = Path(path)
    # these, unlike the methods of Path, are False where a name is too long or a folder closed
    if os.path.isdir(path):
        path = people_file(path) or _none_in(path)
    if not os.path.exists(path):
        raise InputError(f"There is no file '{path}'; give a people.npz or people.json of kinflow.")
    with guarded(path, _WHAT):
        arrays, document = _read(path)
        try:
            return from_fields(fields_of(document) if arrays is None else arrays)
        except InputError as error:
            raise InputError(f"'{path}' is not {_WHAT}: {str(error).rstrip('.')}.") from error


def people_file(folder: Path) -> Path | None:
    """The file of the people in a result folder; None where there is none."""
    held = (folder / name for name in (NPZ_NAME, JSON_NAME))
    return next((file for file in held if os.path.isfile(file)), None)


def _none_in(folder: Path) -> Path:
    """Where the file of a folder would be that has none.

    Raises:
        InputError: there are folders in it that have some.
    """
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir())
    results = [printable(name) for name in names if people_file(folder / name) is not None]
    if not results:
        return folder / NPZ_NAME
    shown = ", ".join(f"'{name}'" for name in results[:_SHOWN])
    others = f" and {len(results) - _SHOWN} others" if len(results) > _SHOWN else ""
    raise InputError(
        f"'{folder}' holds several results: name one of its folders {shown}{others}."
        if len(results) > 1
        else f"'{folder}' holds no people.npz, but its folder {shown} does: name that."
    )


def write_npz(reconstruction: Reconstruction, path: Path) -> None:
    """Write `people.npz`: compressed arrays, text as unicode, nothing pickled."""
    write_bytes(path, npz_bytes(to_fields(reconstruction)))


def write_json(reconstruction: Reconstruction, path: Path) -> None:
    """Write `people.json`: the same content with one object per frame and person."""
    write_bytes(path, json_bytes(to_fields(reconstruction)))


def npz_bytes(fields: Fields) -> bytes:
    """Content of `people.npz`."""
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **fields)
    return stream.getvalue()


def json_bytes(fields: Fields) -> bytes:
    """Content of `people.json`."""
    names = fields["energy_names"].tolist()
    document: dict[str, Any] = {
        name: _plain(fields[name])
        for name in FIELDS
        if FIELDS[name].rows == "file" and name in fields
    }
    document["frames"] = [_row(fields, "frames", i) for i in range(len(fields["frame_index"]))]
    document["tracks"] = [_row(fields, "tracks", i) for i in range(len(fields["track_person"]))]
    document["people"] = [_row(fields, "people", row) for row in range(len(fields["person"]))]
    for row, entry in enumerate(document["people"]):
        entry["energy"] = dict(zip(names, entry["energy"], strict=True))
        entry["hypotheses"] = [
            _row(fields, "hypotheses", int(i))
            for i in np.flatnonzero(fields["hypothesis_of"] == row)
        ]
    return (json.dumps(document, allow_nan=False, ensure_ascii=False) + "\n").encode()


def _row(fields: Fields, owner: str, row: int) -> dict[str, Any]:
    return {
        key_of(name): _plain(np.asarray(fields[name][row]))
        for name in FIELDS
        if FIELDS[name].rows == owner and name != "hypothesis_of"
    }


def _plain(array: np.ndarray) -> Any:
    """Lists and numbers; single precision in as many digits as it has, None where unknown."""
    if array.dtype == np.float32:
        array = array.astype(np.str_).astype(np.float64)
    if array.dtype.kind != "f" or not np.isnan(array).any():
        return array.tolist()
    values = array.astype(object)
    values[np.isnan(array)] = None
    return values.tolist()


def _read(path: Path) -> tuple[Fields | None, Any]:
    """The arrays of an archive, or None and the content of a JSON file."""
    check_file(path, MAX_NPZ_BYTES)
    if is_archive(path):
        return read_npz(path, tuple(FIELDS), what=_WHAT, at_most=MAX_NPZ_BYTES), None
    check_file(path, MAX_JSON_BYTES)
    try:
        return None, read_json(path)
    except InputError as error:
        reason = "it is neither an npz archive nor JSON"
        raise InputError(f"'{path}' is not {_WHAT}: {reason} ({error.__cause__}).") from error
