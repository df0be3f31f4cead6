"""Orders in which tools list the points of a body, and how they map into BlazePose's 33.

An order is a tuple of names in the vocabulary of `kinflow.body.keypoints.BLAZEPOSE33`; points that
BlazePose does not have (neck, pelvis, top of the head) keep names of their own and are not used.
Where a file names its points, `order_of_names` builds the order from the names; where it does not,
the number of points tells the order, and where several orders have that number
(`order_of_points`), the bones do: read in a wrong order, bones run across the whole body.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from kinflow.body.bones import (
    ACROSS,
    FLANK,
    FOOT,
    LOWER_ARM,
    LOWER_LEG,
    UPPER_ARM,
    UPPER_LEG,
    Bone,
    of_side,
)
from kinflow.body.keypoints import BLAZEPOSE33, COCO17
from kinflow.body.sides import SIDES
from kinflow.errors import InputError

_FEET6 = "left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel"
_OPENPOSE_ARMS = (
    "right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist"  # neck before it
)
_OPENPOSE_LEGS = "right_hip right_knee right_ankle left_hip left_knee left_ankle"
_OPENPOSE_FACE = "right_eye left_eye right_ear left_ear"
_LIMBS_IN_PAIRS = (
    "left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist "
    "left_hip right_hip left_knee right_knee left_ankle right_ankle"
)
# of the 68 points of a face: the corners of eyes and mouth
_FACE68 = {
    36: "right_eye_outer",
    39: "right_eye_inner",
    42: "left_eye_inner",
    45: "left_eye_outer",
    48: "mouth_right",
    54: "mouth_left",
}
# of the 21 points of a hand: the knuckles that BlazePose has
_HAND21 = {2: "thumb", 5: "index", 17: "pinky"}


@dataclass(frozen=True)
class Order:
    """The points of a body in the order in which a tool lists them."""

    name: str
    """What users call it as a format of keypoints."""
    title: str
    """What messages call it."""
    names: tuple[str, ...]
    """One name a point, those of `BLAZEPOSE33` where BlazePose has the point."""

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """Position in `BLAZEPOSE33` of each point; -1 where BlazePose has none."""
        return tuple(BLAZEPOSE33.index(n) if n in BLAZEPOSE33 else -1 for n in self.names)

    def __len__(self) -> int:
        return len(self.names)


def _some_of(count: int, known: dict[int, str], prefix: str = "") -> tuple[str, ...]:
    """Names of `count` points of which few are of use; the others get numbers."""
    return tuple(
        f"{prefix}{known[i]}" if i in known else f"{prefix}other_{i}" for i in range(count)
    )


def _words(*texts: str) -> tuple[str, ...]:
    return tuple(" ".join(texts).split())


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((a, b) for a, b in (pair.split() for pair in text.split(", ")))


_HANDS = (*_some_of(21, _HAND21, "left_"), *_some_of(21, _HAND21, "right_"))
_FACE = _some_of(68, _FACE68)
_HALPE26 = (
    *COCO17,
    *_words("head neck pelvis left_big_toe right_big_toe left_small_toe right_small_toe"),
    *_words("left_heel right_heel"),
)
_BODY_25B = (*COCO17, "upper_neck", "head_top", *_words(_FEET6))

ORDERS: tuple[Order, ...] = (
    Order("coco17", "COCO", COCO17),
    Order(
        "h36m17",
        "Human3.6M",
        _words(
            "pelvis right_hip right_knee right_ankle left_hip left_knee left_ankle spine thorax",
            "neck_base head left_shoulder left_elbow left_wrist right_shoulder right_elbow",
            "right_wrist",
        ),
    ),
    Order(
        "posetrack17",
        "PoseTrack",
        _words("nose head_bottom head_top left_ear right_ear", _LIMBS_IN_PAIRS),
    ),
    Order(
        "coco18",
        "OpenPose COCO",
        _words("nose neck", _OPENPOSE_ARMS, _OPENPOSE_LEGS, _OPENPOSE_FACE),
    ),
    Order(
        "mpi15",
        "OpenPose MPI",
        _words("head neck", _OPENPOSE_ARMS, _OPENPOSE_LEGS, "chest"),
    ),
    Order(
        "body25",
        "OpenPose BODY_25",
        _words("nose neck", _OPENPOSE_ARMS, "mid_hip", _OPENPOSE_LEGS, _OPENPOSE_FACE, _FEET6),
    ),
    Order("body25b", "OpenPose BODY_25B", _BODY_25B),
    Order("body135", "OpenPose BODY_135", (*_BODY_25B, *_some_of(110, {}))),
    Order("coco23", "COCO with feet", (*COCO17, *_words(_FEET6))),
    Order("halpe26", "Halpe-26", _HALPE26),
    Order("halpe136", "Halpe-136", (*_HALPE26, *_FACE, *_HANDS)),
    Order("wholebody133", "COCO-WholeBody", (*COCO17, *_words(_FEET6), *_FACE, *_HANDS)),
    Order("blazepose33", "BlazePose", BLAZEPOSE33),
    Order(
        "mpii16",
        "MPII",
        _words(
            "right_ankle right_knee right_hip left_hip left_knee left_ankle pelvis thorax",
            "upper_neck head_top right_wrist right_elbow right_shoulder left_shoulder left_elbow",
            "left_wrist",
        ),
    ),
    Order("crowdpose14", "CrowdPose", _words(_LIMBS_IN_PAIRS, "head_top neck")),
    Order("aic14", "AI Challenger", _words(_OPENPOSE_ARMS, _OPENPOSE_LEGS, "head_top neck")),
    Order(
        "lsp14",
        "LSP",
        _words(
            "right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist",
            "right_elbow right_shoulder left_shoulder left_elbow left_wrist neck head_top",
        ),
    ),
)
"""All known orders; of those with the same number of points the usual one comes first."""

ORDER_OF_NAME: dict[str, Order] = {order.name: order for order in ORDERS}
KNOWN_COUNTS: tuple[int, ...] = tuple(sorted({len(order) for order in ORDERS}))

# These have as many points as the usual order of their number but differ from it in the head alone,
# or are too rare to be guessed.
_NEVER_GUESSED = ("posetrack17",)
# Of these numbers of points no order is the usual one.
_NO_USUAL_ORDER = (14,)
_SIDED_BONES = (
    *(UPPER_ARM, LOWER_ARM, UPPER_LEG, LOWER_LEG, FLANK),
    *(("eye", "ear"), ("ankle", "heel"), FOOT, ("big_toe", "small_toe")),
)
_MIDDLE_BONES = (
    "nose eye, neck shoulder, upper_neck shoulder, neck_base shoulder, thorax shoulder, "
    "pelvis hip, mid_hip hip"
)
_BONES: tuple[Bone, ...] = (
    *(bone for side in SIDES for bone in of_side(side, *_SIDED_BONES)),
    *((a, f"{side}_{b}") for side in SIDES for a, b in _pairs(_MIDDLE_BONES)),
    *ACROSS,
    *_pairs("neck head_top, upper_neck head_top, head neck_base"),
    *_pairs("thorax spine, spine pelvis, thorax pelvis"),
)
_MIN_BONES = 8
# Bones of the right order are shorter than this fraction of those of a wrong one. Among 400 poses
# of the prior, seen from random sides with up to 30 % of the points missing, this took nobody in a
# usual order for another, and nobody of 14 points for one of another order.
_CLEARLY_SHORTER = 0.7
_SHORTER_OF_EQUALS = 0.75


def order_of_points(
    count: int, people: Sequence[Float[np.ndarray, "n 3"]], place: str
) -> tuple[Order, bool]:
    """The order of `count` points without names, and whether the bones had to tell it.

    Args:
        count: how many points a person has.
        people: (x, y, confidence) of each person's points.
        place: where in the file, for the sentence.

    Raises:
        InputError: no order has that many points, or it cannot be told which one is meant.
    """
    candidates = [o for o in ORDERS if len(o) == count and o.name not in _NEVER_GUESSED]
    if not candidates:
        raise InputError(unknown_count(place, count))
    if len(candidates) == 1:
        return candidates[0], False
    lengths = {order.name: _bone_length(order, people) for order in candidates}
    best, second = sorted(candidates, key=lambda order: lengths[order.name])[:2]
    measured = np.isfinite(list(lengths.values())).all()
    ratio = _SHORTER_OF_EQUALS if count in _NO_USUAL_ORDER else _CLEARLY_SHORTER
    clear = measured and lengths[best.name] < ratio * lengths[second.name]
    if clear:
        return best, best is not candidates[0]
    if count in _NO_USUAL_ORDER:
        names = ", ".join(order.name for order in candidates)
        raise InputError(
            f"{place} has {count} points, and their order cannot be told from them; name it as the "
            f"format: {names}",
            {"as the format": "keypoints_format"},
        )
    return candidates[0], False


def unknown_count(place: str, count: int) -> str:
    """A sentence about a number of points that no order has."""
    known = ", ".join(map(str, KNOWN_COUNTS))
    return f"{place} has {count} points; kinflow knows orders of {known} points"


def _bone_length(order: Order, people: Sequence[Float[np.ndarray, "n 3"]]) -> float:
    """Mean length of the bones, relative to the person; infinity where too few are seen."""
    bones = [bone for bone in _BONES if all(name in order.names for name in bone)]
    ends = np.array([[order.names.index(name) for name in bone] for bone in bones])
    lengths = []
    for points in people:
        seen = points[:, 2] > 0
        size = float(np.ptp(points[seen, :2], axis=0).max(initial=0.0)) if seen.any() else 0.0
        a, b = points[ends[seen[ends].all(axis=1)]].transpose(1, 0, 2)
        if size > 0:
            lengths += (np.linalg.norm((a - b)[:, :2], axis=1) / size).tolist()
    return float(np.mean(lengths)) if len(lengths) >= _MIN_BONES else float("inf")


_SIDE_WORDS = {
    "left": "left",
    "l": "left",
    "lt": "left",
    "right": "right",
    "r": "right",
    "rt": "right",
}
_SIDED_PARTS = {
    "eye": "eye",
    "eyeinner": "eye_inner",
    "innereye": "eye_inner",
    "eyeouter": "eye_outer",
    "outereye": "eye_outer",
    "ear": "ear",
    "mouth": "mouth",
    "mouthcorner": "mouth",
    "shoulder": "shoulder",
    "shldr": "shoulder",
    "sho": "shoulder",
    "elbow": "elbow",
    "elb": "elbow",
    "wrist": "wrist",
    "wri": "wrist",
    "hip": "hip",
    "knee": "knee",
    "kne": "knee",
    "ankle": "ankle",
    "ank": "ankle",
    "heel": "heel",
    "bigtoe": "big_toe",
    "toebig": "big_toe",
    "footindex": "big_toe",
    "toe": "big_toe",
    "toes": "big_toe",
    "toetip": "big_toe",
    "smalltoe": "small_toe",
    "littletoe": "small_toe",
    "toesmall": "small_toe",
    "pinky": "pinky",
    "pinkyfinger1": "pinky",
    "index": "index",
    "forefinger1": "index",
    "thumb": "thumb",
    "thumb2": "thumb",
    # Human3.6M calls the ankle so; `order_of_names` sees to it where there are ankles as well
    "foot": "foot",
}
_MIDDLE_PARTS = {
    "nose": "nose",
    "nosetip": "nose",
    "head": "head",
    "headtop": "head_top",
    "tophead": "head_top",
    "topofhead": "head_top",
    "headbottom": "head_bottom",
    "neck": "neck",
    "upperneck": "neck",
    "neckbase": "neck",
    "thorax": "thorax",
    "chest": "chest",
    "spine": "spine",
    "torso": "spine",
    "belly": "spine",
    "pelvis": "pelvis",
    "hip": "pelvis",
    "hips": "pelvis",
    "midhip": "pelvis",
    "hipcenter": "pelvis",
    "root": "pelvis",
    "rootpelvis": "pelvis",
}
_FILLING = ("pose", "landmark", "keypoint", "joint", "kp")
_GENERIC_NAME = re.compile(r"(kpt?|key ?points?|points?|joints?|landmarks?)?[ _-]?\d+")
_MIN_NAMED = 4


def body_point(name: str) -> str | None:
    """The point that a name of some tool means, in the vocabulary of `BLAZEPOSE33`.

    Example:
        >>> [body_point(n) for n in ("LHip", "leftHip", "l_hip", "left hip", "Hip.L", "lhip")]
        ['left_hip', 'left_hip', 'left_hip', 'left_hip', 'left_hip', 'left_hip']
        >>> body_point("tail") is None
        True
    """
    text = re.sub(r"\b([LR])(?=[A-Z][a-z])", r"\1 ", name[:80].replace("_", " "))
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    words = [word for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in _FILLING]
    sides = [_SIDE_WORDS[word] for word in words if word in _SIDE_WORDS]
    part = "".join(word for word in words if word not in _SIDE_WORDS)
    if not sides:
        for glued in ("left", "right", "l", "r"):
            rest = part.removeprefix(glued)
            if rest != part and rest in _SIDED_PARTS:
                sides, part = [_SIDE_WORDS[glued]], rest
                break
    if not sides:
        return _MIDDLE_PARTS.get(part)
    if len(sides) > 1 or part not in _SIDED_PARTS:
        return None
    # BlazePose puts the side of the mouth's corners last
    return f"mouth_{sides[0]}" if part.startswith("mouth") else f"{sides[0]}_{_SIDED_PARTS[part]}"


def order_of_names(names: Sequence[str], place: str) -> Order | None:
    """The order that a file's own names of the points tell.

    Returns None where the names are mere numbers.

    Raises:
        InputError: they are names, but hardly any of them is a point of a body.
    """
    if all(_GENERIC_NAME.fullmatch(name.strip().lower()) for name in names):
        return None
    points = [body_point(name) for name in names]
    if sum(point in BLAZEPOSE33 or str(point).endswith("foot") for point in points) < _MIN_NAMED:
        shown = ", ".join(repr(name[:30]) for name in names[:4])
        raise InputError(
            f"{place} names the points {shown}, ..., which are not known as points of a body; "
            "name the order as the format if it is a known one",
            {"as the format": "keypoints_format"},
        )
    taken: set[str] = set()
    for i, point in enumerate(points):
        if point in ("left_foot", "right_foot"):
            ankle = point.replace("foot", "ankle")
            points[i] = point = ankle if ankle not in points else None
        if point is None or point in taken:
            points[i] = f"other_{i}"
        else:
            taken.add(point)
    meant = tuple(str(point) for point in points)
    for order in ORDERS:
        if Order("", "", meant).rows == order.rows:
            return order
    return Order("names", "in the order that the file names", meant)
