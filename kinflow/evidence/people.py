"""Which detections are the same person, and whether a pose belongs to the person it was made for.

Both questions compare keypoints by a similarity in [0, 1]: 1 where they coincide, falling with the
distance relative to the size of the person, as COCO's object keypoint similarity does.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from kinflow.evidence.movenet import Detection

SEEN_KEYPOINT = 0.2
# Keypoints within this fraction of the person's size count as the same point.
SAME_POINT_FRACTION = 0.1
SAME_PERSON = 0.45
SAME_BOX = 0.7


def person_size(box_px: Float[np.ndarray, " 4"]) -> float:
    """Side of the square with the area of a box; at least one pixel."""
    width, height = np.maximum(box_px[2:] - box_px[:2], 1.0)
    return float(np.sqrt(width * height))


def keypoint_similarity(
    a: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "n 3"], size_px: float
) -> float:
    """Mean closeness of the keypoints (x, y, confidence) that both sides saw; 0 when none."""
    both = (a[:, 2] > SEEN_KEYPOINT) & (b[:, 2] > SEEN_KEYPOINT)
    if not both.any():
        return 0.0
    distance = np.linalg.norm(a[both, :2] - b[both, :2], axis=1)
    scale = SAME_POINT_FRACTION * size_px
    return float(np.exp(-0.5 * (distance / scale) ** 2).mean())


def box_overlap(a: Float[np.ndarray, " 4"], b: Float[np.ndarray, " 4"]) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1)."""
    extent = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    intersection = float(np.prod(np.maximum(extent, 0.0)))
    union = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - intersection
    return intersection / union if union > 0 else 0.0


def without_duplicates(detections: list[Detection]) -> list[Detection]:
    """One detection per person, the most complete and certain of each group first.

    Searches at several scales and in overlapping tiles find a person repeatedly, and find parts of
    a person at the borders of tiles.
    """
    kept: list[Detection] = []
    for candidate in sorted(detections, key=_completeness, reverse=True):
        if not any(same_person(candidate, other) for other in kept):
            kept.append(candidate)
    return kept


def _completeness(person: Detection) -> float:
    return person.score * np.sqrt(np.count_nonzero(person.keypoints_px[:, 2] > SEEN_KEYPOINT))


def same_person(
    a: Detection, b: Detection, similarity: float = SAME_PERSON, overlap: float = SAME_BOX
) -> bool:
    """Whether two detections are of the same person: more alike than either of the limits."""
    size = max(person_size(a.box_px), person_size(b.box_px))
    alike = keypoint_similarity(a.keypoints_px, b.keypoints_px, size)
    return alike > similarity or box_overlap(a.box_px, b.box_px) > overlap
