"""Names and order of the body's keypoints: BlazePose's 33, then the toes that COCO-WholeBody adds.

The body model places all of them; `COCO17`, `BODY_25` and `BLAZEPOSE33` index into this one order.
"""

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

KEYPOINT_INDEX: dict[str, int] = {name: i for i, name in enumerate(KEYPOINT_NAMES)}

COCO17_NAMES: tuple[str, ...] = (
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
COCO17: tuple[int, ...] = tuple(KEYPOINT_INDEX[name] for name in COCO17_NAMES)
"""Position of each COCO keypoint in KEYPOINT_NAMES."""

LIMB_KEYPOINTS: tuple[int, ...] = tuple(
    KEYPOINT_INDEX[f"{side}_{name}"]
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)
"""The twelve keypoints on limbs, those that reprojection errors are reported on."""
