"""Which keypoints a bone joins: the limbs by their parts, and the tables that others select from.

A limb's part has one bone along it, named here without its side; `of_side` and `both_sides` give
the keypoints of either side.
"""

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.sides import SIDES

Bone = tuple[str, str]
"""The names of the keypoints at both ends."""

UPPER_ARM: Bone = ("shoulder", "elbow")
LOWER_ARM: Bone = ("elbow", "wrist")
HAND: Bone = ("wrist", "index")
UPPER_LEG: Bone = ("hip", "knee")
LOWER_LEG: Bone = ("knee", "ankle")
FOOT: Bone = ("ankle", "big_toe")
FLANK: Bone = ("shoulder", "hip")

BONE_OF_PART: dict[str, Bone] = {
    "upper_arm": UPPER_ARM,
    "lower_arm": LOWER_ARM,
    "hand": HAND,
    "upper_leg": UPPER_LEG,
    "lower_leg": LOWER_LEG,
    "foot": FOOT,
}
"""The bone along each part of the limbs, from its near end to its far one, without sides."""


def of_side(side: str, *bones: Bone) -> tuple[Bone, ...]:
    """The bones of one side, `left` or `right`."""
    return tuple((f"{side}_{a}", f"{side}_{b}") for a, b in bones)


def both_sides(*bones: Bone) -> tuple[Bone, ...]:
    """Each bone on the left and on the right.

    Example:
        >>> both_sides(UPPER_ARM)
        (('left_shoulder', 'left_elbow'), ('right_shoulder', 'right_elbow'))
    """
    return tuple(bone for stems in bones for side in SIDES for bone in of_side(side, stems))


ACROSS: tuple[Bone, ...] = (("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"))
"""From one side of the trunk to the other."""

BONES: tuple[Bone, ...] = (
    *both_sides(FLANK),
    *ACROSS,
    *both_sides(UPPER_ARM, LOWER_ARM, UPPER_LEG, LOWER_LEG),
    ("left_ear", "right_ear"),
    ("nose", "left_shoulder"),
    ("nose", "right_shoulder"),
)
"""Pairs of COCO's keypoints whose distance on an average adult is nearly fixed."""

STICK_FIGURE: tuple[Bone, ...] = (
    *BONES,
    *both_sides(HAND, FOOT),
    ("left_shoulder", "right_hip"),
    ("right_shoulder", "left_hip"),
)
"""Lines that run through all of a person."""

STICK_FIGURE_ROWS: tuple[tuple[int, int], ...] = tuple(
    (KEYPOINT_INDEX[a], KEYPOINT_INDEX[b]) for a, b in STICK_FIGURE
)
"""Both ends of each line as positions in `BLAZEPOSE33`."""

LIMB_CHAINS: tuple[tuple[str, str, str], ...] = tuple(
    (f"{side}_{first}", f"{side}_{middle}", f"{side}_{last}")
    for (first, middle), (_, last) in ((UPPER_ARM, LOWER_ARM), (UPPER_LEG, LOWER_LEG))
    for side in SIDES
)
"""The keypoints down the left arm, the right arm, the left leg and the right leg."""
