"""The photo with the part labels that were seen of its people, to compare with the bodies.

A cell that may show several parts (clothes, a silhouette) gets the mean of their colours; cells of
which nothing is known, because somebody else is there, are hatched.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from kinflow.body.parts import PART_COLORS, UNKNOWN_COLOR
from kinflow.evidence.types import BACKGROUND, NUM_PARTS, UNKNOWN, PartLabels
from kinflow.export.overlay import MAX_SIDE_PX, reduced

_OPACITY = 0.65
_HATCH_PX = 6


def draw_parts_seen(
    image_rgb: UInt8[np.ndarray, "height width 3"],
    seen: Sequence[PartLabels],
    max_side_px: int = MAX_SIDE_PX,
) -> UInt8[np.ndarray, "out_height out_width 3"]:
    """The photo with labels in the colours of their parts.

    Args:
        image_rgb: the upright photo.
        seen: labels of its people.
        max_side_px: the result is the photo reduced to at most this long a side.
    """
    image, scale = reduced(image_rgb, max_side_px)
    shown = np.full(image.shape[:2], BACKGROUND, np.int32)
    for labels in seen:
        sets = _placed(labels, image.shape[:2], scale)
        shown = np.where(_shows(sets) | ((sets == UNKNOWN) & ~_shows(shown)), sets, shown)
    color = _colors_of_sets()[shown]
    color[shown == UNKNOWN] = UNKNOWN_COLOR
    painted = _shows(shown) | ((shown == UNKNOWN) & _hatching(image.shape[:2]))
    mixed = image * (1 - _OPACITY) + color * _OPACITY
    return np.where(painted[..., None], np.rint(mixed), image).astype(np.uint8)


def _placed(
    labels: PartLabels, size: tuple[int, ...], scale: float
) -> Int32[np.ndarray, "height width"]:
    """The set of each pixel of the reduced photo, background outside the grid."""
    allowed = labels.allowed.cpu().numpy()
    rows, columns = (
        np.floor(((np.arange(n) + 0.5) / scale - origin) / labels.cell_px).astype(int)
        for n, origin in zip(size, reversed(labels.origin_px), strict=True)
    )
    in_y, in_x = (rows >= 0) & (rows < len(allowed)), (columns >= 0) & (columns < allowed.shape[1])
    placed = np.full(size, BACKGROUND, np.int32)
    placed[np.ix_(in_y, in_x)] = allowed[np.ix_(rows[in_y], columns[in_x])]
    return placed


def _shows(sets: np.ndarray) -> Bool[np.ndarray, "height width"]:
    return (sets & BACKGROUND) == 0


def _colors_of_sets() -> Float32[np.ndarray, "sets 3"]:
    """Mean colour of the parts of every set."""
    members = (np.arange(UNKNOWN + 1)[:, None] >> np.arange(1, NUM_PARTS + 1)) & 1
    colors = members @ np.array(PART_COLORS[1:], np.float32)
    return (colors / members.sum(1, keepdims=True).clip(1)).astype(np.float32)


def _hatching(size: tuple[int, ...]) -> Bool[np.ndarray, "height width"]:
    """Diagonal stripes, as wide as the gaps between them."""
    y, x = np.ogrid[: size[0], : size[1]]
    return (x + y) // _HATCH_PX % 2 == 0
