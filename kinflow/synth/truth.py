"""Reads the truth files of `kinflow synth`: what a scene is, in numbers (docs/synth.md)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.parts import NUM_PARTS
from kinflow.body.skeleton import NUM_JOINTS
from kinflow.errors import InputError
from kinflow.files.npz_files import read_npz
from kinflow.files.reading import guarded

FORMAT = "kinflow scene 1"

_WHAT = "a readable truth file"
_MAX_BYTES = 256 << 20
_GRID = (-1, -1)
_POINTS = len(BLAZEPOSE33)
_ARRAYS: dict[str, tuple[tuple[int, ...], str]] = {
    "focal_px": ((), "f"),
    "principal_px": ((2,), "f"),
    "image_size": ((2,), "iu"),
    "grid_origin_px": ((2,), "f"),
    "grid_cell_px": ((), "f"),
    "shape": ((6,), "f"),
    "pose": ((NUM_JOINTS, 3, 3), "f"),
    "t_cam_root_m": ((3,), "f"),
    "joints_cam_m": ((NUM_JOINTS, 3), "f"),
    "keypoints_cam_m": ((_POINTS, 3), "f"),
    "keypoints_px": ((_POINTS, 2), "f"),
    "keypoint_visible": ((_POINTS,), "b"),
    "detected_keypoints_px": ((_POINTS, 3), "f"),
    "detected_depth_m": ((_POINTS,), "f"),
    "parts": (_GRID, "u"),
    "dressed": (_GRID, "b"),
    "known": (_GRID, "b"),
    "neighbour": (_GRID, "b"),
    "mask": (_GRID, "u"),
}
"""Shape of every array that a truth file must hold, and the kinds of numbers that it may have."""


def read_truth(path: Path | str) -> dict[str, np.ndarray]:
    """The arrays of a `truth` file.

    Raises:
        InputError: the file is missing, damaged or of another kind.
    """
    with guarded(path, _WHAT):
        arrays = read_npz(path, what=_WHAT, at_most=_MAX_BYTES)
        if str(arrays.get("format")) != FORMAT:
            raise InputError(f"'{path}' is not the truth of a scene of this version of kinflow.")
        try:
            _check(arrays)
        except InputError as error:
            raise InputError(f"'{path}' is damaged: {error}; make it anew.") from error
    return arrays


def _check(arrays: dict[str, np.ndarray]) -> None:
    if missing := [name for name in _ARRAYS if name not in arrays]:
        raise InputError(f"'{missing[0]}' is missing")
    grid = arrays["parts"].shape
    for name, (shape, kinds) in _ARRAYS.items():
        array, wanted = arrays[name], (grid if shape == _GRID else shape)
        if array.shape != wanted or array.ndim != len(shape) or array.dtype.kind not in kinds:
            raise InputError(f"'{name}' has shape {array.shape} and holds {array.dtype}")
        # a depth that nobody estimated is NaN
        known = array.dtype.kind != "f" or name == "detected_depth_m" or np.isfinite(array).all()
        if not known:
            raise InputError(f"'{name}' holds values that are not finite")
    if arrays["parts"].max(initial=0) > NUM_PARTS:
        raise InputError("'parts' holds numbers that are no part's")
    if (arrays["image_size"] < 1).any() or min(arrays["focal_px"], arrays["grid_cell_px"]) <= 0:
        raise InputError("sizes and the focal length have to be positive")
