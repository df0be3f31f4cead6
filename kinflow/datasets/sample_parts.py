"""What a dataset may say of one person in one picture, a value for each kind of label.

Arrays are numpy's, in float32, for they come from files and go to workers. Whatever can be checked
without opening the picture is checked when a value is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from kinflow.errors import InputError
from kinflow.evidence.image import read_photo
from kinflow.evidence.video_files import Clip
from kinflow.geometry.pinhole import Camera

Space = Literal["camera", "world"]
"""`camera`: x right, y down, z forward, as everywhere. `world`: y up; metres both."""
BodyModel = Literal["kinflow", "smpl", "smplh", "smplx", "skeleton"]
"""Whose shape numbers and rest pose they are; `skeleton` has rotations and no surface."""
_ROTATES = 2e-2


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
        rgb = read_photo(self.path).rgb if self.frame is None else self._of_clip(self.frame)
        if self.size is not None and (rgb.shape[1], rgb.shape[0]) != tuple(self.size):
            raise InputError(
                f"'{self.path}' has {rgb.shape[1]} by {rgb.shape[0]} pixels, but its labels are "
                f"for {self.size[0]} by {self.size[1]}; take the images that were labelled."
            )
        return rgb

    def _of_clip(self, wanted: int) -> UInt8[np.ndarray, "height width 3"]:
        for frame in Clip.open(self.path).frames():
            if frame.index == wanted:
                return frame.rgb
        raise InputError(f"'{self.path}' ends before its frame {wanted}.")


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
        definition: whose joints they are: a regressor or a dataset (`h36m`, `smpl`,
            `mpi_inf_3dhp`). Points of one name from two definitions lie centimetres apart.

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

    def __post_init__(self) -> None:
        check_count(self.joint_names, self.R_parent_joint, "rotations")
        check_rotations(self.R_parent_joint, "A rotation of a body")
        check_finite(self.t_space_m, "The translation of a body")
        if self.shape is not None:
            check_finite(self.shape, "The shape of a body")


@dataclass(frozen=True)
class Mask:
    """Which pixels show the person, as an array or run lengths that are unpacked when asked for.

    Args:
        size: (width, height).
        pixels: the mask; None where runs tell it.
        runs: run lengths column by column, off first (COCO's uncompressed RLE).
    """

    size: tuple[int, int]
    pixels: Bool[np.ndarray, "height width"] | None = None
    runs: tuple[int, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        width, height = self.size
        if self.pixels is not None:
            if self.pixels.shape != (height, width):
                raise InputError(f"A mask is not {width} by {height} pixels as its picture is.")
        elif sum(self.runs) != width * height or min(self.runs, default=0) < 0:
            raise InputError("Run lengths of a mask do not add up to its picture.")

    def array(self) -> Bool[np.ndarray, "height width"]:
        """The mask as an array."""
        if self.pixels is not None:
            return self.pixels
        width, height = self.size
        on = np.arange(len(self.runs)) % 2 == 1
        return np.repeat(on, self.runs).reshape(width, height).T


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
    check_finite(R, what)
    off = np.abs(R @ np.swapaxes(R, -1, -2) - np.eye(3)).max(initial=0.0)
    if off > _ROTATES or (np.linalg.det(R) < 0).any():
        raise InputError(f"{what} is no rotation.")


def check_box(box_px: tuple[float, float, float, float]) -> None:
    """A box of (left, top, width, height) with some area."""
    if not np.isfinite(box_px).all() or min(box_px[2:]) <= 0:
        raise InputError(f"A box of {box_px[2]} by {box_px[3]} pixels shows nobody.")
