"""The 14 semantic body parts (those of COCO-DensePose): names, colours, and parts of the mesh.

Sets of parts are numbers whose bit k stands for part k of `PART_NAMES`, bit 0 for the background.
Left and right are the person's.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.body.sides import SIDES, other_side
from kinflow.body.skeleton import JOINT_NAMES

PART_NAMES: tuple[str, ...] = (
    "background",
    "head",
    "torso",
    "left_upper_arm",
    "right_upper_arm",
    "left_lower_arm",
    "right_lower_arm",
    "left_hand",
    "right_hand",
    "left_upper_leg",
    "right_upper_leg",
    "left_lower_leg",
    "right_lower_leg",
    "left_foot",
    "right_foot",
)
PART_INDEX: dict[str, int] = {name: i for i, name in enumerate(PART_NAMES)}

NUM_PARTS = len(PART_NAMES) - 1
"""Body parts, numbered from 1; 0 is the background."""

BACKGROUND = 1
"""Bit set of a pixel that shows no part of the person."""
ANY_PART = (1 << NUM_PARTS + 1) - 2
"""Bit set of a pixel that shows the person, nobody knows which part: a silhouette."""
UNKNOWN = BACKGROUND | ANY_PART
"""Bit set of a pixel of which nothing is known: under an occluder or another person."""

MIRROR_PARTS: tuple[int, ...] = tuple(PART_INDEX[other_side(name)] for name in PART_NAMES)
"""Index of the part on the other side of the body; an involution."""

PART_COLORS: tuple[tuple[int, int, int], ...] = (
    (0, 0, 0),
    (252, 232, 72),
    (92, 122, 205),
    (255, 122, 112),
    (168, 36, 52),
    (255, 160, 62),
    (186, 88, 14),
    (255, 138, 214),
    (176, 26, 134),
    (126, 224, 126),
    (24, 122, 52),
    (100, 224, 232),
    (10, 118, 138),
    (194, 150, 255),
    (102, 52, 178),
)
"""sRGB, 0 to 255, in the order of `PART_NAMES`: a hue for each kind of limb, light on the left and
dark on the right."""
UNKNOWN_COLOR: tuple[int, int, int] = (128, 128, 128)
"""sRGB of pixels of which nothing is known."""

_PART_OF_JOINT = {
    "hip": "upper_leg",
    "knee": "lower_leg",
    "ankle": "foot",
    "foot": "foot",
    "shoulder": "upper_arm",
    "elbow": "lower_arm",
    "wrist": "hand",
}


def part_indices(*names: str) -> tuple[int, ...]:
    """Indices of the named parts; a limb without a side stands for both.

    Raises:
        KeyError: there is no such part.
    """
    parts = [[n] if n in PART_INDEX else [f"{side}_{n}" for side in SIDES] for n in names]
    return tuple(PART_INDEX[part] for both in parts for part in both)


def part_set(*names: str) -> int:
    """Bit set of the named parts; a limb without a side stands for both.

    Raises:
        KeyError: there is no such part.

    Example:
        >>> part_set("background", "head"), part_set("hand") == part_set("left_hand", "right_hand")
        (3, True)
    """
    bits = 0
    for index in part_indices(*names):
        bits |= 1 << index
    return bits


def part_of_joint(name: str) -> int:
    """Index of the part that a joint moves; the trunk's joints, neck and collars move the torso."""
    if name == "head":
        return PART_INDEX["head"]
    side, _, stem = name.partition("_")
    return PART_INDEX[f"{side}_{_PART_OF_JOINT[stem]}" if stem in _PART_OF_JOINT else "torso"]


def parts_of_weights(skin_weights: Float[Tensor, "vertices 22"]) -> Int[Tensor, " vertices"]:
    """Part of each vertex: the one whose joints have the most skinning weight on it."""
    parts = torch.tensor([part_of_joint(name) for name in JOINT_NAMES])
    mass = skin_weights.new_zeros(len(skin_weights), len(PART_NAMES))
    return mass.index_add_(1, parts, skin_weights).argmax(1)
