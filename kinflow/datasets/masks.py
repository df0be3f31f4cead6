"""Which pixels show a person, in the forms in which datasets say so, unpacked when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from kinflow.datasets.run_lengths import check_runs, mask_of_runs, runs_of_mask
from kinflow.errors import InputError
from kinflow.evidence.image_files import opened

_FAR = 1.0
"""How far outlines may leave the picture, as a share of its sides."""


@dataclass(frozen=True)
class Mask:
    """Which pixels show the person: one of an array, run lengths, outlines or a file.

    Args:
        size: (width, height).
        pixels: the mask.
        runs: run lengths column by column, off first (COCO's uncompressed RLE).
        outlines: corners of the polygons whose union it is, one after another, (x, y) in pixels of
            the picture.
        rings: number of corners of each polygon.
        path: an image of any size that is stretched over the picture; what is not black is on.

    Raises:
        InputError: pixels or runs are not of this size, outlines are far outside of it, or rings do
            not add up to them.
    """

    size: tuple[int, int]
    pixels: Bool[np.ndarray, "height width"] | None = None
    runs: tuple[int, ...] = field(default=(), repr=False)
    outlines: Float32[np.ndarray, "corners 2"] | None = field(default=None, repr=False)
    rings: tuple[int, ...] = field(default=(), repr=False)
    path: Path | None = None

    def __post_init__(self) -> None:
        width, height = self.size
        if self.pixels is not None:
            if self.pixels.shape != (height, width):
                raise InputError(f"A mask is not {width} by {height} pixels as its picture is.")
        elif self.outlines is not None:
            _check_outlines(self.outlines, self.rings, self.size)
        elif self.path is None:
            check_runs(np.array(self.runs, np.int64), width, height)

    @staticmethod
    def of_outlines(
        size: tuple[int, int], polygons: Sequence[Float32[np.ndarray, "corners 2"]]
    ) -> Mask:
        """The union of polygons, at least one."""
        rings = tuple(map(len, polygons))
        return Mask(size, outlines=np.concatenate(polygons).astype(np.float32), rings=rings)

    def without_file(self) -> Mask:
        """The same mask in itself, as run lengths where it is in a file.

        Raises:
            InputError: the file cannot be read.
        """
        if self.path is None or self.pixels is not None or self.outlines is not None:
            return self
        return Mask(self.size, runs=tuple(runs_of_mask(self.array()).tolist()))

    def array(self) -> Bool[np.ndarray, "height width"]:
        """The mask as an array.

        Raises:
            InputError: it is in a file that cannot be read.
        """
        if self.pixels is not None:
            return self.pixels
        if self.outlines is not None:
            ends = np.cumsum(self.rings)[:-1]
            return _filled(np.split(self.outlines, ends), self.size)
        if self.path is not None:
            return _of_file(self.path, self.size)
        return mask_of_runs(np.array(self.runs, np.int64), *self.size)


def _check_outlines(corners: np.ndarray, rings: tuple[int, ...], size: tuple[int, int]) -> None:
    if sum(rings) != len(corners) or min(rings, default=0) < 3:
        raise InputError("Outlines of a mask need three corners each, as many as their rings say.")
    room = _FAR * np.array(size)
    # NaN is not within either
    if not ((corners >= -room) & (corners <= size + room)).all():
        raise InputError("Outlines of a mask lie far outside of its picture, or are not finite.")


def _filled(outlines: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Pixels whose centres lie within an outline, by how often a row crosses it before them."""
    width, height = size
    mask = np.zeros((height, width), bool)
    for outline in outlines:
        start = outline.astype(np.float64)
        end = np.roll(start, -1, axis=0)
        upper = np.where((start[:, 1] <= end[:, 1])[:, None], start, end)
        lower = np.where((start[:, 1] <= end[:, 1])[:, None], end, start)
        # rows whose centres are between the ends of each edge
        first = np.ceil(upper[:, 1] - 0.5).clip(0, height).astype(int)
        count = np.ceil(lower[:, 1] - 0.5).clip(0, height).astype(int) - first
        edge = np.repeat(np.arange(len(start)), count)
        row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
        slope = (lower[:, 0] - upper[:, 0]) / np.maximum(lower[:, 1] - upper[:, 1], 1e-12)
        x = upper[edge, 0] + (row + 0.5 - upper[edge, 1]) * slope[edge]
        column = np.ceil(x - 0.5).clip(0, width).astype(int)
        crossings = np.zeros((height, width + 1), np.int32)
        np.add.at(crossings, (row, column), 1)
        mask |= crossings.cumsum(axis=1)[:, :width] % 2 == 1
    return mask


def _of_file(path: Path, size: tuple[int, int]) -> np.ndarray:
    with opened(path) as image:
        values = np.asarray(image.convert("L"))
    return cv2.resize(values, size, interpolation=cv2.INTER_NEAREST) > 0
