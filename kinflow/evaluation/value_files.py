"""Values of frozen dataclasses in one file: tensors as such, everything else as text beside them.

Nothing that is read is run: only the classes named here are made, by their fields.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from kinflow.errors import InputError
from kinflow.evidence.region import Region
from kinflow.evidence.types import CloseLook, ImageEvidence, PartLabels, PersonEvidence, PersonMask
from kinflow.files.tensor_files import header_json, read_tensors, write_tensors
from kinflow.geometry.image_grid import ImageGrid
from kinflow.geometry.pinhole import Camera
from kinflow.synth.clips import Clip, MovingPerson
from kinflow.synth.world import Box, World, WorldPerson

_CLASSES: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        *(Camera, ImageGrid),
        *(ImageEvidence, PersonEvidence, PersonMask, PartLabels, CloseLook, Region),
        *(World, WorldPerson, Box, Clip, MovingPerson),
    )
}
_FORMAT = "kinflow values 2"
_WHAT = "a file of values"
_MAX_BYTES = 4 << 30


def write_values(path: Path, value: Any) -> None:
    """Write a value made of the known dataclasses, tuples, lists, tensors, numbers and texts.

    Raises:
        InputError: it holds something else, or the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    written = json.dumps(_packed(value, tensors))
    write_tensors(path, tensors, {"format": _FORMAT, "value": written})


def read_values(path: Path) -> Any:
    """The value in a file of `write_values`; lists come back as tuples.

    Raises:
        InputError: the file is damaged or of another kind.
    """
    texts, tensors = read_tensors(path, what=_WHAT, at_most=_MAX_BYTES)
    if texts.get("format") != _FORMAT:
        raise InputError(f"'{path}' is not {_WHAT} of this version of kinflow.")
    packed = header_json(texts, "value", path, object)
    try:
        return _unpacked(packed, tensors)
    except (KeyError, TypeError) as error:
        raise InputError(f"'{path}' is damaged: {error}; delete it and start again.") from error


def _packed(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().clone()
        return {"tensor": name}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [_packed(item, tensors) for item in value]
    if is_dataclass(value) and _CLASSES.get(type(value).__name__) is type(value):
        content = {f.name: _packed(getattr(value, f.name), tensors) for f in fields(value)}
        return {"class": type(value).__name__, "fields": content}
    raise InputError(f"A {type(value).__name__} cannot be stored; only {', '.join(_CLASSES)} can.")


def _unpacked(packed: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(packed, list):
        return tuple(_unpacked(item, tensors) for item in packed)
    if not isinstance(packed, dict):
        return packed
    if "tensor" in packed:
        return tensors[packed["tensor"]]
    content = {name: _unpacked(item, tensors) for name, item in packed["fields"].items()}
    return _CLASSES[packed["class"]](**content)
