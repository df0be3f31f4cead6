"""What a dataset may say of one person in one picture, a value for each kind of label.

Arrays are numpy's, in float32, for they come from files and go to workers. Whatever can be checked
without opening the picture is checked when a value is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from kinflow.datasets.clip_frames import clip_frame
from kinflow.datasets.masks import Mask
from kinflow.errors import InputError
from kinflow.evidence.image import read_photo
from kinflow.geometry.pinhole import Camera

__all__ = [
    "BodyLabel",
    "CalibratedCamera",
    "Joints3D",
    "Keypoints2D",
    "Mask",
    "PartMapLabel",
    "Picture",
]

Space = Literal["camera", "world"]
"""`camera`: x right, y down, z forward, as everywhere. `world`: y up, where `Sample.up` says so (of
some recordings nobody knows); metres both."""
BodyModel = Literal["kinflow", "smpl", "smplh", "smplx", "skeleton"]
"""Whose shape numbers and rest pose they are; `skeleton` has rotations and no surface."""
_ROTATES = 2e-2
_EYE = np.eye(3)


@dataclass(frozen=True)
class Picture:
    """The pixels that labels are about: an image file, or a frame of a clip.

    Args:
        path: of the image or the clip.
        size: (width, height) that the labels are for; None where the labels do not tell.
        frame: number of the clip's frame, from 0; None of images.

    Raises:
        InputError: the size or the number of the frame is none.
    """

    path: Path
    size: tuple[int, int] | None = None
    frame: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < 1:
            raise InputError(f"'{self.path}' cannot be {self.size[0]} by {self.size[1]} pixels.")
        if self.frame is not None and self.frame < 0:
            raise InputError(f"'{self.path}' has no frame {self.frame}; the first one is 0.")

    def read(self) -> UInt8[np.ndarray, "height width 3"]:
        """The pixels as RGB.

        Labels of images are for what is stored, but photos are turned upright as their EXIF says,
        which is what labelling tools show too.

        Raises:
            InputError: it is not there, cannot be read, or has not the size that labels are for.
        """
        path, frame = self.path, self.frame
        rgb = read_photo(path).rgb if frame is None else clip_frame(path, frame)
        if self.size is not None and (rgb.shape[1], rgb.shape[0]) != tuple(self.size):
            raise InputError(
                f"'{self.path}' has {rgb.shape[1]} by {rgb.shape[0]} pixels, but its labels are "
                f"for {self.size[0]} by {self.size[1]}; take the images that were labelled."
            )
        return rgb


@dataclass(frozen=True)
class CalibratedCamera:
    """A camera as datasets calibrate it: two focal lengths, lens distortion, a place in the world.

    Pixels are those of `kinflow.geometry`: (0, 0) is the corner of the image. Points of the world
    are in the camera's frame as `R_cam_world @ point + t_cam_world_m`.

    Args:
        focal_px: along x and y.
        principal_px: (x, y).
        size: (width, height) of the image.
        distortion: k1, k2, p1, p2, k3 of OpenCV's model.
        R_cam_world: rotation of the world into the camera's frame; None where there is no world.
        t_cam_world_m: the world's origin in the camera's frame.

    Raises:
        InputError: a number is not finite, a focal length not positive, or the rotation is none.
    """

    focal_px: tuple[float, float]
    principal_px: tuple[float, float]
    size: tuple[int, int]
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    R_cam_world: Float32[np.ndarray, "3 3"] | None = None
    t_cam_world_m: Float32[np.ndarray, "3"] | None = None

    def __post_init__(self) -> None:
        numbers = (*self.focal_px, *self.principal_px, *self.distortion)
        if not np.isfinite(numbers).all() or min(self.focal_px) <= 0 or min(self.size) < 1:
            raise InputError("A camera needs positive focal lengths and a size, all finite.")
        if (self.R_cam_world is None) != (self.t_cam_world_m is None):
            raise InputError("A camera in a world needs its rotation and its position.")
        if self.R_cam_world is not None:
            check_rotations(self.R_cam_world, "The rotation of a camera")
        if self.t_cam_world_m is not None:
            check_finite(self.t_cam_world_m, "The position of a camera")

    def to_camera(self, points_world_m: Float32[np.ndarray, "*n 3"]) -> np.ndarray:
        """Points of the world in the camera's frame.

        Raises:
            InputError: nobody says where in the world the camera is.
        """
        if self.R_cam_world is None or self.t_cam_world_m is None:
            raise InputError("The camera's place in the world is not known.")
        return points_world_m @ self.R_cam_world.T + self.t_cam_world_m

    def project(self, points_cam_m: Float32[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n 2"]:
        """Pixels of points in the camera's frame, lens distortion included; NaN of those behind."""
        K = np.array(
            [
                [self.focal_px[0], 0, self.principal_px[0]],
                [0, self.focal_px[1], self.principal_px[1]],
                [0, 0, 1],
            ]
        )
        points = points_cam_m.astype(np.float64)
        zero = np.zeros(3)
        pixels, _ = cv2.projectPoints(points, zero, zero, K, np.array(self.distortion))
        pixels = pixels.reshape(-1, 2).astype(np.float32)
        pixels[points[:, 2] <= 0] = np.nan
        return pixels

    def pinhole(self) -> Camera:
        """The nearest camera of one focal length and without distortion."""
        focal = (self.focal_px[0] * self.focal_px[1]) ** 0.5
        return Camera(focal, self.principal_px, self.size)


