"""Overlap of regions in a picture: silhouettes, and maps that name a part for each pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Integer


def silhouette_iou(
    predicted: Bool[np.ndarray, "height width"],
    truth: Bool[np.ndarray, "height width"],
    known: Bool[np.ndarray, "height width"] | None = None,
) -> float:
    """Intersection over union among pixels that are known; NaN where neither shows anything."""
    if known is not None:
        predicted, truth = predicted & known, truth & known
    either = np.count_nonzero(predicted | truth)
    return np.count_nonzero(predicted & truth) / either if either else float("nan")


def part_iou(
    predicted: Integer[np.ndarray, "height width"],
    truth: Integer[np.ndarray, "height width"],
    parts: Sequence[int],
    unknown: int,
) -> Float[np.ndarray, " parts"]:
    """Intersection over union of each part, without pixels whose true part is unknown.

    Args:
        predicted, truth: the number of the part that each pixel shows.
        parts: numbers of the parts.
        unknown: what stands for an unknown pixel of the truth.

    Returns:
        one overlap for each part, NaN where neither shows it.
    """
    known = truth != unknown
    return np.array([silhouette_iou(predicted == p, truth == p, known) for p in parts])
