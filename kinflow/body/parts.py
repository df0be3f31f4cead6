"""The 14 semantic body parts (those of COCO-DensePose)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

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

_PART_OF_JOINT = {
    "hip": "upper_leg",
    "knee": "lower_leg",
    "ankle": "foot",
    "foot": "foot",
    "shoulder": "upper_arm",
    "elbow": "lower_arm",
    "wrist": "hand",
}


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