@dataclass(frozen=True)
class Keypoints2D:
    """Points in the picture.

    Args:
        names: in kinflow's vocabulary where it has a word (`kinflow.body.keypoints`, joints of the
            skeleton), else the dataset's own.
        px: (x, y) in pixels of the whole picture; of no meaning where the confidence is 0.
        confidence: from 0 to 1; 0 is not labelled.
        shown: whether the point is in sight; None where nobody says so.

    Raises:
        InputError: numbers and names do not agree, or a labelled point is not finite.
    """

    names: tuple[str, ...]
    px: Float32[np.ndarray, "k 2"]
    confidence: Float32[np.ndarray, " k"]
    shown: Bool[np.ndarray, " k"] | None = None

    def __post_init__(self) -> None:
        check_count(self.names, self.px, "keypoints")
        check_count(self.names, self.confidence, "confidences of keypoints")
        if self.shown is not None:
            check_count(self.names, self.shown, "flags of keypoints in sight")
        good = (self.confidence >= 0) & (self.confidence <= 1)  # NaN is neither
        if not good.all():
            raise InputError("Confidences of keypoints go from 0 to 1.")
        check_finite(self.px[self.confidence > 0], "A labelled keypoint")


@dataclass(frozen=True)
class Joints3D:
    """Points in space.

    Args:
        names: as for `Keypoints2D`.
        position_m: metres, in `space`; of no meaning where not valid.
        valid: which are labelled.
        space: the camera's frame or the world's.
        definition: whose joints they are: markers of a dataset (`mocap:h36m`), a body model's
            (`model:smpl`), or a regressor's (`mesh:h36m`). Points of one name from two definitions
            lie centimetres apart.

    Raises:
        InputError: numbers and names do not agree, or a valid joint is not finite.
    """

    names: tuple[str, ...]
    position_m: Float32[np.ndarray, "j 3"]
    valid: Bool[np.ndarray, " j"]
    space: Space
    definition: str

    def __post_init__(self) -> None:
        check_count(self.names, self.position_m, "joints")
        check_count(self.names, self.valid, "flags of joints")
        check_finite(self.position_m[self.valid], "A labelled joint")


