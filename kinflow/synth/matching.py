"""Which detection is of which person of a world."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from kinflow.body.keypoints import BLAZEPOSE33, LIMB_KEYPOINTS, MIRROR_KEYPOINTS
from kinflow.evidence.types import PersonEvidence
from kinflow.synth.world import WorldPerson

SAME_PERSON = 0.15
"""Median distance of keypoints, as a share of a person's height in the image, up to which a
detection is that person."""
_CONFIDENT = 0.3
_POINTS = [*LIMB_KEYPOINTS, BLAZEPOSE33.index("nose")]
_MIRRORED = [MIRROR_KEYPOINTS[i] for i in _POINTS]


def match(
    people: Sequence[WorldPerson], detections: Sequence[PersonEvidence]
) -> tuple[int | None, ...]:
    """Which detection is of whom: pairs of the nearest keypoints first, each used once.

    A person whose sides were exchanged was found all the same.
    """
    distance = np.full((len(people), len(detections)), np.inf)
    for i, person in enumerate(people):
        for j, seen in enumerate(detections):
            distance[i, j] = _distance(person, seen)
    found: list[int | None] = [None] * len(people)
    while distance.size and distance.min() < SAME_PERSON:
        i, j = np.unravel_index(distance.argmin(), distance.shape)
        found[int(i)] = int(j)
        distance[i], distance[:, j] = np.inf, np.inf
    return tuple(found)


def _distance(person: WorldPerson, seen: PersonEvidence) -> float:
    """Median distance of the keypoints that show and were detected, relative to the person."""
    lengths = []
    for rows in (_POINTS, _MIRRORED):
        detected = seen.keypoints_px[rows]
        both = person.keypoint_uncovered[_POINTS] & (detected[:, 2] > _CONFIDENT)
        if not both.any():
            return np.inf
        gap = (detected[:, :2] - person.keypoints_px[_POINTS]).norm(dim=1)[both]
        lengths.append(float(gap.median()))
    return min(lengths) / height_px(person)


def height_px(person: WorldPerson) -> float:
    """The person's extent in the image, hidden or not: the diagonal of the keypoints' box."""
    points = person.keypoints_px
    return max(1.0, float(torch.dist(points.amin(0), points.amax(0))))
