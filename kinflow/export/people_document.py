"""`people.json` as it is parsed, an object per person, and back to the columns of `FIELDS`.

Nothing is taken for granted: every list is walked to the depth that its field has, and what is
found there must be of its kind (text is no number, nor is true or false) before numpy sees it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kinflow.errors import InputError
from kinflow.export.people_checks import KINDS, check_count
from kinflow.export.people_schema import FIELDS, FORMAT, FRAME_FIELDS, Fields

_DTYPES = {"f": np.float64, "i": np.int64, "U": np.str_}
_LEAVES: dict[str, tuple[type, ...]] = {"f": (int, float), "i": (int,), "U": (str,)}


def key_of(name: str) -> str:
    """What a field is called within the object that it describes."""
    prefixes = {"frames": "frame_", "tracks": "track_", "hypotheses": "hypothesis_"}
    return name.removeprefix(prefixes.get(FIELDS[name].rows, ""))


def fields_of(document: Any) -> Fields:
    """The arrays that a parsed `people.json` holds; those that older files lack may be missing.

    Raises:
        InputError: something is missing, of another type, or not arranged as it should be.
    """
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError("it does not say that it is one")
    people = _objects(document, "people")
    names = _column(_value(document, "energy_names"), "energy_names", {}).tolist()
    frames = _objects(document, "frames") if "frames" in document else []
    tracks = _objects(document, "tracks") if "tracks" in document else []
    for axis, entries in (("people", people), ("frames", frames), ("tracks", tracks)):
        check_count(axis, len(entries))
    owned = [(row, h) for row, person in enumerate(people) for h in _objects(person, "hypotheses")]
    hypotheses = [hypothesis for _, hypothesis in owned]
    rows = {"file": [document], "frames": frames, "tracks": tracks, "people": people}
    rows["hypotheses"] = hypotheses
    sizes = {owner: len(entries) for owner, entries in rows.items()} | {"terms": len(names)}
    sizes["latent"] = _length_of(people[0].get("z")) if people else 0
    sizes["shape"] = _length_of(document.get("shape_names"))
    columns: dict[str, Any] = {"hypothesis_of": [row for row, _ in owned]}
    for name, field in FIELDS.items():
        owner, key = field.rows, key_of(name)
        lacking = field.optional and not any(key in entry for entry in rows[owner])
        if name in FRAME_FIELDS:
            lacking = "frames" not in document
        if name != "hypothesis_of" and not lacking:
            values = [_value(entry, key) for entry in rows[owner]]
            columns[name] = values[0] if owner == "file" else values
    columns["energy"] = [[_value(terms, name) for name in names] for terms in columns["energy"]]
    return {name: _column(values, name, sizes) for name, values in columns.items()}


def _objects(parent: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    entries = _value(parent, key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"the field '{key}' should hold a list of objects")
    return entries


def _value(parent: Any, key: str) -> Any:
    if not isinstance(parent, Mapping):
        raise InputError("its values are not arranged as they should be")
    if key not in parent:
        raise InputError(f"the field '{key}' is missing")
    return parent[key]


def _length_of(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def _column(values: Any, name: str, sizes: Mapping[str, int]) -> np.ndarray:
    field = FIELDS[name]
    _check_leaves(values, name, len(field.axes))
    try:
        array = np.array(values, _DTYPES[field.kind])
    except (ValueError, OverflowError) as error:
        raise InputError("its values are not arranged as they should be") from error
    shape = [axis if isinstance(axis, int) else sizes.get(axis, len(array)) for axis in field.axes]
    # empty lists do not tell their inner axes
    return array.reshape(shape) if array.size == 0 == math.prod(shape) else array


def _check_leaves(values: Any, name: str, depth: int) -> None:
    """Walk lists down to `depth`; what is there has to be of the field's kind."""
    field = FIELDS[name]
    if depth == 0:
        unknown = field.may_be_unknown and values is None
        if not unknown and (
            isinstance(values, bool) or not isinstance(values, _LEAVES[field.kind])
        ):
            raise InputError(f"the field '{name}' should hold {KINDS[field.kind]}")
    elif not isinstance(values, Sequence) or isinstance(values, str):
        raise InputError(f"the field '{name}' is not arranged as it should be")
    else:
        for value in values:
            _check_leaves(value, name, depth - 1)