@dataclass(frozen=True)
class BodyLabel:
    """Pose and shape of a body model.

    Args:
        model: whose parameters they are.
        joint_names: of the rotations; the first is the root.
        R_parent_joint: rotations in the parent's frame; entry 0 is `R_space_root`.
        t_space_m: translation, as the model defines it (SMPL adds it to the pelvis of the rest
            body, which is not at its origin).
        space: the camera's frame or the world's.
        shape: shape coefficients of the model, or None.
        gender: of the model file that they are for, where there are several.
        R_space_model: turns the frame that the parameters were made for into `space`; None where
            they are the same. A model of the SMPL family turns a body about its pelvis, which is
            not at its origin, so a whole world cannot be turned by its parameters alone: the
            pelvis is at `t_space_m + R_space_model @ rest_pelvis_m`.

    Raises:
        InputError: numbers and names do not agree, something is not finite or no rotation.
    """

    model: BodyModel
    joint_names: tuple[str, ...]
    R_parent_joint: Float32[np.ndarray, "j 3 3"]
    t_space_m: Float32[np.ndarray, "3"]
    space: Space
    shape: Float32[np.ndarray, " b"] | None = None
    gender: Literal["female", "male", "neutral"] | None = None
    R_space_model: Float32[np.ndarray, "3 3"] | None = None

    def __post_init__(self) -> None:
        check_count(self.joint_names, self.R_parent_joint, "rotations")
        check_rotations(self.R_parent_joint, "A rotation of a body")
        check_finite(self.t_space_m, "The translation of a body")
        if self.shape is not None:
            check_finite(self.shape, "The shape of a body")
        if self.R_space_model is not None:
            check_rotations(self.R_space_model, "The turn of a body's frame")

    def pelvis_space_m(self, rest_pelvis_m: Float32[np.ndarray, "3"]) -> np.ndarray:
        """Where the pelvis is, of a body whose pelvis rests at `rest_pelvis_m`."""
        turn = np.eye(3, dtype=np.float32) if self.R_space_model is None else self.R_space_model
        return self.t_space_m + turn @ rest_pelvis_m


@dataclass(frozen=True)
class PartMapLabel:
    """Labels of body parts within a box.

    Args:
        palette: whose numbers they are (`kinflow.body.part_maps`).
        labels: part of each pixel of the box; 0 is the background.
        box_px: (left, top, width, height) that the labels span in the picture; they are stretched
            over it.
    """

    palette: str
    labels: UInt8[np.ndarray, "height width"]
    box_px: tuple[float, float, float, float]

    def __post_init__(self) -> None:
        check_box(self.box_px)


def check_count(names: tuple[str, ...], values: np.ndarray, what: str) -> None:
    """As many values as names."""
    if len(values) != len(names):
        raise InputError(f"There are {len(values)} {what} for {len(names)} names.")


def check_finite(values: np.ndarray, what: str) -> None:
    """No NaN, nothing infinite."""
    if not np.isfinite(values).all():
        raise InputError(f"{what} is not finite (NaN or infinite).")


def check_rotations(R: np.ndarray, what: str) -> None:
    """Proper rotations."""
    off = np.abs(R @ np.swapaxes(R, -1, -2) - _EYE).max(initial=0.0)
    if not off <= _ROTATES or (_determinant(R) < 0).any():
        check_finite(R, what)
        raise InputError(f"{what} is no rotation.")


def _determinant(R: np.ndarray) -> np.ndarray | np.floating:
    """Of small stacks ten times as fast as numpy's, which would be most of the time of a sample."""
    a, b, c = R[..., 0, :], R[..., 1, :], R[..., 2, :]
    return (
        a[..., 0] * (b[..., 1] * c[..., 2] - b[..., 2] * c[..., 1])
        + a[..., 1] * (b[..., 2] * c[..., 0] - b[..., 0] * c[..., 2])
        + a[..., 2] * (b[..., 0] * c[..., 1] - b[..., 1] * c[..., 0])
    )


def check_box(box_px: tuple[float, float, float, float]) -> None:
    """A box of (left, top, width, height) with some area."""
    if not np.isfinite(box_px).all() or min(box_px[2:]) <= 0:
        raise InputError(f"A box of {box_px[2]} by {box_px[3]} pixels shows nobody.")
