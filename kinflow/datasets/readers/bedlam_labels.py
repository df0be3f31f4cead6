"""Labels in the npz layout of BEDLAM's training code, which AGORA's are given out in as well.

A row is a person in an image: SMPL-X's pose and translation in the camera's frame, and the points
that the `smplx` package gives as joints, in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from kinflow.datasets.readers.bodies import Gender, body_label, camera_of, gender_of, matrices
from kinflow.datasets.readers.fields import Fields
from kinflow.datasets.readers.joint_names import SMPL24, SMPLX55, SMPLX_POINTS
from kinflow.datasets.sample_parts import BodyLabel, BodyModel, CalibratedCamera, Keypoints2D
from kinflow.errors import InputError
from kinflow.files.npz_files import array_names, read_npz, read_npz_objects

NEEDED = ("imgname", "pose_cam", "shape", "cam_int", "cam_ext", "gtkps")
_NUMBERS = ("pose_cam", "shape", "trans_cam", "cam_int", "cam_ext", "gtkps")
_TEXTS = ("imgname", "gender", "sub")
_TURN_BACK = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]], np.float32)
"""Into the frame of an image as it is stored, from that of the image turned clockwise."""


@dataclass(frozen=True)
class PersonRow:
    """One person in one image.

    Attributes:
        image: as the file names it.
        size: (width, height) of the image as it is stored.
        up: points up in the camera's frame.
        person: whose body it is, if the file says so.
    """

    image: str
    size: tuple[int, int]
    keypoints: Keypoints2D
    body: BodyLabel
    camera: CalibratedCamera
    up: Float32[np.ndarray, "3"]
    person: str | None


def person_rows(path: Path, what: str, turned: bool = False) -> Iterator[PersonRow]:
    """The rows of a file.

    Args:
        path: the file.
        what: what it is, with its article.
        turned: whether labels are for images turned clockwise by a quarter; they are turned back
            to the images as they are stored.

    Raises:
        InputError: the file cannot be read, or its content cannot be right.
    """
    fields = _read(path, what)
    images = _texts(fields, "imgname")
    fields.lengths["rows"] = len(images)
    poses = fields.raw("pose_cam")
    model, names = _model(poses, path)
    R = matrices(fields.numbers("pose_cam", "rows", 3 * len(names)))
    shapes = fields.numbers("shape", "rows", "numbers of a shape")
    K = fields.numbers("cam_int", "rows", 3, 3)
    E = fields.numbers("cam_ext", "rows", 4, 4)
    t_m = E[:, :3, 3].copy()
    if "trans_cam" in fields:
        t_m += fields.numbers("trans_cam", "rows", 3)
    points = _points(fields, model)
    genders = _genders(fields, shapes.shape[1])
    people = _texts(fields, "sub") if "sub" in fields else [None] * len(images)
    for row, image in enumerate(images):
        size = (round(2 * K[row, 0, 2]), round(2 * K[row, 1, 2]))
        camera = camera_of(K[row], size)
        px = points[row].astype(np.float32)
        up = -E[row, :3, 1].astype(np.float32)  # the world of the files has y down
        turn = None
        if turned:
            camera, px, up, turn = *_turned_back(camera, px), _TURN_BACK @ up, _TURN_BACK
        yield PersonRow(
            image=image,
            size=camera.size,
            keypoints=Keypoints2D(_point_names(model)[: len(px)], px, np.ones(len(px), np.float32)),
            body=body_label(
                model, names, R[row], t_m[row], "camera", shapes[row], genders[row], turn
            ),
            camera=camera,
            up=up / np.linalg.norm(up),
            person=people[row],
        )


def _read(path: Path, what: str) -> Fields:
    there = array_names(path)
    content: dict[str, Any] = dict(read_npz(path, _NUMBERS, what=what, at_most=4 << 30))
    for name in _TEXTS:
        if name in there:
            content[name] = read_npz_objects(path, name, what=what)
    fields = Fields.of(path, content, what)
    fields.need(NEEDED, what)
    return fields


def _texts(fields: Fields, name: str) -> list[str]:
    values = fields.parts(name, fields.lengths.get("rows"))
    if not all(isinstance(value, str | bytes) for value in values):
        raise InputError(f"'{fields.path}': '{name}' does not hold texts.")
    return [v.decode("latin1") if isinstance(v, bytes) else str(v) for v in values]


def _model(poses: Any, path: Path) -> tuple[BodyModel, tuple[str, ...]]:
    """Which model's poses they are, by their numbers."""
    width = poses.shape[-1] if getattr(poses, "ndim", 0) == 2 else 0
    if width == 3 * len(SMPLX55):
        return "smplx", SMPLX55
    if width == 3 * len(SMPL24):
        return "smpl", SMPL24
    raise InputError(f"'{path}' has poses of {width} numbers, not 165 (SMPL-X) or 72 (SMPL).")


def _point_names(model: BodyModel) -> tuple[str, ...]:
    return SMPLX_POINTS if model == "smplx" else SMPL24


def _points(fields: Fields, model: BodyModel) -> Float64[np.ndarray, "rows k 2"]:
    """Points in pixels, those that have names."""
    stored = fields.numbers("gtkps", "rows", "points of a person", "numbers of a point")
    known = len(_point_names(model))
    if stored.shape[2] < 2 or stored.shape[1] < 22:
        raise InputError(f"'{fields.path}': 'gtkps' has the shape {stored.shape}, no points.")
    return stored[:, :known, :2]


def _genders(fields: Fields, shape_numbers: int) -> list[Gender | None]:
    """Whose model shapes are for: eleven numbers are the neutral one's, whoever was scanned."""
    rows = fields.lengths["rows"]
    if shape_numbers > 10 or "gender" not in fields:
        return ["neutral"] * rows
    return [gender_of(text, fields) for text in _texts(fields, "gender")]


def _turned_back(
    camera: CalibratedCamera, px: Float32[np.ndarray, "k 2"]
) -> tuple[CalibratedCamera, Float32[np.ndarray, "k 2"]]:
    """A camera and pixels of an image that was turned clockwise, for the image before that."""
    width, height = camera.size
    fx, fy = camera.focal_px
    cx, cy = camera.principal_px
    stored = CalibratedCamera((fy, fx), (cy, width - cx), (height, width))
    return stored, np.stack([px[:, 1], width - px[:, 0]], 1)
