"""Outlines in grids of labels: which cells lie on them, which is nearest, which way they face.

A label is a set of parts, as a number with a bit for each (`evidence.types.PartLabels`).
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from kinflow.threads import lazy

SMOOTHING_CELLS = 1.5
"""Directions are those of an outline without the steps of the grid."""


def neighbours(values: np.ndarray) -> Iterator[np.ndarray]:
    """The values of the four neighbours of every cell; at the border they are not meaningful."""
    for shift, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
        yield np.roll(values, shift, axis)


def without_border(mask: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "rows columns"]:
    """The mask, emptied in place where cells lack neighbours."""
    mask[[0, -1]] = False
    mask[:, [0, -1]] = False
    return mask


def nearest(
    cells: Int[np.ndarray, "cells 2"], others: Int[np.ndarray, "others 2"]
) -> Int[np.ndarray, "cells 2"]:
    """The nearest of the others for each cell; for a few hundred cells this is quicker than a
    distance transform of the grid."""
    a, b = cells.astype(np.float32), others.astype(np.float32)
    return others[((b * b).sum(1) - 2 * a @ b.T).argmin(1)]


class SetOutlines:
    """Where each set of parts may be, seen from its rim; everything is kept once it is asked for.

    Args:
        allowed: the sets of a grid.
    """

    def __init__(self, allowed: Int[np.ndarray, "rows columns"]) -> None:
        self.allowed = allowed
        self._layer: dict[int, int] = {}
        self._smooth = np.zeros((0, *allowed.shape), np.float32)

    @lazy
    def _edge(self) -> tuple[Int[np.ndarray, "cells 2"], Int[np.ndarray, " cells"]]:
        """Cells that differ from a neighbour, the border of the grid among them, and their sets."""
        differs = np.zeros(self.allowed.shape, bool)
        for allowed in neighbours(self.allowed):
            differs |= allowed != self.allowed
        differs[[0, -1]] = True
        differs[:, [0, -1]] = True
        return np.argwhere(differs), self.allowed[differs]

    def rim(self, parts: int) -> Int[np.ndarray, "cells 2"]:
        """Cells that may show any of `parts`, all of those on the rim among them."""
        cells, sets = self._edge
        return cells[sets & parts > 0]

    def touches_outside(
        self, cells: Int[np.ndarray, "cells 2"], parts: int | Int[np.ndarray, " cells"]
    ) -> Bool[np.ndarray, " cells"]:
        """Whether a cell has a neighbour that can show none of `parts`, its own or those of all."""
        (row, column), (rows, columns) = cells.T, self.allowed.shape
        outside = self.allowed[np.minimum(row + 1, rows - 1), column] & parts == 0
        outside |= self.allowed[np.maximum(row - 1, 0), column] & parts == 0
        outside |= self.allowed[row, np.minimum(column + 1, columns - 1)] & parts == 0
        outside |= self.allowed[row, np.maximum(column - 1, 0)] & parts == 0
        return outside

    def normal(
        self, cells: Int[np.ndarray, "cells 2"], parts: int | Int[np.ndarray, " cells"]
    ) -> Float[np.ndarray, "cells 2"]:
        """Unit vectors (x, y) across the rim of where any of `parts` may be, outwards.

        Zero where the grid has no direction: far from the rim, on a speck.

        Args:
            cells: (row, column).
            parts: of each cell, or of all.
        """
        sets, which = np.unique(np.broadcast_to(parts, len(cells)), return_inverse=True)
        layer = self._layers_of(sets.tolist())[which]
        (row, column), (rows, columns), smooth = cells.T, self.allowed.shape, self._smooth
        left, right = np.maximum(column - 1, 0), np.minimum(column + 1, columns - 1)
        above, below = np.maximum(row - 1, 0), np.minimum(row + 1, rows - 1)
        x = smooth[layer, row, left] - smooth[layer, row, right]
        y = smooth[layer, above, column] - smooth[layer, below, column]
        length = np.sqrt(x * x + y * y)
        scale = np.where(length > 1e-3, 1 / np.maximum(length, 1e-3), 0.0)
        return np.stack([x * scale, y * scale], -1)

    def _layers_of(self, sets: list[int]) -> Int[np.ndarray, " sets"]:
        """Where these sets' places, smoothed, are among those that were asked for."""
        new = [parts for parts in sets if parts not in self._layer]
        if new:
            self._layer |= {parts: len(self._layer) + i for i, parts in enumerate(new)}
            may = [(self.allowed & parts > 0).astype(np.float32) for parts in new]
            more = [cv2.GaussianBlur(one, (0, 0), SMOOTHING_CELLS) for one in may]
            self._smooth = np.concatenate([self._smooth, np.stack(more)])
        return np.array([self._layer[parts] for parts in sets], np.intp)
