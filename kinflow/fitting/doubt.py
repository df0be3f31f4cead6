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
OF_NETWORK = (-2.12, -3.15, 50.1, 0.016)
"""Likewise of a network's bodies that nobody fitted: intercept, per confidence, per share of the
person's size by which limbs are off their keypoints, per mm of mean deviation (`python
benchmarks/network_alone.py` prints it)."""
MAX_DOUBT = 0.06
"""Of the bodies that stay `ok`, fewer than one in thirty is wrong. This, and lean and height above
the floor, were chosen on photographs whose bodies were judged by eye (`benchmarks/trust judged`).
"""
MAX_DOUBT_OF_NETWORK = 0.07
"""The same of a network's bodies that nobody fitted, which were not judged by eye."""
MAX_LEAN_DEG = 18.0
"""Of the pelvis: of bodies in photos that lean by more, more are wrong."""
MAX_OFF_FLOOR_M = 0.35
"""How far above or below the floor of their photo: who jumps or stands elsewhere looks like
somebody who is nearer or farther away than it seems, and so do lamps and statues."""


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


def stands_out(person: Person, up_cam: tuple[float, float, float], above_floor_m: float) -> bool:
    """Whether somebody in a photo leans as far, or is as far off the floor, as often wrong bodies.

    Args:
        person: the body.
        up_cam: what is up in the photo.
        above_floor_m: how far the body is above its floor.
    """
    upright = sum(a * b for a, b in zip(person.R_cam_root[:, 1].tolist(), up_cam, strict=True))
    leans = upright < math.cos(math.radians(MAX_LEAN_DEG))
    return leans or abs(above_floor_m) > MAX_OFF_FLOOR_M


def network_signs(person: Person, limb_error: float) -> tuple[float, float, float]:
    """Mean confidence of the limb keypoints, how far the body is off them, mean deviation in mm.

    Args:
        person: a network's body that nobody fitted.
        limb_error: as a share of the person's size (`verdict.limb_error`).
    """
    confidence, _, std_mm = signs(person)
    return confidence, limb_error, std_mm


def doubt_of_network(person: Person, limb_error: float) -> float:
    """Probability that such a body is wrong.

    Args: those of `network_signs`.
    """
    told = (1.0, *network_signs(person, limb_error))
    score = sum(weight * sign for weight, sign in zip(OF_NETWORK, told, strict=True))
    return 1 / (1 + math.exp(-score))
