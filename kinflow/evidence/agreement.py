"""A second opinion on each keypoint: how BlazePose and MoveNet agree about it.

BlazePose reports shoulders, hips and faces as visible even where they are cut off by the image's
border or belong to somebody else; MoveNet, which sees the whole image, then points elsewhere. Where
the two differ, a keypoint loses confidence, and its error is at least half of the difference.
Points that MoveNet does not know follow the nearest one that it does.

BlazePose also calls limbs hidden that are in plain view, and mostly has them in the right place
all the same: those that MoveNet sees there too count as seen.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from kinflow.body.keypoints import BLAZEPOSE33, COCO17, COCO17_ROWS, LIMB_KEYPOINTS
from kinflow.evidence.blazepose import Pose
from kinflow.evidence.movenet import Detection
from kinflow.evidence.people import keypoint_similarity, person_size

COCO_ROWS = np.array(COCO17_ROWS)
# Differences of this fraction of the person's size leave 0.6 of the confidence.
TOLERATED_FRACTION = 0.15
# Two independent answers within about this fraction of the person's size are hardly both wrong.
CONFIRMED_FRACTION = 0.08
# Limbs of this much of MoveNet's heat, confirmed so, are as often right as certain ones.
SURE_HEAT = 2 / 3
# Whole poses are compared more loosely than duplicates: the networks err differently.
POSE_TOLERANCE = 1.5

_STAND_INS = {
    "eye": "eye",
    "pinky": "wrist",
    "index": "wrist",
    "thumb": "wrist",
    "heel": "ankle",
    "toe": "ankle",
}


def _stand_in(name: str) -> int:
    """Row in COCO17 of the keypoint that speaks for a BlazePose keypoint."""
    if name in COCO17:
        return COCO17.index(name)
    if name.startswith("mouth"):
        return COCO17.index("nose")
    side, *words = name.split("_")
    kind = next(word for word in words if word in _STAND_INS)
    return COCO17.index(f"{side}_{_STAND_INS[kind]}")


STAND_INS = np.array([_stand_in(name) for name in BLAZEPOSE33])
_IS_LIMB = np.isin(np.arange(len(BLAZEPOSE33)), LIMB_KEYPOINTS)


def pose_agreement(pose: Pose, detection: Detection) -> float:
    """Similarity in [0, 1] of the two poses over the keypoints that MoveNet saw."""
    keypoints = np.column_stack((pose.keypoints_px[COCO_ROWS], np.ones(len(COCO_ROWS))))
    tolerance_px = POSE_TOLERANCE * person_size(detection.box_px)
    return keypoint_similarity(keypoints, detection.keypoints_px, tolerance_px)


def difference_px(pose: Pose, detection: Detection) -> Float[np.ndarray, " 33"]:
    """Distance between the two networks' answers, or those of the stand-in, per keypoint."""
    offsets = pose.keypoints_px[COCO_ROWS] - detection.keypoints_px[:, :2]
    return np.linalg.norm(offsets, axis=1)[STAND_INS]


def trust(pose: Pose, detection: Detection) -> Float[np.ndarray, " 33"]:
    """Factor in (0, 1] for the confidence of each keypoint."""
    relative = difference_px(pose, detection) / person_size(detection.box_px)
    return np.exp(-0.5 * (relative / TOLERATED_FRACTION) ** 2)


def confirmed(pose: Pose, detection: Detection) -> Float[np.ndarray, " 33"]:
    """Confidence in [0, 1] of each limb keypoint by what MoveNet sees there; 0 for other points.

    Faces are left out: both networks guess them from behind.
    """
    relative = difference_px(pose, detection) / person_size(detection.box_px)
    heat = np.minimum(1.0, detection.keypoints_px[STAND_INS, 2] / SURE_HEAT)
    confidence = heat * np.exp(-0.5 * (relative / CONFIRMED_FRACTION) ** 2)
    return np.where(_IS_LIMB, confidence, 0.0)
