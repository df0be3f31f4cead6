"""The 22-joint skeleton: names, order and topology are those of SMPL's body joints.

Everything that speaks of joints (priors, mocap readers, fitting, export) indexes by this order.
"""

from kinflow.body.sides import other_side

JOINT_NAMES: tuple[str, ...] = (
    "pelvis",
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "spine2",
    "left_ankle",
    "right_ankle",
    "spine3",
    "left_foot",
    "right_foot",
    "neck",
    "left_collar",
    "right_collar",
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
)
NUM_JOINTS = len(JOINT_NAMES)

PARENTS: tuple[int, ...] = (
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19,
)  # fmt: skip

JOINT_INDEX: dict[str, int] = {name: i for i, name in enumerate(JOINT_NAMES)}

FREE_JOINTS: tuple[int, ...] = tuple(
    i for i, name in enumerate(JOINT_NAMES) if name not in ("pelvis", "left_foot", "right_foot")
)
"""Joints whose rotation the pose prior describes: all but the root and the toes."""

MIRROR_JOINTS: tuple[int, ...] = tuple(JOINT_INDEX[other_side(name)] for name in JOINT_NAMES)
"""Index of the joint on the other side of the body; an involution."""


def descendants_mask() -> list[list[bool]]:
    """`mask[a][j]` is true when joint `j` is `a` or lies below `a` in the tree."""
    mask = [[False] * NUM_JOINTS for _ in range(NUM_JOINTS)]
    for joint in range(NUM_JOINTS):
        ancestor = joint
        while ancestor >= 0:
            mask[ancestor][joint] = True
            ancestor = PARENTS[ancestor]
    return mask
