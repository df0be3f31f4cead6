"""AMASS motion files (Mahmood et al. 2019), which users obtain under its licence themselves.

A file is a numpy archive with SMPL-H or SMPL-X poses: `poses` (T, 156 or 165) rotation vectors of
which the first 66 are the 22 body joints in our order, `trans` (T, 3) in metres, and the frame
rate (`mocap_framerate` in `*_poses.npz`, `mocap_frame_rate` in today's `*_stageii.npz`). Nothing
else in the archive is opened. AMASS is z up; the root is turned into the canonical frame (y up).
Zero pose and joint axes are SMPL's, like ours.
"""

from pathlib import Path

import numpy as np
import torch

from kinflow.body.skeleton import NUM_JOINTS
from kinflow.datasets.bvh import MAX_RATE_HZ, MIN_RATE_HZ
from kinflow.datasets.retarget import RetargetedMotion
from kinflow.errors import InputError
from kinflow.files.npz_files import array_names, read_npz
from kinflow.geometry.rotations import rotvec_to_matrix

MAX_AMASS_BYTES = 512 << 20

# Turns AMASS's z-up world into y up: x stays, z becomes y, y becomes -z.
R_YUP_ZUP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])

_FRAME_RATE_KEYS = ("mocap_framerate", "mocap_frame_rate")
_MAX_ANGLE_RAD = 1e3
_MAX_DISTANCE_M = 1e6


def holds_motion(path: Path) -> bool:
    """Whether an archive that was found in a folder is, or should be, a motion.

    AMASS keeps shapes (`shape.npz`, `*_stagei.npz`) beside its motions, and a folder may hold
    archives of something else; none of these is a fault.
    """
    stem = path.stem.lower()
    if stem == "shape" or stem.endswith(("_shape", "_stagei")):
        return False
    if stem.endswith(("_poses", "_stageii")):
        return True
    try:
        return {"poses", "trans"} <= array_names(path)
    except InputError:
        return False


def read_amass(path: Path | str, rate_hz: float | None = None) -> RetargetedMotion:
    """Read one AMASS motion.

    Args:
        path: the file.
        rate_hz: leave out frames to come near this rate; None keeps all.

    Raises:
        InputError: the file is not an AMASS motion (AMASS folders also hold files with a body's
            shape only), holds no frames, or holds numbers that are not finite.
    """
    names = ("poses", "trans", *_FRAME_RATE_KEYS)
    data = read_npz(path, names, what="an AMASS motion", at_most=MAX_AMASS_BYTES)
    try:
        return _motion(data, rate_hz)
    except InputError as error:
        raise InputError(f"'{path}': {error}") from error


def _motion(data: dict[str, np.ndarray], rate_hz: float | None) -> RetargetedMotion:
    rate = _stored_rate(data)
    poses, trans = data.pop("poses", None), data.get("trans")
    if rate is None or poses is None or trans is None:
        found = {"poses": poses, "trans": trans, f"frame rate ({_FRAME_RATE_KEYS[0]})": rate}
        missing = ", ".join(name for name, array in found.items() if array is None)
        raise InputError(
            "it is not an AMASS motion: it needs poses, trans and a frame rate, and has no "
            f"{missing}"
        )
    file_rate_hz = _rate(rate)
    if poses.dtype.kind not in "fiu" or trans.dtype.kind not in "fiu":
        raise InputError("its poses or trans are not numbers")
    if poses.ndim != 2 or poses.shape[1] < 3 * NUM_JOINTS or trans.shape != (len(poses), 3):
        raise InputError(f"its poses {poses.shape} and trans {trans.shape} do not fit AMASS")
    if len(poses) == 0:
        raise InputError("it holds no frames")
    stride = 1 if rate_hz is None else max(1, round(file_rate_hz / rate_hz))
    rotvec = poses[::stride, : 3 * NUM_JOINTS].astype(np.float64)
    del poses  # half a gigabyte, and most of it fingers
    trans = trans[::stride].astype(np.float64)
    if not (np.isfinite(rotvec).all() and np.isfinite(trans).all()):
        raise InputError("it holds numbers that are not finite")
    if np.abs(rotvec).max() > _MAX_ANGLE_RAD or np.abs(trans).max() > _MAX_DISTANCE_M:
        raise InputError("it holds numbers that are no angles in radians or positions in metres")
    rotations = rotvec_to_matrix(torch.from_numpy(rotvec.reshape(-1, NUM_JOINTS, 3))).numpy()
    rotations[:, 0] = R_YUP_ZUP @ rotations[:, 0]
    return RetargetedMotion(rotations, trans @ R_YUP_ZUP.T, stride / file_rate_hz)


def frame_rate_hz(data: dict[str, np.ndarray]) -> float:
    """Frames a second, under whichever of its two names an archive has it.

    Raises:
        InputError: there is none, or it cannot be right.
    """
    rate = _stored_rate(data)
    if rate is None:
        raise InputError(f"it has no frame rate ({' or '.join(_FRAME_RATE_KEYS)}).")
    return _rate(rate)


def _stored_rate(data: dict[str, np.ndarray]) -> np.ndarray | None:
    return next((data[key] for key in _FRAME_RATE_KEYS if key in data), None)


def _rate(rate: np.ndarray) -> float:
    """The frame rate, which some tools write as an array of one number, or of several equal."""
    value = rate.reshape(-1)
    if rate.dtype.kind not in "fiu" or value.size == 0 or (value != value[0]).any():
        raise InputError("its frame rate is not one number")
    if not MIN_RATE_HZ <= value[0] <= MAX_RATE_HZ:
        raise InputError(
            f"its frame rate is {value[0]:g}; it has to be between {MIN_RATE_HZ:g} and "
            f"{MAX_RATE_HZ:g} frames a second"
        )
    return float(value[0])
