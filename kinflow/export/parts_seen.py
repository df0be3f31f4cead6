"""The photo with the part labels that were seen of its people, to compare with the bodies.

A cell that may show several parts (clothes, a silhouette) gets the mean of their colours; cells of
which nothing is known, because somebody else is there, are hatched.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from kinflow.body.parts import BACKGROUND, NUM_PARTS, PART_COLORS, UNKNOWN, UNKNOWN_COLOR
from kinflow.evidence.types import PartLabels
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
        _place(shown, labels, scale)
    painted = _shows(shown) | ((shown == UNKNOWN) & _hatching(image.shape[:2]))
    colors = _colors_of_sets()[shown[painted]]
    drawn = image.copy()
    drawn[painted] = np.rint(image[painted] * (1 - _OPACITY) + colors * _OPACITY)
    return drawn


def _place(shown: Int32[np.ndarray, "height width"], labels: PartLabels, scale: float) -> None:
    """Put labels onto the pixels of the reduced photo, in place; what shows somebody stays."""
    allowed = labels.allowed.cpu().numpy()
    cells = [
        np.floor(((np.arange(pixels) + 0.5) / scale - origin) / labels.grid.cell_px).astype(int)
        for pixels, origin in zip(shown.shape, reversed(labels.grid.origin_px), strict=True)
    ]
    spans = [
        slice(*np.searchsorted(cell, (0, count)))
        for cell, count in zip(cells, allowed.shape, strict=True)
    ]
    rows, columns = (cell[span] for cell, span in zip(cells, spans, strict=True))
    sets, under = allowed[np.ix_(rows, columns)], shown[spans[0], spans[1]]
    under[:] = np.where(_shows(sets) | ((sets == UNKNOWN) & ~_shows(under)), sets, under)


def _shows(sets: np.ndarray) -> Bool[np.ndarray, "height width"]:
    return (sets & BACKGROUND) == 0


def _colors_of_sets() -> Float32[np.ndarray, "sets 3"]:
    """Mean colour of the parts of every set, and the colour of what is unknown."""
    members = (np.arange(UNKNOWN + 1)[:, None] >> np.arange(1, NUM_PARTS + 1)) & 1
    colors = members.astype(np.float32) @ np.array(PART_COLORS[1:], np.float32)
    colors /= members.sum(1, keepdims=True).clip(1)
    colors[UNKNOWN] = UNKNOWN_COLOR
    return colors


def _hatching(size: tuple[int, ...]) -> Bool[np.ndarray, "height width"]:
    """Diagonal stripes, as wide as the gaps between them."""
    y, x = np.ogrid[: size[0], : size[1]]
    return (x + y) // _HATCH_PX % 2 == 0
