"""Motions as AMASS has them (Mahmood et al. 2019), for tools that read such archives.

`poses` are rotation vectors of SMPL's 22 body joints, which are ours, padded with zeros to the 52
of SMPL-H; `trans` is the position of the pelvis joint, metres (SMPL's own `trans` differs from that
by the constant place of the pelvis in its rest pose); `mocap_framerate` is the rate. As in AMASS
the world is z up. There are no SMPL shape coefficients: `betas` are zeros, and
`kinflow_shape` holds the six parameters of kinflow's own body, so lengths of bones are those of the
person only where they are read with that body.
"""

from __future__ import annotations

import io

import numpy as np
import torch

from kinflow.body.shape import PHENOTYPES
from kinflow.export.motion import Motion
from kinflow.geometry.rotations import matrix_to_rotvec

R_ZUP_YUP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""From our world (y up) to AMASS's (z up)."""
_SMPLH_JOINTS = 52
_BETAS = 16


def amass_name(identity: int) -> str:
    """Name of a person's file; readers of AMASS look for the ending."""
    return f"person_{identity}_poses.npz"


def amass_bytes(motion: Motion) -> bytes:
    """Content of `person_<id>_poses.npz`."""
    pose = motion.pose.copy()
    pose[:, 0] = R_ZUP_YUP @ pose[:, 0]
    rotvec = matrix_to_rotvec(torch.from_numpy(pose)).numpy()
    poses = np.zeros((len(motion), _SMPLH_JOINTS, 3))
    poses[:, : rotvec.shape[1]] = rotvec
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        allow_pickle=False,
        poses=poses.reshape(len(motion), -1),
        trans=motion.t_world_root_m @ R_ZUP_YUP.T,
        mocap_framerate=np.array(motion.rate_hz),
        betas=np.zeros(_BETAS),
        gender=np.array("neutral"),
        kinflow_shape=motion.shape,
        kinflow_shape_names=np.array(PHENOTYPES),
        seen=motion.seen,
    )
    return stream.getvalue()
