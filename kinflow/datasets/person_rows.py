"""The neutral format of truth and predictions: named arrays, a row for each person in a frame.

`FIELDS` is the one description of it: the reader, the writer, the documentation and the tests go by
it. Everything but who, where and when is optional; protocols say what they need.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kinflow.body.shape import PHENOTYPES
from kinflow.body.skeleton import NUM_JOINTS
from kinflow.files.atomic import write_bytes

FORMAT = "kinflow person rows 1"
UNKNOWN_PIXEL = 255


@dataclass(frozen=True)
class Field:
    """One array of a file."""

    axes: tuple[str | int, ...]
    """Each by its name or its length; axes of one name have one length. `samples` may be left out:
    an array without it has one sample."""
    kind: str
    """Kind of numpy type: f, i, b (or whole numbers 0 and 1), U."""
    meaning: str
    required: bool = False
    may_be_nan: bool = False
    at_least: float | int | None = None
    at_most: float | int | None = None


_FAR_M = 1e5

FIELDS: dict[str, Field] = {
    "format": Field((), "U", f"`{FORMAT}`", required=True),
    "name": Field((), "U", "what tables call it; the file's name if it is left out"),
    "dataset": Field((), "U", "data set that the truth is of, as the protocol calls it"),
    "split": Field((), "U", "part of the data set, as the protocol calls it"),
    "sequence": Field(
        ("rows",), "U", "name of the clip, of one camera, or of the photo", required=True
    ),
    "frame": Field(("rows",), "i", "number in the clip, 0 for a photo", required=True, at_least=0),
    "person": Field(
        ("rows",), "i", "who it is, the same number in all frames; needed to match by id"
    ),
    "valid": Field(("rows",), "b", "whether the row counts; all do if it is left out"),
    "action": Field(("rows",), "U", "what is done, for means over actions"),
    "subject": Field(("rows",), "U", "whose body it is, as `S9`"),
    "camera": Field(("rows",), "U", "which camera saw it"),
    "image": Field(("rows",), "U", "path of the picture, for worst cases"),
    "rate_hz": Field((), "f", "frames a second, for figures of motion", at_least=1e-3, at_most=1e5),
    "joint_names": Field(("joints",), "U", "names in the order of `joints_m`"),
    "joint_source": Field((), "U", "where joints come from, as the protocol calls it"),
    "joints_m": Field(
        ("rows", "samples", "joints", 3),
        "f",
        "joints in the camera's frame (x right, y down, z forward); NaN where not valid",
        may_be_nan=True,
    ),
    "joint_valid": Field(("rows", "joints"), "b", "which joints count; all do if it is left out"),
    "joints_world_m": Field(
        ("rows", "joints", 3), "f", "joints in a world that stands still", may_be_nan=True
    ),
    "root_world_m": Field(("rows", 3), "f", "root in that world, for RTE", may_be_nan=True),
    "vertices_m": Field(
        ("rows", "samples", "vertices", 3),
        "f",
        "mesh in the frame of `joints_m`",
        may_be_nan=True,
    ),
    "t_pose_vertices_m": Field(
        ("rows", "vertices", 3), "f", "mesh in the T-pose, its root at the origin", may_be_nan=True
    ),
    "topology": Field((), "U", "whose mesh it is: `smpl`, `smplx`, `kinflow`"),
    "pose": Field(
        ("rows", NUM_JOINTS, 3, 3),
        "f",
        "local rotations of our 22 joints relative to the T-pose",
        may_be_nan=True,
    ),
    "shape": Field(
        ("rows", len(PHENOTYPES)), "f", "shape parameters of our body", False, True, 0, 1
    ),
    "keypoint_names": Field(("keypoints",), "U", "names in the order of `keypoints_px`"),
    "keypoints_px": Field(
        ("rows", "keypoints", 3),
        "f",
        "x, y and, of truth, visibility (0 not labelled), of predictions confidence",
    ),
    "box_px": Field(("rows", 4), "f", "x, y, width, height"),
    "area_px2": Field(
        ("rows",), "f", "area of the outline, of truth; of the box if left out", at_least=0
    ),
    "crowd": Field(("rows",), "b", "whether the row stands for a crowd; none do if it is left out"),
    "score": Field(("rows",), "f", "how sure the detection is"),
    "parts": Field(
        ("rows", "height", "width"),
        "i",
        "number of the part that a pixel shows, 0 for none, 255 where nobody knows",
        at_least=0,
        at_most=255,
    ),
    "window_px": Field(
        ("rows", 4),
        "f",
        "x, y, width, height of what `parts` and `silhouette` cover; the picture if left out",
    ),
    "silhouette": Field(
        ("rows", "height", "width"),
        "i",
        "1 where the person shows, 0 elsewhere, 255 where nobody knows",
        at_least=0,
        at_most=255,
    ),
}
"""Every array of the format."""

METRES = tuple(name for name, entry in FIELDS.items() if name.endswith("_m"))
LARGEST_M = _FAR_M

TOGETHER: tuple[tuple[str, str], ...] = (
    ("joints_m", "joint_names"),
    ("joints_m", "joint_source"),
    ("joint_valid", "joints_m"),
    ("joints_world_m", "joint_names"),
    ("joints_world_m", "joint_source"),
    ("vertices_m", "topology"),
    ("t_pose_vertices_m", "topology"),
    ("keypoints_px", "keypoint_names"),
)
"""Arrays that need another one: the first of each pair needs the second."""


@dataclass(frozen=True)
class PersonRows:
    """The arrays of one file, or of the files of a folder, checked; samples have an axis of their
    own in `joints_m` and `vertices_m`."""

    name: str
    arrays: Mapping[str, np.ndarray] = field(repr=False)

    def __len__(self) -> int:
        return len(self.arrays["sequence"])

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def text(self, name: str) -> str:
        """A text that belongs to the whole file; empty if it is not there."""
        return str(self.arrays[name]) if name in self.arrays else ""

    def flags(self, name: str, default: bool) -> np.ndarray:
        """A truth value a row."""
        if name in self.arrays:
            return self.arrays[name].astype(bool)
        return np.full(len(self), default)

    def where(self, index: int) -> str:
        """A row in words."""
        person = f", person {self.arrays['person'][index]}" if "person" in self.arrays else ""
        return f"'{self.arrays['sequence'][index]}' frame {self.arrays['frame'][index]}{person}"

    def take(self, index: np.ndarray) -> PersonRows:
        """Some of the rows."""
        taken = {
            name: array[index] if FIELDS[name].axes[:1] == ("rows",) else array
            for name, array in self.arrays.items()
        }
        return PersonRows(self.name, taken)


def write_rows(path: Path | str, arrays: Mapping[str, Any]) -> None:
    """Write a file of rows; `format` is added.

    Raises:
        InputError: it cannot be written.
    """
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **{"format": np.array(FORMAT), **arrays})
    write_bytes(path, stream.getvalue())
