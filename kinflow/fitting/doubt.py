"""How likely a body is wrong although nothing in particular speaks against it.

A logistic regression on rendered people whose truth is known (`python benchmarks/trust doubt`
prints it, with what it is worth on people that it was not fitted to). Three things tell right from
wrong bodies: how certain the detector is of the limbs, how well the body fills what was seen of the
person, and how far its joints could be elsewhere. It is fitted to people of whom a network believes
something and to others alike.
"""

from __future__ import annotations

import math

from kinflow.body.keypoints import LIMB_KEYPOINTS
from kinflow.results import Person

WRONG_MM = 100.0
"""PA-MPJPE of a body that counts as wrong."""
INTERCEPT, PER_CONFIDENCE, PER_IOU, PER_MM = 1.07, -0.23, -6.78, 0.025
USUAL_IOU = 0.87
"""Stands in where no parts were seen."""
MAX_DOUBT = 0.08
"""Of the bodies that stay `ok`, fewer than one in thirty is wrong."""


def signs(person: Person) -> tuple[float, float, float]:
    """Mean confidence of the limb keypoints, overlap with the silhouette, mean deviation in mm."""
    confidence = float(person.keypoints_px[list(LIMB_KEYPOINTS), 2].mean())
    iou = USUAL_IOU if math.isnan(person.silhouette_iou) else person.silhouette_iou
    return confidence, iou, 1000 * float(person.joint_std_m.mean())


def doubt(person: Person) -> float:
    """Probability that the body is wrong (`WRONG_MM`)."""
    confidence, iou, std_mm = signs(person)
    score = INTERCEPT + PER_CONFIDENCE * confidence + PER_IOU * iou + PER_MM * std_mm
    return 1 / (1 + math.exp(-score))
