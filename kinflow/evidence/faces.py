"""How old faces look, for children are smaller than adults.

HSE-FaceRes (Savchenko, "Efficient facial representations for age, gender and identity recognition
in organizing photo albums using multi-output ConvNet", PeerJ Computer Science 5:e197, 2019), of
which only the head that tells ages is here. It looks at a square around a face that is turned so
that the mouth is below the eyes. Of what is no face, of a blurred one or a drawn one its answer is
spread over all ages, and says nothing.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, UInt8

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.sides import SIDES
from kinflow.evidence.region import Region
from kinflow.evidence.types import ADULT_YEARS, FaceAge
from kinflow.evidence.weights import Network, RuntimeConfig

CROP_PX = 224
SIDE = 3.8
"""Of the square, in sizes of the face: hair and chin are in it."""
EYES_TO_MOUTH = 0.95
"""How far the mouth is from the eyes, in distances of the eyes, of a face that is seen from in
front and level."""
LEAST_SIZE_PX = 5.0
"""Smaller faces say nothing."""
MOST_ENTROPY = 4.1
"""In nats: of answers that are spread further, nearly as over sixty years, none is taken."""

_EYES = [KEYPOINT_INDEX[f"{side}_eye"] for side in SIDES]
_MOUTH = [KEYPOINT_INDEX[f"mouth_{side}"] for side in SIDES]


class FaceAges:
    """The network."""

    def __init__(self, runtime: RuntimeConfig) -> None:
        self._network = Network("face_age.onnx", runtime)

    def look(
        self,
        image_rgb: UInt8[np.ndarray, "height width 3"],
        keypoints_px: Float[np.ndarray, "33 3"],
    ) -> FaceAge | None:
        """How old somebody looks; None where their face is hardly seen or says nothing.

        Args:
            image_rgb: the picture.
            keypoints_px: (x, y, confidence) of the person.
        """
        region = region_of_face(keypoints_px)
        if region is None:
            return None
        by_year = self._network.run(region.crop(image_rgb, CROP_PX)[None])["age"].ravel()
        by_year = by_year.astype(np.float64).clip(1e-12)
        if -(by_year * np.log(by_year)).sum() > MOST_ENTROPY:
            return None
        young = by_year[:ADULT_YEARS]
        child = float(young.sum())
        return FaceAge(min(child, 1.0), float(young @ np.arange(ADULT_YEARS)) / child)


def region_of_face(keypoints_px: Float[np.ndarray, "33 3"]) -> Region | None:
    """The square to look at; None of a face that is too small, or turned away: then the left eye is
    to the left of the right one.

    Args:
        keypoints_px: (x, y, confidence) of a person.
    """
    if not (keypoints_px[[*_EYES, *_MOUTH], 2] > 0).all():
        return None
    middle, up, across = _face(keypoints_px)
    size = max(math.hypot(*up), EYES_TO_MOUTH * math.hypot(*across))
    if size < LEAST_SIZE_PX or up[0] * across[1] - up[1] * across[0] <= 0:
        return None
    roll = math.atan2(up[0], -up[1])
    return Region((float(middle[0]), float(middle[1])), SIDE * size, roll)


def size_of_face_px(keypoints_px: Float[np.ndarray, "33 3"]) -> float:
    """How well a face is seen: from the eyes to the mouth, should it be seen from in front, and
    less of one that is turned or bowed, by the root of its area; 0 of one that is not looked at.

    Args:
        keypoints_px: (x, y, confidence) of a person.
    """
    if region_of_face(keypoints_px) is None:
        return 0.0
    _, up, across = _face(keypoints_px)
    return math.sqrt(EYES_TO_MOUTH * float(up[0] * across[1] - up[1] * across[0]))


def _face(keypoints_px: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The middle of a face, and from its mouth to its eyes and from the right eye to the left."""
    left, right = keypoints_px[_EYES, :2].astype(np.float64)
    eyes, mouth = (keypoints_px[rows, :2].astype(np.float64).mean(0) for rows in (_EYES, _MOUTH))
    return (eyes + mouth) / 2, eyes - mouth, left - right
