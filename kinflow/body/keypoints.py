"""Names and order of keypoints: BlazePose's 33, then the toes that COCO-WholeBody adds.

This is the one language of keypoints: the body model places all of them, and whatever detectors and
files say is converted into it where it is read. COCO's 17 (also MoveNet's) are some of them, in an
order of their own.
"""

from kinflow.body.sides import SIDES, other_side

BLAZEPOSE33: tuple[str, ...] = (
    "nose",
    "left_eye_inner",
    "left_eye",
    "left_eye_outer",
    "right_eye_inner",
    "right_eye",
    "right_eye_outer",
    "left_ear",
    "right_ear",
    "mouth_left",
    "mouth_right",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_pinky",
    "right_pinky",
    "left_index",
    "right_index",
    "left_thumb",
    "right_thumb",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_heel",
    "right_heel",
    "left_big_toe",
    "right_big_toe",
)
"""BlazePose's `foot_index` is the tip of the big toe and is named so here."""

KEYPOINT_NAMES: tuple[str, ...] = (*BLAZEPOSE33, "left_small_toe", "right_small_toe")

FOOT_KEYPOINTS: tuple[str, ...] = tuple(
    f"{side}_{point}" for side in SIDES for point in ("heel", "big_toe")
)
"""Points of the feet that stand on the ground: heels and big toes, the left foot's first."""

KEYPOINT_INDEX: dict[str, int] = {name: i for i, name in enumerate(KEYPOINT_NAMES)}

COCO17: tuple[str, ...] = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
COCO17_ROWS: tuple[int, ...] = tuple(KEYPOINT_INDEX[name] for name in COCO17)
"""Position of each COCO keypoint in KEYPOINT_NAMES, and so in BLAZEPOSE33."""

LIMB_KEYPOINTS: tuple[int, ...] = tuple(
    KEYPOINT_INDEX[f"{side}_{name}"]
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in SIDES
)
"""The twelve keypoints on limbs, those that reprojection errors are reported on."""

MIRROR_KEYPOINTS: tuple[int, ...] = tuple(
    KEYPOINT_INDEX[other_side(name)] for name in KEYPOINT_NAMES
)
"""Index of the keypoint on the other side of the body; an involution, also of the first 33."""
