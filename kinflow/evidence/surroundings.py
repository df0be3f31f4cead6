"""What is about a person's hips and thighs, and in the whole picture, of things that people sit on,
ride, or stand beside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.sides import SIDES
from kinflow.evidence.objects import KITCHEN, RIDDEN, SEAT, SPORT, Objects
from kinflow.evidence.types import PersonEvidence, Surroundings

_HALF_WIDTH, _HALF_HEIGHT = 0.5, 0.6
"""Of the place about the hips where things tell, in lengths of the trunk."""
_FULL_COVER = 0.4
"""Share of that place from which a box counts in full."""
_RIDDEN_SIDE, _RIDDEN_BELOW = 1.4, 0.5
"""Longer side, at least, of what is ridden, and how far it reaches below the hips, in the same
lengths: what stands far behind somebody does not."""

_HIPS = [KEYPOINT_INDEX[f"{side}_hip"] for side in SIDES]
_SHOULDERS = [KEYPOINT_INDEX[f"{side}_shoulder"] for side in SIDES]


def surroundings(objects: Objects, people: Sequence[PersonEvidence]) -> list[Surroundings]:
    """What is about each person of a picture.

    Args:
        objects: what is in the picture.
        people: who is.
    """
    surest = objects.probability.max(0, initial=0.0)
    found = []
    for person in people:
        covering, may_carry = _covering(objects.box_px, person)
        counts = objects.probability * covering[:, None]
        counts[:, RIDDEN] *= may_carry
        near = counts.max(0, initial=0.0)
        found.append(
            Surroundings(
                seat=float(near[SEAT]),
                seat_anywhere=float(surest[SEAT]),
                sport=float(near[SPORT]),
                kitchen_anywhere=float(surest[KITCHEN]),
                ridden=float(near[RIDDEN]),
            )
        )
    return found


def _covering(
    box_px: Float[np.ndarray, "boxes 4"], person: PersonEvidence
) -> tuple[Float[np.ndarray, " boxes"], Bool[np.ndarray, " boxes"]]:
    """How far boxes cover the place about a person's hips, from 0 to 1, and whether they are large
    enough, and reach far enough down, for things that carry the person."""
    points_px = person.keypoints_px[:, :2].cpu().numpy()
    hips_px, shoulders_px = points_px[_HIPS].mean(0), points_px[_SHOULDERS].mean(0)
    trunk_px = max(float(np.linalg.norm(hips_px - shoulders_px)), 1.0)
    half_px = trunk_px * np.array((_HALF_WIDTH, _HALF_HEIGHT))
    low = np.maximum(box_px[:, :2], hips_px - half_px)
    high = np.minimum(box_px[:, 2:], hips_px + half_px)
    share = (high - low).clip(0).prod(1) / (2 * half_px).prod()
    large = (box_px[:, 2:] - box_px[:, :2]).max(1) >= _RIDDEN_SIDE * trunk_px
    below = box_px[:, 3] >= hips_px[1] + _RIDDEN_BELOW * trunk_px
    return (share / _FULL_COVER).clip(max=1.0), large & below
