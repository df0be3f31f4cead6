"""Left and right, always the person's own, in the names of joints, keypoints and parts."""

SIDES: tuple[str, str] = ("left", "right")


def other_side(name: str) -> str:
    """The name of what lies on the other side of the body; names without a side stay.

    Example:
        >>> other_side("left_knee"), other_side("mouth_right"), other_side("nose")
        ('right_knee', 'mouth_left', 'nose')
    """
    swapped = {"left": "right", "right": "left"}
    return "_".join(swapped.get(word, word) for word in name.split("_"))
