"""AMASS motion files (Mahmood et al. 2019), which users obtain under its licence themselves.

A file is a numpy archive with SMPL-H poses: `poses` (T, 156) rotation vectors of which the first 66
are the 22 body joints in our order, `trans` (T, 3) in metres, and the frame rate. AMASS is z up;
the root is turned into the canonical frame (y up). Zero pose and joint axes are SMPL's, like ours.
"""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import roma
import torch

from kinflow.body.skeleton import NUM_JOINTS
from kinflow.datasets.retarget import RetargetedMotion
from kinflow.errors import InputError

# Turns AMASS's z-up world into y up: x stays, z becomes y, y becomes -z.
R_YUP_ZUP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])

_FRAME_RATE_KEYS = ("mocap_framerate", "mocap_frame_rate")


def read_amass(path: Path | str) -> RetargetedMotion:
    """Read one AMASS motion.

    Raises:
        InputError: the file is not an AMASS motion (AMASS folders also hold files with a body's
            shape only) or holds numbers that are not finite.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            data = {key: archive[key] for key in archive.files if archive[key].dtype.kind == "f"}
            data |= {key: archive[key] for key in archive.files if archive[key].dtype.kind in "iu"}
    except (OSError, ValueError, BadZipFile) as error:
        raise InputError(f"cannot read {path} as a numpy archive: {error}") from error
    rate_hz = next((float(data[key]) for key in _FRAME_RATE_KEYS if key in data), None)
    poses, trans = data.get("poses"), data.get("trans")
    if rate_hz is None or poses is None or trans is None:
        raise InputError(f"{path} is not an AMASS motion: it needs poses, trans and a frame rate")
    if poses.ndim != 2 or poses.shape[1] < 3 * NUM_JOINTS or trans.shape != (len(poses), 3):
        raise InputError(f"{path}: poses {poses.shape} and trans {trans.shape} do not fit AMASS")
    if not (np.isfinite(poses).all() and np.isfinite(trans).all() and rate_hz > 0):
        raise InputError(f"{path} holds numbers that are not finite")
    rotvec = poses[:, : 3 * NUM_JOINTS].astype(np.float64).reshape(-1, NUM_JOINTS, 3)
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(rotvec)).numpy()
    rotations[:, 0] = R_YUP_ZUP @ rotations[:, 0]
    return RetargetedMotion(rotations, trans @ R_YUP_ZUP.T, 1.0 / rate_hz)
