"""Results whose numbers cannot be right, whoever is to blame for them.

A fit finds a body for whatever it is given: keypoints in other units put a person a kilometre away,
those of another image put them outside of this one. Nothing in the energy objects, so it is checked
on the result, in the quantities that a person would find absurd.
"""

from __future__ import annotations

import torch

from kinflow.body.keypoints import LIMB_KEYPOINTS
from kinflow.fitting.verdict import CONFIDENT
from kinflow.results import Person

MIN_BODY_PX = 12.0
"""Below, limbs are about a pixel thick: no pose can be read from them."""
MAX_DISTANCE_M = 250.0
"""A person fills a tenth of an image's height at this distance only through a lens of 4 degrees."""
MIN_DISTANCE_M = 0.15
"""Nearer, the camera would be inside of the body."""
MARGIN = 0.1
"""Keypoints may lie outside of the image by this share of its longer side: annotators guess where
the feet are that the frame cuts off."""


def what_cannot_be_right(person: Person) -> str:
    """What is absurd about a person, as the predicate of a sentence; empty when nothing is."""
    distance_m = float(person.t_cam_root_m[2])
    if not distance_m <= MAX_DISTANCE_M:
        return f"is {distance_m:.0f} m away"
    if distance_m < MIN_DISTANCE_M:
        return f"is {distance_m:.2f} m from the camera"
    extent_px = person.joints_px.amax(0) - person.joints_px.amin(0)
    if not float(extent_px.max()) >= MIN_BODY_PX:
        return f"is {float(extent_px.max()):.1f} pixels large"
    outside, seen = _limbs_outside(person)
    if outside > seen / 2:
        return f"has {outside} of {seen} limb keypoints outside of the image"
    return ""


def _limbs_outside(person: Person) -> tuple[int, int]:
    """How many confident limb keypoints lie well outside of the image, and how many there are."""
    limbs = person.keypoints_px[list(LIMB_KEYPOINTS)]
    points = limbs[limbs[:, 2] > CONFIDENT, :2]
    size = points.new_tensor(person.camera.image_size)
    margin = MARGIN * size.max()
    outside = ((points < -margin) | (points > size + margin)).any(-1)
    return int(torch.count_nonzero(outside)), len(points)
