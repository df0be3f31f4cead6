"""Labels of bodies of the SMPL family as datasets store them: rotation vectors, and their world."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Float64

from kinflow.datasets.readers.fields import Fields
from kinflow.datasets.sample_parts import BodyLabel, BodyModel, CalibratedCamera, Space
from kinflow.datasets.source_skeleton import smallest_turn
from kinflow.errors import InputError
from kinflow.geometry.rotations import rotvec_to_matrix

Gender = Literal["female", "male", "neutral"]
UP = np.array([0.0, 1.0, 0.0], np.float32)
"""Of the world, as of `sample_parts.Space`."""
_UPRIGHT = 0.6
"""How far the mean of people's own way up has to reach along an axis for that to be the world's."""


def matrices(rotvec: Float64[np.ndarray, "frames numbers"]) -> Float32[np.ndarray, "frames j 3 3"]:
    """Rotation vectors, three numbers a joint, as matrices."""
    vectors = torch.from_numpy(np.array(rotvec, np.float64)).unflatten(1, (-1, 3))
    return rotvec_to_matrix(vectors).numpy().astype(np.float32)


def way_up(R_world_root: Float32[np.ndarray, "people 3 3"]) -> Float64[np.ndarray, "3"] | None:
    """The axis that points up in a world, told from how people are turned in it.

    People stand, walk and sit more than they lie, and turn all ways: the mean of their own way up
    is the world's. None where that is not clear.
    """
    mean = R_world_root[:, :, 1].mean(0) if len(R_world_root) else np.zeros(3)
    axis = int(np.abs(mean).argmax())
    if abs(mean[axis]) < _UPRIGHT:
        return None
    up = np.zeros(3)
    up[axis] = np.sign(mean[axis])
    return up


def turn_up(up: Float64[np.ndarray, "3"] | None) -> Float32[np.ndarray, "3 3"] | None:
    """The smallest turn that brings `up` to y; None if it is there already, or is not known."""
    if up is None or up[1] == 1:
        return None
    return smallest_turn(up, UP.astype(np.float64)).astype(np.float32)


def turned_extrinsics(
    E: Float64[np.ndarray, "frames 4 4"], R_new_old: Float32[np.ndarray, "3 3"] | None
) -> Float64[np.ndarray, "frames 4 4"]:
    """The same cameras (world to camera) in a world that is turned by `R_new_old`."""
    if R_new_old is None:
        return E
    turned = E.copy()
    with np.errstate(invalid="ignore"):  # cameras that nobody aligned may be anything
        turned[:, :3, :3] = E[:, :3, :3] @ R_new_old.T
    return turned


def body_label(
    model: BodyModel,
    names: tuple[str, ...],
    R: Float32[np.ndarray, "j 3 3"],
    t_m: Float64[np.ndarray, "3"],
    space: Space,
    shape: Float64[np.ndarray, " b"] | None,
    gender: Gender | None,
    R_space_model: Float32[np.ndarray, "3 3"] | None = None,
) -> BodyLabel:
    """A label of parameters in the frame of the file, which `R_space_model` turns into `space`."""
    t_space_m = t_m.astype(np.float32)
    if R_space_model is not None:
        R = np.concatenate([(R_space_model @ R[0])[None], R[1:]])
        t_space_m = R_space_model @ t_space_m
    shape = None if shape is None else shape.astype(np.float32)
    return BodyLabel(model, names, R, t_space_m, space, shape, gender, R_space_model)


def gender_of(text: str, fields: Fields) -> Gender:
    """Gender as files spell it: `m`, `male`, `neutral`.

    Raises:
        InputError: it is none.
    """
    for gender in ("female", "male", "neutral"):
        if text and gender.startswith(text.strip().lower()):
            return gender
    raise InputError(f"'{fields.path}' has no gender '{text[:20]}'.")


def camera_of(
    K: Float64[np.ndarray, "3 3"],
    size: tuple[int, int],
    extrinsics: Float64[np.ndarray, "4 4"] | None = None,
) -> CalibratedCamera:
    """A camera of its matrices, as a dataset writes them; metres."""
    R = None if extrinsics is None else extrinsics[:3, :3].astype(np.float32)
    t = None if extrinsics is None else extrinsics[:3, 3].astype(np.float32)
    return CalibratedCamera(
        (float(K[0, 0]), float(K[1, 1])),
        (float(K[0, 2]), float(K[1, 2])),
        size,
        R_cam_world=R,
        t_cam_world_m=t,
    )
