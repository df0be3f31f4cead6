"""`people.npz` and `people.json`: two spellings of the same content, and reading either back."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from kinflow.errors import InputError
from kinflow.export.fields import FIELDS, FORMAT, Fields, from_fields, to_fields
from kinflow.files.atomic import write_bytes
from kinflow.reconstruction import Reconstruction

NPZ_NAME = "people.npz"
JSON_NAME = "people.json"

_DTYPES = {"f": np.float64, "i": np.int64, "U": np.str_}


def load(path: Path | str) -> Reconstruction:
    """Read a reconstruction that kinflow wrote.

    Args:
        path: a `people.npz`, a `people.json`, or the folder that holds one of them.

    Raises:
        InputError: there is no such file, or it is damaged or of another kind.

    Example:
        >>> load("no-such-folder/people.npz")
        Traceback (most recent call last):
            ...
        kinflow.errors.InputError: There is no file 'no-such-folder/people.npz'; ...
    """
    path = Path(path)
    if path.is_dir():
        path = next(
            (path / n for n in (NPZ_NAME, JSON_NAME) if (path / n).is_file()), path / NPZ_NAME
        )
    if not path.is_file():
        raise InputError(f"There is no file '{path}'; give a people.npz or people.json of kinflow.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror or error}).") from error
    try:
        fields = _parse_npz(data) if data[:2] == b"PK" else _parse_json(data)
        return from_fields(fields)
    except InputError as error:
        raise InputError(f"'{path}' is not a people file of kinflow: {error}.") from error


def write_npz(reconstruction: Reconstruction, path: Path) -> None:
    """Write `people.npz`: compressed arrays, text as unicode, nothing pickled."""
    write_bytes(path, npz_bytes(to_fields(reconstruction)))


def write_json(reconstruction: Reconstruction, path: Path) -> None:
    """Write `people.json`: the same content with one object per person."""
    write_bytes(path, json_bytes(to_fields(reconstruction)))


def npz_bytes(fields: Fields) -> bytes:
    """Content of `people.npz`."""
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **fields)
    return stream.getvalue()


def json_bytes(fields: Fields) -> bytes:
    """Content of `people.json`."""
    names = fields["energy_names"].tolist()
    document: dict[str, Any] = {n: _plain(fields[n]) for n in FIELDS if _belongs_to(n) == "file"}
    document["people"] = [_row(fields, "people", row) for row in range(len(fields["person"]))]
    for row, entry in enumerate(document["people"]):
        entry["energy"] = dict(zip(names, entry["energy"], strict=True))
        entry["hypotheses"] = [
            _row(fields, "hypotheses", int(i))
            for i in np.flatnonzero(fields["hypothesis_of"] == row)
        ]
    return (json.dumps(document, allow_nan=False, ensure_ascii=False) + "\n").encode()


def _belongs_to(name: str) -> str:
    """Whether a field describes people, hypotheses or, as those without rows do, the file."""
    axes = FIELDS[name].axes
    return str(axes[0]) if axes and axes[0] in ("people", "hypotheses") else "file"


def _key(name: str) -> str:
    return name.removeprefix("hypothesis_")


def _row(fields: Fields, owner: str, row: int) -> dict[str, Any]:
    return {
        _key(name): _plain(np.asarray(fields[name][row]))
        for name in FIELDS
        if _belongs_to(name) == owner and name != "hypothesis_of"
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


def _parse_npz(data: bytes) -> Fields:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, KeyError) as error:
        raise InputError("the archive is damaged or holds pickled objects") from error


def _parse_json(data: bytes) -> Fields:
    try:
        document = json.loads(data)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError("it is neither an npz archive nor JSON") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError("it does not say that it is one")
    try:
        return _from_document(document)
    except KeyError as error:
        raise InputError(f"the field {error} is missing") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError("its values are not arranged as they should be") from error


def _from_document(document: dict[str, Any]) -> Fields:
    people = document["people"]
    names = list(document["energy_names"])
    alternatives = [(row, h) for row, entry in enumerate(people) for h in entry["hypotheses"]]
    held = [n for n, field in FIELDS.items() if not field.optional or _holds(document, n)]
    columns: dict[str, Any] = {n: document[n] for n in held if _belongs_to(n) == "file"}
    for name in held:
        if _belongs_to(name) == "people":
            columns[name] = [entry[name] for entry in people]
        elif name != "hypothesis_of" and _belongs_to(name) == "hypotheses":
            columns[name] = [h[_key(name)] for _, h in alternatives]
    columns["hypothesis_of"] = [row for row, _ in alternatives]
    columns["energy"] = [[terms[name] for name in names] for terms in columns["energy"]]
    latent = len(people[0]["z"]) if people else 0
    sizes = {"people": len(people), "hypotheses": len(alternatives), "latent": latent}
    return {name: _column(columns[name], name, sizes) for name in held}


def _holds(document: dict[str, Any], name: str) -> bool:
    """Whether a file has a field that older ones lack."""
    return any(name in entry for entry in (document, *document["people"]))


def _column(values: Any, name: str, sizes: dict[str, int]) -> np.ndarray:
    field = FIELDS[name]
    array = np.array(values, _DTYPES[field.kind]) if field.kind != "i" else np.array(values)
    if array.size == 0:
        shape = [a if isinstance(a, int) else sizes.get(a, 0) for a in field.axes]
        array = np.zeros(shape, _DTYPES[field.kind])
    return array
