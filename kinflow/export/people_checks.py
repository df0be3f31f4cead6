"""What arrays must be to count as people: names, shapes, kinds, and values that can be right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import numpy as np

from kinflow.body.shape import PHENOTYPES
from kinflow.errors import InputError
from kinflow.export.people_schema import (
    CONSTANTS,
    FIELDS,
    FLOOR_FIELDS,
    FRAME_FIELDS,
    GRAVITY_FIELDS,
    TURN_FIELDS,
    Field,
)
from kinflow.results import CameraMotion, ResultCode

KINDS = {"f": "numbers", "i": "whole numbers", "U": "text"}
"""What an array of each kind holds."""

_MOST = {
    "people": 100_000,
    "hypotheses": 50_000,
    "frames": 100_000,
    "tracks": 100_000,
    "terms": 100,
    "shape": 300,
    "latent": 1024,
}
_MOST_LETTERS = 10_000
_FAR = 1e9
_ROTATIONS = ("R_cam_root", "pose", "hypothesis_R_cam_root", "hypothesis_pose")
_UNIT = (-1e-4, 1 + 1e-4)
_BETAS = (-100.0, 100.0)
"""Standard deviations; what is beyond is nobody."""
_UNIT_LENGTH = 1e-3
_RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("focal_px", "frame_focal_px"), (1e-3, _FAR)),
    **dict.fromkeys(("principal_px", "frame_principal_px"), (-_FAR, _FAR)),
    **dict.fromkeys(("image_size", "frame_image_size"), (1, 1_000_000)),
    **dict.fromkeys(("person", "frame", "frame_index"), (0, 2**31 - 1)),
    **dict.fromkeys(("time_s", "frame_time_s"), (0, _FAR)),
    "frame_up_cam": (-1.01, 1.01),
    "frame_up_std_deg": (0, 180),
    "frame_floor_height_m": (-_FAR, _FAR),
    "frame_floor_std_m": (0, _FAR),
    "score": _UNIT,
    "joints_cam_m": (-_FAR, _FAR),
    "joint_std_m": (0, _FAR),
    "shape_std": (0, 1),
    "t_cam_root_m": (-_FAR, _FAR),
    "t_cam_root_std_m": (0, _FAR),
    "z": (-1e6, 1e6),
    **dict.fromkeys(("height_m", "chest_girth_m", "waist_girth_m", "hip_girth_m"), (0, 10)),
    "weight_kg": (0, 1000),
    "part_iou": _UNIT,
    "foot_contact": _UNIT,
    **dict.fromkeys(("track_person", "track_gaps"), (0, 2**31 - 1)),
    **dict.fromkeys(("track_foot_down_share", "track_seen_share"), _UNIT),
    **dict.fromkeys(
        (
            "track_foot_sliding_cm_s",
            "track_jitter_10m_s3",
            "track_below_floor_cm",
            "track_below_floor_worst_cm",
            "track_lower_level_cm",
            "track_longest_gap_s",
            "track_keypoint_error_px",
        ),
        (0, _FAR),
    ),
    "silhouette_iou": _UNIT,
    "hypothesis_t_cam_root_m": (-_FAR, _FAR),
    "hypothesis_z": (-1e6, 1e6),
}
"""Lowest and highest value that can be right; those of a file are compared, not ours."""


def check_fields(fields: Mapping[str, np.ndarray]) -> None:
    """Compare arrays with the format.

    Raises:
        InputError: naming the first array that is missing or wrong, and how.
    """
    sizes: dict[str, int] = {}
    for name, field in FIELDS.items():
        if name in fields:
            _check_array(name, fields[name], field, sizes)
        elif not _may_lack(name, fields):
            raise InputError(f"the field '{name}' is missing")
    _check_body(fields)
    for name in CONSTANTS.keys() & fields.keys():
        expected = CONSTANTS[name]
        if fields[name].tolist() != (list(expected) if isinstance(expected, tuple) else expected):
            raise InputError(f"the field '{name}' is not the one of this version of kinflow")
    if unknown := set(fields["code"].tolist()) - set(get_args(ResultCode)):
        raise InputError(f"the field 'code' holds an unknown code ('{sorted(unknown)[0]}')")
    if "camera_motion" in fields and str(fields["camera_motion"]) not in get_args(CameraMotion):
        raise InputError("the field 'camera_motion' holds an unknown word")
    owner = fields["hypothesis_of"]
    if ((owner < 0) | (owner >= sizes["people"])).any():
        raise InputError("the field 'hypothesis_of' names a person that is not there")
    if fields["focal_px"] <= 0 or (fields["image_size"] <= 0).any():
        raise InputError("the focal length and the image size must be positive")
    for name in (*_ROTATIONS, *(TURN_FIELDS if TURN_FIELDS[0] in fields else ())):
        R = fields[name].astype(np.float64)
        R = R[~np.isnan(R).all((-1, -2))]
        within = bool((np.abs(R) < 2).all())  # so that no product overflows
        if not within or (np.abs(R @ R.swapaxes(-1, -2) - np.eye(3)) > 1e-3).any():
            raise InputError(f"the field '{name}' holds matrices that are not rotations")
        if (np.linalg.det(R) < 0).any():
            raise InputError(f"the field '{name}' holds mirror images, not rotations")


def check_ranges(fields: Mapping[str, np.ndarray]) -> None:
    """Compare the numbers and texts of a file with what can be right.

    Raises:
        InputError: naming the first array that cannot be.
    """
    for name, (low, high) in _RANGES.items():
        if name in fields and ((fields[name] < low) | (fields[name] > high)).any():
            raise InputError(f"the field '{name}' holds values that cannot be right")
    if ((fields["keypoints_px"][..., 2] < 0) | (fields["keypoints_px"][..., 2] > _UNIT[1])).any():
        raise InputError("the field 'keypoints_px' holds confidences that are not from 0 to 1")
    low, high = _BETAS if "body_file" in fields else _UNIT
    for name in ("shape", "hypothesis_shape"):
        if ((fields[name] < low) | (fields[name] > high)).any():
            raise InputError(f"the field '{name}' holds values that cannot be right")
    if "shape_std" in fields:
        unknown = np.isnan(fields["shape_std"].astype(np.float64))
        if (unknown.any(1) & ~unknown.all(1)).any():
            raise InputError("the field 'shape_std' is known of some numbers of a shape alone")
    _check_gravity(fields)
    largest = np.finfo(np.float32).max
    for name, field in FIELDS.items():
        if field.kind == "f" and name in fields and (np.abs(fields[name]) > largest).any():
            raise InputError(f"the field '{name}' holds numbers beyond single precision")
    names = fields["energy_names"].tolist()
    if len(set(names)) < len(names):
        raise InputError("the field 'energy_names' names a term twice")


def _check_body(fields: Mapping[str, np.ndarray]) -> None:
    if ("body_file" in fields) != ("body_sha256" in fields):
        raise InputError("the fields 'body_file' and 'body_sha256' belong together")
    names = fields["shape_names"].tolist()
    if "body_file" not in fields and names != list(PHENOTYPES):
        raise InputError("the field 'shape_names' is not the one of this version of kinflow")


def check_count(axis: str, count: int) -> None:
    """Raise `InputError` for more rows along an axis than a file may have."""
    if count > _MOST.get(axis, count):
        raise InputError(f"it holds {count} {axis}, more than the {_MOST[axis]} that are allowed")


def _check_gravity(fields: Mapping[str, np.ndarray]) -> None:
    if "frame_up_cam" not in fields:
        return
    up, std_deg = (fields[name].astype(np.float64) for name in GRAVITY_FIELDS)
    unknown = np.isnan(up)
    if (unknown != np.isnan(std_deg)[:, None]).any():
        raise InputError("the fields of gravity do not agree in where it is unknown")
    length = np.linalg.norm(up[~unknown.any(1)], axis=1)
    if (np.abs(length - 1) > _UNIT_LENGTH).any():
        raise InputError("the field 'frame_up_cam' holds directions that are not of length 1")
    _check_floor(fields)


def _check_floor(fields: Mapping[str, np.ndarray]) -> None:
    if FLOOR_FIELDS[0] not in fields:
        return
    height, std = (np.isnan(fields[name].astype(np.float64)) for name in FLOOR_FIELDS)
    if (height != std).any():
        raise InputError("the fields of the floor do not agree in where it is unknown")
    if (~height & np.isnan(fields["frame_up_std_deg"].astype(np.float64))).any():
        raise InputError("a floor is described where nothing is known of gravity")


def _may_lack(name: str, fields: Mapping[str, np.ndarray]) -> bool:
    needed_by: tuple[str, ...] = ()
    if name in FRAME_FIELDS:
        needed_by = (*FRAME_FIELDS, *GRAVITY_FIELDS, *FLOOR_FIELDS, *TURN_FIELDS)
    elif name in GRAVITY_FIELDS:
        needed_by = (*GRAVITY_FIELDS, *FLOOR_FIELDS)
    elif name in FLOOR_FIELDS:
        needed_by = FLOOR_FIELDS
    return FIELDS[name].optional and not any(other in fields for other in needed_by)


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
    if field.kind == "f":
        known = np.isfinite(array) | (field.may_be_unknown & np.isnan(array))
        if not known.all():
            raise InputError(f"the field '{name}' holds a value that is not a finite number")
