"""Labels in the npz layout of BEDLAM's training code, which AGORA's are given out in as well.

A row is a person in an image: SMPL-X's pose and translation in the camera's frame, and the points
that the `smplx` package gives as joints, in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from kinflow.datasets.readers.bodies import body_label, camera_of, gender_of, matrices
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


@dataclass(frozen=True)
class PersonRows:
    """The rows of a file; what is wrong with one is said when it is asked for."""

    images: list[str]
    _fields: Fields
    _model: BodyModel
    _names: tuple[str, ...]
    _R: Float32[np.ndarray, "rows j 3 3"]
    _t_m: Float64[np.ndarray, "rows 3"]
    _shapes: Float64[np.ndarray, "rows b"]
    _genders: list[str | None]
    _K: Float64[np.ndarray, "rows 3 3"]
    _E: Float64[np.ndarray, "rows 4 4"]
    _points: Float64[np.ndarray, "rows k 2"]
    _people: list[str] | list[None]
    _turned: bool

    @staticmethod
    def load(path: Path, what: str, turned: bool = False) -> PersonRows:
        """Read a file.

        Args:
            path: the file.
            what: what it is, with its article.
            turned: whether labels are for images turned clockwise by a quarter; they are turned
                back to the images as they are stored.

        Raises:
            InputError: the file cannot be read, or its arrays cannot be right.
        """
        fields = _read(path, what)
        images = _texts(fields, "imgname")
        fields.lengths["rows"] = len(images)
        model, names = _model(fields.raw("pose_cam"), path)
        shapes = fields.rows("shape", "rows", "numbers of a shape")
        E = fields.rows("cam_ext", "rows", 4, 4)
        t_m = E[:, :3, 3].copy()
        if "trans_cam" in fields:
            t_m += fields.rows("trans_cam", "rows", 3)
        return PersonRows(
            images=images,
            _fields=fields,
            _model=model,
            _names=names,
            _R=matrices(fields.rows("pose_cam", "rows", 3 * len(names))),
            _t_m=t_m,
            _shapes=shapes,
            _genders=_genders(fields, shapes.shape[1]),
            _K=fields.rows("cam_int", "rows", 3, 3),
            _E=E,
            _points=_points(fields, model),
            _people=_texts(fields, "sub") if "sub" in fields else [None] * len(images),
            _turned=turned,
        )

    def row(self, row: int) -> PersonRow:
        """One row.

        Raises:
            InputError: its content cannot be right.
        """
        self._fields.check_row(row)
        K, E, gender = self._K[row], self._E[row], self._genders[row]
        size = (round(2 * K[0, 2]), round(2 * K[1, 2]))
        camera = camera_of(K, size)
        px = self._points[row].astype(np.float32)
        up = -E[:3, 1].astype(np.float32)  # the world of the files has y down
        if not up.any():
            raise InputError("'cam_ext' has no rotation")
        turn = None
        if self._turned:
            camera, px, up, turn = *_turned_back(camera, px), _TURN_BACK @ up, _TURN_BACK
        names = _point_names(self._model)[: len(px)]
        return PersonRow(
            image=self.images[row],
            size=camera.size,
            keypoints=Keypoints2D(names, px, np.ones(len(px), np.float32)),
            body=body_label(
                self._model,
                self._names,
                self._R[row],
                self._t_m[row],
                "camera",
                self._shapes[row],
                None if gender is None else gender_of(gender, self._fields),
                turn,
            ),
            camera=camera,
            up=up / np.linalg.norm(up),
            person=self._people[row],
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
    stored = fields.rows("gtkps", "rows", "points of a person", "numbers of a point")
    known = len(_point_names(model))
    if stored.shape[2] < 2 or stored.shape[1] < 22:
        raise InputError(f"'{fields.path}': 'gtkps' has the shape {stored.shape}, no points.")
    return stored[:, :known, :2]


def _genders(fields: Fields, shape_numbers: int) -> list[str | None]:
    """Whose model shapes are for: eleven numbers are the neutral one's, whoever was scanned."""
    rows = fields.lengths["rows"]
    if shape_numbers > 10 or "gender" not in fields:
        return ["neutral"] * rows
    return list(_texts(fields, "gender"))


def _turned_back(
    camera: CalibratedCamera, px: Float32[np.ndarray, "k 2"]
) -> tuple[CalibratedCamera, Float32[np.ndarray, "k 2"]]:
    """A camera and pixels of an image that was turned clockwise, for the image before that."""
    width, height = camera.size
    fx, fy = camera.focal_px
    cx, cy = camera.principal_px
    stored = CalibratedCamera((fy, fx), (cy, width - cx), (height, width))
    return stored, np.stack([px[:, 1], width - px[:, 0]], 1)
