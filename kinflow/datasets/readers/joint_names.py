"""Names of joints and keypoints in the orders of datasets, in kinflow's words where it has one.

Names are shared, points are not: a hip of SMPL lies elsewhere than a hip of Human3.6M. Where joints
come from is said by `Joints3D.definition`.
"""

from __future__ import annotations

from kinflow.body.skeleton import JOINT_NAMES

SMPL24: tuple[str, ...] = (*JOINT_NAMES, "left_hand", "right_hand")
"""The kinematic joints of SMPL."""

_FINGERS = tuple(
    f"{finger}{bone}"
    for finger in ("index", "middle", "pinky", "ring", "thumb")
    for bone in (1, 2, 3)
)
_HANDS = tuple(f"{side}_{finger}" for side in ("left", "right") for finger in _FINGERS)
SMPLH52: tuple[str, ...] = (*JOINT_NAMES, *_HANDS)
"""The kinematic joints of SMPL-H."""
SMPLX55: tuple[str, ...] = (*JOINT_NAMES, "jaw", "left_eyeball", "right_eyeball", *_HANDS)
"""The kinematic joints of SMPL-X."""
SMPLX_POINTS: tuple[str, ...] = (
    *SMPLX55,
    "nose",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
    "left_big_toe",
    "left_small_toe",
    "left_heel",
    "right_big_toe",
    "right_small_toe",
    "right_heel",
)
"""What the `smplx` package gives as joints: SMPL-X's, then vertices; tips of fingers and the face's
landmarks, which follow, are left out."""

OPENPOSE18: tuple[str, ...] = (
    "nose",
    "neck",
    *(f"right_{joint}" for joint in ("shoulder", "elbow", "wrist")),
    *(f"left_{joint}" for joint in ("shoulder", "elbow", "wrist")),
    *(f"right_{joint}" for joint in ("hip", "knee", "ankle")),
    *(f"left_{joint}" for joint in ("hip", "knee", "ankle")),
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
)
"""OpenPose's order of COCO's keypoints with a neck, the middle of the shoulders."""

LSP14: tuple[str, ...] = (
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "neck",
    "head_top",
)
"""LSP's joints in its order, which Human3.6M has too; often called J14. The neck is where it meets
the shoulders, which is not SMPL's joint."""

H36M17: tuple[str, ...] = (
    "pelvis",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "spine",
    "neck",
    "nose",
    "head_top",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
)
"""Human3.6M's 17 in its order; others call `neck` thorax, `nose` jaw, `head_top` head."""
H36M17_OF_32: tuple[int, ...] = (*(0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27),)
"""Rows of the 17 among the 32 points of Human3.6M's files; the others repeat them, do not move, or
are tips of feet and hands."""

MPI28: tuple[str, ...] = (
    "spine3",
    "spine4",
    "spine2",
    "spine",
    "pelvis",
    "neck",
    "head",
    "head_top",
    *(f"left_{joint}" for joint in ("clavicle", "shoulder", "elbow", "wrist", "hand")),
    *(f"right_{joint}" for joint in ("clavicle", "shoulder", "elbow", "wrist", "hand")),
    *(f"left_{joint}" for joint in ("hip", "knee", "ankle", "foot", "toe")),
    *(f"right_{joint}" for joint in ("hip", "knee", "ankle", "foot", "toe")),
)
"""MPI-INF-3DHP's training set in its order (mpii_get_joint_set.m, `all`)."""
MPI17: tuple[str, ...] = (
    "head_top",
    "neck",
    *(f"right_{joint}" for joint in ("shoulder", "elbow", "wrist")),
    *(f"left_{joint}" for joint in ("shoulder", "elbow", "wrist")),
    *(f"right_{joint}" for joint in ("hip", "knee", "ankle")),
    *(f"left_{joint}" for joint in ("hip", "knee", "ankle")),
    "pelvis",
    "spine",
    "head",
)
"""MPI-INF-3DHP's test set in its order."""
