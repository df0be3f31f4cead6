"""The content of `people.npz` and `people.json`: named arrays, one row per person.

`FIELDS` is the one description of the format. Writing fills it from a `Reconstruction`; reading
checks names, shapes and values against it before anything is built from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.parts import PART_NAMES
from kinflow.body.shape import PHENOTYPES
from kinflow.body.skeleton import JOINT_NAMES
from kinflow.errors import InputError
from kinflow.files.names import printable
from kinflow.geometry.pinhole import Camera
from kinflow.results import Hypothesis, Person, Reconstruction, ResultCode

FORMAT = "kinflow people 1"

Fields = dict[str, np.ndarray]


@dataclass(frozen=True)
class Field:
    """One array: its axes by name or length, and its kind (float, int or text)."""

    axes: tuple[str | int, ...]
    kind: str = "f"
    optional: bool = False
    """Whether older files lack the array and its numbers may be unknown (NaN)."""


FIELDS: dict[str, Field] = {
    "format": Field((), "U"),
    "source": Field((), "U"),
    "focal_px": Field(()),
    "principal_px": Field((2,)),
    "image_size": Field((2,), "i"),
    "joint_names": Field((22,), "U"),
    "keypoint_names": Field((33,), "U"),
    "shape_names": Field((6,), "U"),
    "energy_names": Field(("terms",), "U"),
    "part_names": Field((14,), "U", optional=True),
    "person": Field(("people",), "i"),
    "frame": Field(("people",), "i"),
    "time_s": Field(("people",)),
    "score": Field(("people",)),
    "code": Field(("people",), "U"),
    "joints_cam_m": Field(("people", 22, 3)),
    "joints_px": Field(("people", 22, 2)),
    "joint_std_m": Field(("people", 22)),
    "R_cam_root": Field(("people", 3, 3)),
    "t_cam_root_m": Field(("people", 3)),
    "t_cam_root_std_m": Field(("people", 3)),
    "pose": Field(("people", 22, 3, 3)),
    "z": Field(("people", "latent")),
    "shape": Field(("people", 6)),
    "height_m": Field(("people",)),
    "weight_kg": Field(("people",)),
    "chest_girth_m": Field(("people",)),
    "waist_girth_m": Field(("people",)),
    "hip_girth_m": Field(("people",)),
    "keypoints_px": Field(("people", 33, 3)),
    "energy": Field(("people", "terms")),
    "part_iou": Field(("people", 14), optional=True),
    "silhouette_iou": Field(("people",), optional=True),
    "hypothesis_of": Field(("hypotheses",), "i"),
    "hypothesis_R_cam_root": Field(("hypotheses", 3, 3)),
    "hypothesis_t_cam_root_m": Field(("hypotheses", 3)),
    "hypothesis_pose": Field(("hypotheses", 22, 3, 3)),
    "hypothesis_z": Field(("hypotheses", "latent")),
    "hypothesis_shape": Field(("hypotheses", 6)),
    "hypothesis_energy": Field(("hypotheses",)),
}
"""Every array of the format. Axes named alike have the same length."""

KINDS = {"f": "numbers", "i": "whole numbers", "U": "text"}
"""What an array of each kind holds."""

_MOST = {"people": 10_000, "hypotheses": 50_000, "terms": 100, "latent": 1024}
_MOST_LETTERS = 10_000
_FAR = 1e9
_UNIT = (-1e-4, 1 + 1e-4)
_RANGES: dict[str, tuple[float, float]] = {
    "focal_px": (1e-3, _FAR),
    "principal_px": (-_FAR, _FAR),
    "image_size": (1, 1_000_000),
    "person": (0, 2**31 - 1),
    "frame": (0, 2**31 - 1),
    "time_s": (0, _FAR),
    "score": _UNIT,
    "joints_cam_m": (-_FAR, _FAR),
    "joint_std_m": (0, _FAR),
    "t_cam_root_m": (-_FAR, _FAR),
    "t_cam_root_std_m": (0, _FAR),
    "z": (-1e6, 1e6),
    "shape": _UNIT,
    **dict.fromkeys(("height_m", "chest_girth_m", "waist_girth_m", "hip_girth_m"), (0, 10)),
    "weight_kg": (0, 1000),
    "part_iou": _UNIT,
    "silhouette_iou": _UNIT,
    "hypothesis_t_cam_root_m": (-_FAR, _FAR),
    "hypothesis_z": (-1e6, 1e6),
    "hypothesis_shape": _UNIT,
}
"""Lowest and highest value that can be right; those of a file are compared, not ours."""

_MEASURES = ("height_m", "weight_kg", "chest_girth_m", "waist_girth_m", "hip_girth_m")
_PERSON_TENSORS = (
    "joints_cam_m",
    "joints_px",
    "joint_std_m",
    "R_cam_root",
    "t_cam_root_m",
    "t_cam_root_std_m",
    "pose",
    "z",
    "shape",
    "keypoints_px",
)
_HYPOTHESIS_TENSORS = ("R_cam_root", "t_cam_root_m", "pose", "z", "shape")
_CONSTANTS = {
    "format": FORMAT,
    "joint_names": JOINT_NAMES,
    "keypoint_names": BLAZEPOSE33,
    "shape_names": PHENOTYPES,
    "part_names": PART_NAMES[1:],
}


def to_fields(reconstruction: Reconstruction) -> Fields:
    """All arrays of the format.

    Raises:
        ValueError: a person was seen by another camera than the reconstruction's, or holds values
            that are not finite.
    """
    people, camera = reconstruction.people, reconstruction.camera
    if any(p.camera != camera for p in people):
        raise ValueError("people of one file must share the reconstruction's camera")
    alternatives = [(row, h) for row, p in enumerate(people) for h in p.hypotheses]
    terms = list(dict.fromkeys(name for p in people for name in p.energy))
    measures = [p.measures() for p in people]
    values: dict[str, object] = {
        **_CONSTANTS,
        "source": printable(reconstruction.source),
        "focal_px": camera.focal_px,
        "principal_px": camera.principal_px,
        "image_size": camera.image_size,
        "energy_names": terms,
        "energy": [[p.energy.get(name, 0.0) for name in terms] for p in people],
        "hypothesis_of": [row for row, _ in alternatives],
        "hypothesis_energy": [h.energy for _, h in alternatives],
    }
    for name in ("person", "frame", "time_s", "score", "code", "silhouette_iou"):
        values[name] = [getattr(p, name) for p in people]
    for name in _MEASURES:
        values[name] = [getattr(m, name) for m in measures]
    for name in _PERSON_TENSORS:
        values[name] = _stacked([getattr(p, name) for p in people])
    for name in _HYPOTHESIS_TENSORS:
        values[f"hypothesis_{name}"] = _stacked([getattr(h, name) for _, h in alternatives])
    unknown = torch.from_numpy(_unknown(1)["part_iou"][0])
    values["part_iou"] = _stacked([unknown if p.part_iou is None else p.part_iou for p in people])
    latent = len(people[0].z) if people else 0
    sizes = {"people": len(people), "hypotheses": len(alternatives), "latent": latent}
    fields = {name: _array(values[name], FIELDS[name], sizes) for name in FIELDS}
    try:
        check_fields(fields)
    except InputError as error:
        raise ValueError(f"the reconstruction cannot be written: {error}") from error
    return fields


def from_fields(fields: Mapping[str, np.ndarray]) -> Reconstruction:
    """The reconstruction that the arrays describe.

    Raises:
        InputError: an array is missing or does not have the shape or values that it must have.
    """
    fields = {**_unknown(min(np.size(fields.get("person", ())), _MOST["people"])), **fields}
    check_fields(fields)
    _check_ranges(fields)
    width, height = (int(v) for v in fields["image_size"])
    cx, cy = (float(v) for v in fields["principal_px"])
    camera = Camera(float(fields["focal_px"]), (cx, cy), (width, height))
    people = tuple(_person(fields, row, camera) for row in range(len(fields["person"])))
    return Reconstruction(camera, people, str(fields["source"]))


def check_fields(fields: Mapping[str, np.ndarray]) -> None:
    """Compare arrays with the format.

    Raises:
        InputError: naming the first array that is missing or wrong, and how.
    """
    sizes: dict[str, int] = {}
    for name, field in FIELDS.items():
        if name not in fields:
            raise InputError(f"the field '{name}' is missing")
        _check_array(name, fields[name], field, sizes)
    for name, expected in _CONSTANTS.items():
        if fields[name].tolist() != (list(expected) if isinstance(expected, tuple) else expected):
            raise InputError(f"the field '{name}' is not the one of this version of kinflow")
    if unknown := set(fields["code"].tolist()) - set(get_args(ResultCode)):
        raise InputError(f"the field 'code' holds an unknown code ('{sorted(unknown)[0]}')")
    owner = fields["hypothesis_of"]
    if ((owner < 0) | (owner >= sizes["people"])).any():
        raise InputError("the field 'hypothesis_of' names a person that is not there")
    if fields["focal_px"] <= 0 or (fields["image_size"] <= 0).any():
        raise InputError("the focal length and the image size must be positive")
    for name in ("R_cam_root", "pose", "hypothesis_R_cam_root", "hypothesis_pose"):
        R = fields[name].astype(np.float64)
        within = np.abs(R).max(initial=0) < 2  # so that no product overflows
        if not within or (np.abs(R @ R.swapaxes(-1, -2) - np.eye(3)) > 1e-3).any():
            raise InputError(f"the field '{name}' holds matrices that are not rotations")
        if (np.linalg.det(R) < 0).any():
            raise InputError(f"the field '{name}' holds mirror images, not rotations")


def check_count(axis: str, count: int) -> None:
    """Raise `InputError` for more rows along an axis than a file may have."""
    if count > _MOST.get(axis, count):
        raise InputError(f"it holds {count} {axis}, more than the {_MOST[axis]} that are allowed")


def _check_ranges(fields: Mapping[str, np.ndarray]) -> None:
    """Compare the numbers and texts of a file with what can be right."""
    for name, (low, high) in _RANGES.items():
        if ((fields[name] < low) | (fields[name] > high)).any():
            raise InputError(f"the field '{name}' holds values that cannot be right")
    if ((fields["keypoints_px"][..., 2] < 0) | (fields["keypoints_px"][..., 2] > _UNIT[1])).any():
        raise InputError("the field 'keypoints_px' holds confidences that are not from 0 to 1")
    largest = np.finfo(np.float32).max
    for name, field in FIELDS.items():
        if field.kind == "f" and (np.abs(fields[name]) > largest).any():
            raise InputError(f"the field '{name}' holds numbers beyond single precision")
    names = fields["energy_names"].tolist()
    if len(set(names)) < len(names):
        raise InputError("the field 'energy_names' names a term twice")


def _check_array(name: str, array: np.ndarray, field: Field, sizes: dict[str, int]) -> None:
    if array.dtype.kind not in {"f": "fiu", "i": "iu", "U": "U"}[field.kind]:
        raise InputError(f"the field '{name}' should hold {KINDS[field.kind]}")
    if array.dtype.kind == "U" and array.dtype.itemsize > 4 * _MOST_LETTERS:
        raise InputError(f"the field '{name}' holds a text of too many letters")
    wanted = tuple(axis if isinstance(axis, int) else sizes.get(axis, "any") for axis in field.axes)
    fits = len(wanted) == array.ndim and all(
        w in ("any", n) for w, n in zip(wanted, array.shape, strict=True)
    )
    if not fits:
        axes = ", ".join(str(a) for a in field.axes)
        raise InputError(f"the field '{name}' has shape {array.shape} where ({axes}) is needed")
    for axis, length in zip(field.axes, array.shape, strict=True):
        if isinstance(axis, str):
            check_count(axis, length)
            sizes[axis] = length
    if field.kind == "f" and not (np.isfinite(array) | (field.optional & np.isnan(array))).all():
        raise InputError(f"the field '{name}' holds a value that is not a finite number")


def _unknown(people: int) -> Fields:
    """The arrays that older files lack."""
    parts = len(PART_NAMES) - 1
    return {
        "part_names": np.array(PART_NAMES[1:]),
        "part_iou": np.full((people, parts), np.nan),
        "silhouette_iou": np.full(people, np.nan),
    }


def _person(fields: Mapping[str, np.ndarray], row: int, camera: Camera) -> Person:
    names, part_iou = fields["energy_names"].tolist(), fields["part_iou"][row]
    return Person(
        person=int(fields["person"][row]),
        camera=camera,
        score=float(fields["score"][row]),
        code=str(fields["code"][row]),  # pyright: ignore[reportArgumentType]  # checked above
        energy=dict(zip(names, map(float, fields["energy"][row]), strict=True)),
        hypotheses=tuple(
            Hypothesis(
                energy=float(fields["hypothesis_energy"][i]),
                **{name: _tensor(fields[f"hypothesis_{name}"][i]) for name in _HYPOTHESIS_TENSORS},
            )
            for i in np.flatnonzero(fields["hypothesis_of"] == row)
        ),
        part_iou=None if np.isnan(part_iou).all() else _tensor(part_iou),
        silhouette_iou=float(fields["silhouette_iou"][row]),
        frame=int(fields["frame"][row]),
        time_s=float(fields["time_s"][row]),
        # joints_px follows from the joints and the camera
        **{n: _tensor(fields[n][row]) for n in _PERSON_TENSORS if n != "joints_px"},
    )


def _stacked(tensors: Sequence[Tensor]) -> np.ndarray | list[float]:
    return torch.stack(list(tensors)).detach().cpu().float().numpy() if tensors else []


def _array(value: object, field: Field, sizes: Mapping[str, int]) -> np.ndarray:
    """The value in the field's precision; an empty one gets the axes that it would have."""
    dtype = {"f": np.float32, "i": np.int64, "U": np.str_}[field.kind]
    array = np.asarray(value, np.float64 if field.kind == "f" and len(field.axes) < 2 else dtype)
    if array.size == 0:
        shape = [a if isinstance(a, int) else sizes.get(a, 0) for a in field.axes]
        array = array.reshape(shape)
    return array


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))
