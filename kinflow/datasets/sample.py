"""One person in one picture (or one moment of mocap), with whatever somebody has labelled.

Every label is there or None; nobody has all of them, and a training mixture says by `labels` which
losses a sample can take part in. Readers (`kinflow.datasets.readers`) turn the layouts of the
field's datasets into these, and shards keep them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from kinflow.datasets.sample_parts import (
    BodyLabel,
    CalibratedCamera,
    Joints3D,
    Keypoints2D,
    Mask,
    PartMapLabel,
    Picture,
    check_box,
    check_finite,
)
from kinflow.errors import InputError

LABELS = (
    "picture",
    "box",
    "keypoints",
    "parts",
    "mask",
    "joints",
    "body",
    "shape",
    "camera",
    "gravity",
    "identity",
    "time",
)
"""What a sample may have, in the order of tables."""


@dataclass(frozen=True)
class Sample:
    """One person at one moment.

    Args:
        dataset: name of the reader that made it.
        key: what names it within the dataset, the same whenever it is read.
        split: as the dataset calls it; None where it has none.
        licence: a note on what the data may be used for.
        picture: the pixels.
        box_px: (left, top, width, height) of the person.
        keypoints: points in the picture.
        parts: body parts of pixels.
        mask: which pixels show the person.
        joints: points in space.
        body: pose, and shape where known, of a body model.
        camera: calibration of the picture.
        up: unit vector that points up in the space of joints and body (camera's frame or world).
        identity: who it is, the same in all pictures of a dataset.
        sequence: the recording that the moment belongs to; pictures of several cameras share it.
        action: what is done in it, where the dataset says so.
        time_s: seconds since the sequence began.
        fps: of the sequence.
        crowd: a box of several people whom nobody told apart (COCO); they are no sample to learn
            from but a region to pass over.

    Raises:
        InputError: a label is malformed; `kinflow.datasets.sample_parts` says what is checked.
    """

    dataset: str
    key: str
    split: str | None = None
    licence: str = ""
    picture: Picture | None = None
    box_px: tuple[float, float, float, float] | None = None
    keypoints: Keypoints2D | None = None
    parts: PartMapLabel | None = None
    mask: Mask | None = None
    joints: Joints3D | None = None
    body: BodyLabel | None = None
    camera: CalibratedCamera | None = None
    up: Float32[np.ndarray, "3"] | None = None
    identity: str | None = None
    sequence: str | None = None
    action: str | None = None
    time_s: float | None = None
    fps: float | None = None
    crowd: bool = False

    def __post_init__(self) -> None:
        if not self.key:
            raise InputError(f"A sample of '{self.dataset}' has no key.")
        if self.box_px is not None:
            check_box(self.box_px)
        if self.up is not None:
            check_finite(self.up, "The way up")
            if abs(float(np.linalg.norm(self.up)) - 1) > 1e-3:
                raise InputError("The way up has to be a vector of length 1.")
        if self.time_s is not None and not (np.isfinite(self.time_s) and self.time_s >= 0):
            raise InputError(f"{self.time_s} is no time since the start of a sequence.")
        if self.fps is not None and not (np.isfinite(self.fps) and self.fps > 0):
            raise InputError(f"{self.fps} is no number of frames a second.")

    @property
    def labels(self) -> frozenset[str]:
        """Which of `LABELS` it has."""
        there = {
            "picture": self.picture,
            "box": self.box_px,
            "keypoints": self.keypoints,
            "parts": self.parts,
            "mask": self.mask,
            "joints": self.joints,
            "body": self.body,
            "shape": self.body.shape if self.body else None,
            "camera": self.camera,
            "gravity": self.up,
            "identity": self.identity,
            "time": self.time_s,
        }
        return frozenset(name for name, value in there.items() if value is not None)

    def joints_cam_m(self) -> Float32[np.ndarray, "j 3"] | None:
        """Joints in the camera's frame, where they are known there."""
        if self.joints is None:
            return None
        if self.joints.space == "camera":
            return self.joints.position_m
        if self.camera is None or self.camera.R_cam_world is None:
            return None
        return self.camera.to_camera(self.joints.position_m)
