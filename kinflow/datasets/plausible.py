"""Which frames of a motion are poses: tracking errors turn joints too far, or all at once."""

import numpy as np
import torch
from jaxtyping import Float

from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.geometry.rotations import matrix_to_rotvec

MAX_STEP_DEG = 60.0
"""A joint that turns further than this within 1/30 s is a tracking glitch."""

MAX_ANGLE_DEG: dict[str, float] = {
    "hip": 150.0,
    "knee": 130.0,
    "ankle": 95.0,
    "neck": 60.0,
    "head": 100.0,
    "shoulder": 155.0,
    "elbow": 170.0,
    "wrist": 110.0,
}
"""Rotation angles from the T-pose beyond which a frame is a tracking error, not a pose."""


def plausible_frames(rotations: Float[np.ndarray, "frames 22 3 3"]) -> np.ndarray:
    """Which frames (F,) stay within `MAX_ANGLE_DEG` and do not jump from the frame before."""
    R = torch.from_numpy(rotations)
    angle_deg = torch.rad2deg(matrix_to_rotvec(R).norm(dim=-1))
    limit_deg = torch.full((R.shape[1],), 180.1, dtype=angle_deg.dtype)
    for name, joint in JOINT_INDEX.items():
        limit_deg[joint] = MAX_ANGLE_DEG.get(name.split("_")[-1], 180.1)
    good = (angle_deg <= limit_deg).all(1)
    step = torch.rad2deg(matrix_to_rotvec(R[:-1].mT @ R[1:]).norm(dim=-1))
    jumps = (step[:, FREE_JOINTS] > MAX_STEP_DEG).any(1)
    good[1:] &= ~jumps
    # a clip that jumps at once begins with a frame of calibration, not of motion
    good[0] &= not bool(jumps[:1].any())
    return good.numpy()
