"""How far a detected keypoint may be from the true one.

The standard deviation of a keypoint in each image axis is a fraction of the person's size that
depends on the kind of point, grows as its confidence falls, and is never below what the network can
resolve. The fractions are those by which COCO's annotators disagree (`sigma` of the object keypoint
similarity, cocodataset.org/#keypoints-eval), relative to the square root of the person's area; the
points that COCO does not have take about the value of their neighbour. Good detectors err about as
much as annotators disagree.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from kinflow.body.keypoints import BLAZEPOSE33

FRACTIONS: dict[str, float] = {
    "nose": 0.026,
    "eye": 0.025,
    "ear": 0.035,
    "mouth": 0.026,
    "shoulder": 0.079,
    "elbow": 0.072,
    "wrist": 0.062,
    "pinky": 0.072,
    "index": 0.072,
    "thumb": 0.068,
    "hip": 0.107,
    "knee": 0.087,
    "ankle": 0.089,
    "heel": 0.095,
    "toe": 0.095,
}
# COCO's sigma is one of distances, relative to the root of the segmented area: per axis it is
# 1 / sqrt(2) of it, and a person fills about half of the box.
PER_AXIS_OF_BOX = 0.5
# A point with no confidence at all is about three times as uncertain as a certain one.
HIDDEN_FACTOR = 3.0
CROP_CELLS = 256
MIN_STD_PX = 0.5


def _fraction(name: str) -> float:
    (kind,) = FRACTIONS.keys() & set(name.split("_"))
    return FRACTIONS[kind]


KEYPOINT_FRACTIONS: Float[np.ndarray, " 33"] = np.array([_fraction(n) for n in BLAZEPOSE33])


def keypoint_std_px(
    confidence: Float[np.ndarray, " 33"], person_px: float, region_px: float
) -> Float[np.ndarray, " 33"]:
    """Standard deviation in pixels of each keypoint in each image axis.

    `person_px` is the square root of the area of the person's box, `region_px` the side of the
    region that the network saw with `CROP_CELLS` pixels.
    """
    widening = 1 + (HIDDEN_FACTOR - 1) * (1 - confidence)
    resolution = max(MIN_STD_PX, region_px / CROP_CELLS)
    return np.hypot(PER_AXIS_OF_BOX * KEYPOINT_FRACTIONS * person_px * widening, resolution)
