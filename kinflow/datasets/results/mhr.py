"""The 70 keypoints of the Momentum Human Rig that SAM 3D Body reports, in its order."""

_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")


def _hand(side: str) -> tuple[str, ...]:
    """From the tip of each finger to its base, then the wrist."""
    joints = tuple(
        f"{side}_{finger}{end}" for finger in _FINGERS for end in ("4", "3", "2", "_third_joint")
    )
    return (*joints, f"{side}_wrist")


MHR70: tuple[str, ...] = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
    *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
    *("left_big_toe", "left_small_toe", "left_heel"),
    *("right_big_toe", "right_small_toe", "right_heel"),
    *_hand("right"),
    *_hand("left"),
    *("left_olecranon", "right_olecranon", "left_cubital_fossa", "right_cubital_fossa"),
    *("left_acromion", "right_acromion", "neck"),
)
