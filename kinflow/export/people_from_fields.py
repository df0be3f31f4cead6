"""From the arrays of `people.npz` and `people.json` back to a `Reconstruction`."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kinflow.assets import file_sha256
from kinflow.body.keypoints import FOOT_KEYPOINTS
from kinflow.body.parts import PART_NAMES
from kinflow.body.users_body import UsersBody
from kinflow.errors import InputError
from kinflow.export.people_checks import check_fields, check_ranges
from kinflow.export.people_schema import (
    FLOOR_FIELDS,
    HYPOTHESIS_TENSORS,
    PERSON_TENSORS,
    Fields,
)
from kinflow.geometry.pinhole import Camera
from kinflow.results import CameraTurn, Floor, Frame, Gravity, Hypothesis, Person, Reconstruction
from kinflow.results.tracks import tracks_of


def from_fields(fields: Mapping[str, np.ndarray]) -> Reconstruction:
    """The reconstruction that the arrays describe.

    Raises:
        InputError: an array is missing or does not have the shape or values that it must have, or
            people and frames do not belong together.
    """
    check_fields(fields)
    check_ranges(fields)
    fields = {**_of_older_files(fields), **fields}
    frames = tuple(_frame(fields, row) for row in range(len(fields["frame_index"])))
    cameras = {frame.index: frame.camera for frame in frames}
    if not cameras.keys() >= set(fields["frame"].tolist()):
        raise InputError("the field 'frame' names a frame that is not there")
    users_body = _users_body(fields)
    rows = range(len(fields["person"]))
    people = [_person(fields, row, cameras, users_body) for row in rows]
    motion: Any = str(fields["camera_motion"])  # checked above
    return Reconstruction(frames, tracks_of(people), str(fields["source"]), motion)


def _users_body(fields: Mapping[str, np.ndarray]) -> UsersBody | None:
    """The body that people are of, which is not in the file."""
    if "body_file" not in fields:
        return None
    path = Path(str(fields["body_file"]))
    if not os.path.isfile(path):
        raise InputError(f"its people are of the body '{path}', which is not there; put it back")
    if file_sha256(path) != str(fields["body_sha256"]):
        raise InputError(f"its people are of another body than what '{path}' is now")
    return UsersBody.load(path, len(fields["shape_names"]))


def _of_older_files(fields: Mapping[str, np.ndarray]) -> Fields:
    """The arrays that older files lack: nothing is known of parts and starts, and the camera is
    that of all frames, which are those that people are in."""
    people = len(fields["person"])
    index, first = np.unique(fields["frame"], return_index=True)
    time_s = fields["time_s"][first]
    if not people:
        index, time_s = np.array([0]), np.array([0.0])
    return {
        "part_names": np.array(PART_NAMES[1:]),
        "camera_motion": np.array("unknown"),
        "foot_contact": np.full((people, len(FOOT_KEYPOINTS)), np.nan),
        "part_iou": np.full((people, len(PART_NAMES) - 1), np.nan),
        "silhouette_iou": np.full(people, np.nan),
        "start_source": np.full(people, ""),
        "height_std_m": np.full(people, np.nan),
        "shape_std": np.full(fields["shape"].shape, np.nan),
        "frame_index": index,
        "frame_time_s": time_s,
        "frame_focal_px": np.full(len(index), fields["focal_px"]),
        "frame_principal_px": np.tile(fields["principal_px"], (len(index), 1)),
        "frame_image_size": np.tile(fields["image_size"], (len(index), 1)),
        **_unknown_of_frames(len(fields.get("frame_index", index))),
    }


def _unknown_of_frames(frames: int) -> Fields:
    return {
        "frame_R_first_cam": np.full((frames, 3, 3), np.nan),
        "frame_up_cam": np.full((frames, 3), np.nan),
        **{name: np.full(frames, np.nan) for name in ("frame_up_std_deg", *FLOOR_FIELDS)},
    }


def _frame(fields: Mapping[str, np.ndarray], row: int) -> Frame:
    width, height = (int(v) for v in fields["frame_image_size"][row])
    cx, cy = (float(v) for v in fields["frame_principal_px"][row])
    camera = Camera(float(fields["frame_focal_px"][row]), (cx, cy), (width, height))
    index, time_s = int(fields["frame_index"][row]), float(fields["frame_time_s"][row])
    turn = _turn(fields["frame_R_first_cam"][row])
    return Frame(index, time_s, camera, _gravity(fields, row), _floor(fields, row), turn)


def _gravity(fields: Mapping[str, np.ndarray], row: int) -> Gravity | None:
    x, y, z = (float(v) for v in fields["frame_up_cam"][row])
    std_deg = float(fields["frame_up_std_deg"][row])
    return None if math.isnan(std_deg) else Gravity((x, y, z), std_deg)


def _turn(R_first_cam: np.ndarray) -> CameraTurn | None:
    if np.isnan(R_first_cam).any():
        return None
    return CameraTurn.of(torch.from_numpy(np.array(R_first_cam, np.float64)))


def _floor(fields: Mapping[str, np.ndarray], row: int) -> Floor | None:
    height_m, std_m = (float(fields[name][row]) for name in FLOOR_FIELDS)
    return None if math.isnan(std_m) else Floor(height_m, std_m)


def _person(
    fields: Mapping[str, np.ndarray],
    row: int,
    cameras: Mapping[int, Camera],
    users_body: UsersBody | None,
) -> Person:
    names, part_iou = fields["energy_names"].tolist(), fields["part_iou"][row]
    foot_contact, shape_std = fields["foot_contact"][row], fields["shape_std"][row]
    return Person(
        person=int(fields["person"][row]),
        camera=cameras[int(fields["frame"][row])],
        score=float(fields["score"][row]),
        code=str(fields["code"][row]),  # pyright: ignore[reportArgumentType]  # checked above
        energy=dict(zip(names, map(float, fields["energy"][row]), strict=True)),
        hypotheses=tuple(
            _hypothesis(fields, i) for i in np.flatnonzero(fields["hypothesis_of"] == row).tolist()
        ),
        part_iou=None if np.isnan(part_iou).all() else _tensor(part_iou),
        foot_contact=None if np.isnan(foot_contact).any() else _tensor(foot_contact),
        shape_std=None if np.isnan(shape_std).all() else _tensor(shape_std),
        silhouette_iou=float(fields["silhouette_iou"][row]),
        height_std_m=float(fields["height_std_m"][row]),
        frame=int(fields["frame"][row]),
        time_s=float(fields["time_s"][row]),
        start_source=str(fields["start_source"][row]),
        users_body=users_body,
        # joints_px follows from the joints and the camera
        **{n: _tensor(fields[n][row]) for n in PERSON_TENSORS if n != "joints_px"},
    )


def _hypothesis(fields: Mapping[str, np.ndarray], row: int) -> Hypothesis:
    return Hypothesis(
        energy=float(fields["hypothesis_energy"][row]),
        **{name: _tensor(fields[f"hypothesis_{name}"][row]) for name in HYPOTHESIS_TENSORS},
    )


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))
