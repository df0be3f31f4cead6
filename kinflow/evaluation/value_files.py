"""Values of frozen dataclasses in one file: tensors as such, everything else as text beside them.

Nothing that is read is run: only the classes named here are made, by their fields.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kinflow.errors import InputError
from kinflow.evidence.clothes import Clothes
from kinflow.evidence.region import Region
from kinflow.evidence.tracking import Sighting
from kinflow.evidence.types import (
    CloseLook,
    FaceAge,
    ImageEvidence,
    PartLabels,
    PersonEvidence,
    PersonMask,
    Surroundings,
)
from kinflow.files.snapshots import Snapshot, restored, taken
from kinflow.files.tensor_files import header_json, read_tensors, write_tensors
from kinflow.geometry.image_grid import ImageGrid
from kinflow.geometry.pinhole import Camera
from kinflow.synth.clips import Clip, MovingPerson
from kinflow.synth.world import Box, World, WorldPerson

_CLASSES = (
    *(Camera, ImageGrid, Sighting, Clothes),
    *(ImageEvidence, PersonEvidence, PersonMask, PartLabels, CloseLook, Region),
    *(Surroundings, FaceAge),
    *(World, WorldPerson, Box, Clip, MovingPerson),
)
_FORMAT = "kinflow values 5"
_WHAT = "a file of values"
_MAX_BYTES = 4 << 30


def write_values(path: Path, value: Any) -> None:
    """Write a value made of the known dataclasses, containers, arrays, numbers and texts.

    Raises:
        InputError: it holds something else, or the file cannot be written.
    """
    snapshot = taken(value, _CLASSES)
    texts = {"format": _FORMAT, "value": json.dumps(snapshot.tree)}
    write_tensors(path, snapshot.tensors, texts)


def read_values(path: Path) -> Any:
    """The value in a file of `write_values`.

    Raises:
        InputError: the file is damaged or of another kind.
    """
    texts, tensors = read_tensors(path, what=_WHAT, at_most=_MAX_BYTES)
    if texts.get("format") != _FORMAT:
        raise InputError(f"'{path}' is not {_WHAT} of this version of kinflow.")
    try:
        return restored(Snapshot(header_json(texts, "value", path, object), tensors), _CLASSES)
    except InputError as error:
        raise InputError(f"'{path}' is damaged: {error} Delete it and start again.") from error
