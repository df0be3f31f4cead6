"""What the third number of a keypoint means: a flag of COCO, a score, or nothing.

COCO's annotations have the flags 0 (not labelled), 1 (labelled but hidden) and 2 (visible); many
exporters write 1 for every point, and others a score from 0 to 1. Which it is shows in the values
of the whole file, not of one person, who may be hidden altogether.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float

from kinflow.evidence.keypoint_files.listing import Listing
from kinflow.evidence.keypoint_files.values import MAX_POINTS, is_number

Meaning = Literal["nothing", "flags", "present", "unmarked", "scores"]

# not labelled, labelled but hidden, visible
CONFIDENCE_OF_FLAG = (0.0, 0.5, 1.0)
MIN_CONFIDENCE = 0.05
_ENTRIES_LOOKED_AT = 5000


def meaning_in(listing: Listing, tables: list[Float[np.ndarray, "n 3"]]) -> Meaning:
    """What the third numbers of a file mean.

    Args:
        listing: the file; flat lists in it are looked at whoever they belong to.
        tables: the points of the people that were asked for, for files of other forms.
    """
    values = {float(v) for table in tables for v in np.unique(table[:, 2]) if np.isfinite(v)}
    for entry in listing.entries[:_ENTRIES_LOOKED_AT]:
        points = entry.points
        if isinstance(points, list) and len(points) % 3 == 0 and len(points) <= 3 * MAX_POINTS:
            values.update(float(v) for v in points[2::3] if is_number(v) and np.isfinite(v))
    return meaning_of(values, listing.structure == "annotations")


def meaning_of(values: set[float], annotations: bool) -> Meaning:
    """What third numbers mean that take these values.

    Args:
        values: all values in the file.
        annotations: whether people, rather than a network, labelled the points.
    """
    if not values:
        return "nothing"
    if values == {0.0}:
        return "unmarked" if annotations else "scores"
    if values <= {0.0, 1.0}:
        return "present"
    return "flags" if values <= {0.0, 1.0, 2.0} else "scores"


def with_confidence(xyc: Float[np.ndarray, "n 3"], meaning: Meaning) -> Float[np.ndarray, "n 3"]:
    """Points with a confidence in [0, 1], which is 0 where nothing is known.

    A point at exactly (0, 0) is missing whatever its third number says: so all tools write it.
    """
    points = xyc.copy()
    c = points[:, 2]
    if meaning in ("nothing", "unmarked"):
        c = np.ones(len(points))
    elif meaning == "flags":
        c = np.take(CONFIDENCE_OF_FLAG, np.nan_to_num(c).clip(0, 2).astype(int))
    known = np.isfinite(c) & ~np.isnan(points[:, :2]).any(axis=1) & (points[:, :2] != 0).any(axis=1)
    points[:, 2] = np.where(known, np.nan_to_num(c).clip(0.0, 1.0), 0.0)
    points[points[:, 2] <= MIN_CONFIDENCE] = 0.0
    return points
