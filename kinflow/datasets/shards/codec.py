"""Samples as the files of a shard, and back: `.json`, `.npz` and the picture's own bytes."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import (
    BodyLabel,
    CalibratedCamera,
    Joints3D,
    Keypoints2D,
    Mask,
    PartMapLabel,
    Picture,
)
from kinflow.errors import InputError
from kinflow.evidence.image import as_photo
from kinflow.evidence.image_files import FORMATS
from kinflow.files.json_files import parse_json
from kinflow.files.npz_files import read_npz
from kinflow.files.reading import guarded, reason_of
from kinflow.threads import without_warnings

JSON, ARRAYS = "json", "npz"
_MAX_ARRAY_BYTES = 1 << 28
_LABELS: dict[str, type] = {
    "picture": Picture,
    "keypoints": Keypoints2D,
    "parts": PartMapLabel,
    "mask": Mask,
    "joints": Joints3D,
    "body": BodyLabel,
    "camera": CalibratedCamera,
}
"""Fields of a sample that are values of their own."""


@dataclass(frozen=True)
class StoredPicture(Picture):
    """A picture whose file lies in a shard.

    Args:
        data: the bytes of that file. `path` and `frame` say where they came from.
    """

    data: bytes = b""

    def read(self) -> UInt8[np.ndarray, "height width 3"]:
        """As `Picture.read`."""
        rgb = _decoded(self.data, self.path)
        if self.size is not None and (rgb.shape[1], rgb.shape[0]) != tuple(self.size):
            raise InputError(
                f"'{self.path}' has {rgb.shape[1]} by {rgb.shape[0]} pixels, but its labels are "
                f"for {self.size[0]} by {self.size[1]}; take the images that were labelled."
            )
        return rgb


def encoded(sample: Sample) -> dict[str, bytes]:
    """The files of a sample by their extension, without its picture.

    The same sample gives the same bytes. A mask that is in a file of its own is taken in.

    Raises:
        InputError: that file cannot be read.
    """
    if sample.mask is not None:
        sample = replace(sample, mask=sample.mask.without_file())
    arrays: dict[str, np.ndarray] = {}
    values = _encoded(sample, "", arrays)
    files = {JSON: json.dumps(values, separators=(",", ":")).encode()}
    if arrays:
        stream = io.BytesIO()
        np.savez(stream, **arrays)  # pyright: ignore[reportArgumentType]
        files[ARRAYS] = stream.getvalue()
    return files


def decoded(files: Mapping[str, bytes], where: str) -> Sample:
    """A sample from its files.

    Args:
        files: by extension; the one that is neither JSON nor arrays is the picture.
        where: they come from, for the sentence.

    Raises:
        InputError: they are no sample, or a label of it is malformed.
    """
    if JSON not in files:
        raise InputError(f"'{where}' has no .json file, which is no sample of kinflow's.")
    values = parse_json(files[JSON], where)
    data = files.get(ARRAYS)
    arrays = {} if data is None else read_npz(data, at_most=_MAX_ARRAY_BYTES, path=where)
    pictures = [content for kind, content in files.items() if kind not in (JSON, ARRAYS)]
    with guarded(where, "a sample"):
        return _sample(values, arrays, pictures[0] if pictures else None)


def _sample(values: Any, arrays: Mapping[str, np.ndarray], picture: bytes | None) -> Sample:
    if not isinstance(values, dict):
        raise InputError("A sample has to be an object of JSON.")
    whole: dict[str, Any] = {}
    for name, value in values.items():
        kind = _LABELS.get(name)
        if kind is None:
            whole[name] = _given(value, name, arrays)
            continue
        parts = {key: _given(v, f"{name}.{key}", arrays) for key, v in value.items()}
        if name == "picture":
            parts["path"] = Path(parts["path"])
            if picture is not None:
                kind, parts["data"] = StoredPicture, picture
        if name == "mask" and "path" in parts:
            raise InputError("A mask in a shard has to be in it, not in a file elsewhere.")
        whole[name] = kind(**parts)
    return Sample(**whole)


def _given(value: Any, name: str, arrays: Mapping[str, np.ndarray]) -> Any:
    """A value of JSON as the fields have it: lists are tuples; arrays lie elsewhere."""
    if isinstance(value, dict):
        return arrays[name]
    return _tuples(value)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _encoded(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    """A value for JSON; arrays go to `arrays` and leave an empty object behind."""
    if is_dataclass(value):
        inner = {f.name: getattr(value, f.name) for f in fields(value) if f.name != "data"}
        prefix = f"{path}." if path else ""
        there = {name: v for name, v in inner.items() if v is not None}
        return {name: _encoded(v, prefix + name, arrays) for name, v in there.items()}
    if isinstance(value, np.ndarray):
        arrays[path] = value
        return {}
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, tuple):
        return [_encoded(entry, path, arrays) for entry in value]
    return value.item() if isinstance(value, np.generic) else value


def _decoded(data: bytes, path: Path) -> UInt8[np.ndarray, "height width 3"]:
    try:
        with (
            without_warnings(),
            Image.open(io.BytesIO(data), formats=(*FORMATS, "AVIF")) as image,
        ):
            return as_photo(image).rgb
    except InputError:
        raise
    except Exception as error:  # each decoder has its own, from struct, zlib and the plugins
        raise InputError(f"'{path}' is damaged or incomplete ({reason_of(error)}).") from error
