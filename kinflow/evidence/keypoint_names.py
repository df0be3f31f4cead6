"""Names of the keypoints that detectors and annotation files use, and how they correspond.

BlazePose's 33 keypoints are the common language of the evidence; COCO's 17 (also MoveNet's) and
OpenPose's BODY_25 map into them. BODY_25's toes, heels and face points have counterparts; its neck
and middle of the hips have none, and COCO's 17 are a subset.
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
    "left_foot_index",
    "right_foot_index",
)

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

BODY_25: tuple[str, ...] = (
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "mid_hip",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
    "left_foot_index",  # OpenPose: LBigToe
    "left_small_toe",
    "left_heel",
    "right_foot_index",  # OpenPose: RBigToe
    "right_small_toe",
    "right_heel",
)

# Position in BLAZEPOSE33 of each keypoint; -1 where BlazePose has no such point.
BLAZEPOSE33_OF_COCO17: tuple[int, ...] = tuple(BLAZEPOSE33.index(name) for name in COCO17)
BLAZEPOSE33_OF_BODY_25: tuple[int, ...] = tuple(
    BLAZEPOSE33.index(name) if name in BLAZEPOSE33 else -1 for name in BODY_25
)
