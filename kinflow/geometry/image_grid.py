"""Grids of square cells over a part of an image, and the way between cells and image points.

    grid = ImageGrid.around(box_px, margin=0.1, cells=256)
    grid.to_px(grid.to_cells(points_px))        # the points again
    grid.camera(camera).project(points_cam_m)   # points as cells of the grid

Cells are counted as pixels are: (0, 0) is the top-left corner of the grid and the centres of cells
lie at +0.5. A map on a grid is an array of `grid.shape`; row and column come in this order there,
while points are (x, y) everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.checks import number, numbers_of
from kinflow.geometry.pinhole import Camera

_Points = TypeVar("_Points", Tensor, np.ndarray)


@dataclass(frozen=True)
class ImageGrid:
    """Square cells, axis-aligned with the image.

    Cell (row, column) covers the image square whose top-left corner is
    `(origin_px[0] + column * cell_px, origin_px[1] + row * cell_px)`.

    Raises:
        InputError: the cells have no size, or a field is something else than its numbers.
    """

    origin_px: tuple[float, float]
    """(x, y) of the top-left corner in the image."""
    cell_px: float
    """Side of one cell in image pixels."""
    size: tuple[int, int]
    """(columns, rows)."""

    def __post_init__(self) -> None:
        numbers_of(self, "origin_px", count=2)
        number(self, "cell_px", above=0)
        numbers_of(self, "size", count=2, at_least=1, kind=int)

    @staticmethod
    def of_image(image_size: tuple[int, int]) -> ImageGrid:
        """The pixels of an image of `image_size` (width, height)."""
        return ImageGrid((0.0, 0.0), 1.0, image_size)

    @staticmethod
    def around(
        box_px: Float[np.ndarray, " 4"], margin: float, cells: int, min_cell_px: float = 0.0
    ) -> ImageGrid:
        """A grid over a box and some room around it.

        Args:
            box_px: (x0, y0, x1, y1); sides below one pixel count as one.
            margin: width of that room, as a share of the box's longer side.
            cells: along the longer side; fewer where they would be smaller than `min_cell_px`.
            min_cell_px: least side of a cell.
        """
        extent = np.maximum(box_px[2:] - box_px[:2], 1.0)
        margin_px = margin * float(extent.max())
        sides = [float(side) for side in extent + 2 * margin_px]
        cell = max(min_cell_px, max(sides) / cells)
        columns, rows = (max(1, round(side / cell)) for side in sides)
        return ImageGrid(
            (float(box_px[0]) - margin_px, float(box_px[1]) - margin_px), cell, (columns, rows)
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of a map on this grid."""
        return self.size[1], self.size[0]

    @property
    def extent_px(self) -> tuple[float, float]:
        """Width and height in image pixels."""
        return self.size[0] * self.cell_px, self.size[1] * self.cell_px

    @property
    def box_px(self) -> tuple[float, float, float, float]:
        """(x0, y0, x1, y1) of what the cells cover."""
        (x, y), (width, height) = self.origin_px, self.extent_px
        return x, y, x + width, y + height

    def finer(self, factor: int) -> ImageGrid:
        """The same part of the image in `factor` times as many cells along either side."""
        columns, rows = self.size
        return replace(self, cell_px=self.cell_px / factor, size=(columns * factor, rows * factor))

    def to_cells(self, points_px: _Points) -> _Points:
        """Points (*points, 2) of the image, (x, y) in pixels, as (x, y) in cells."""
        return (points_px - _as(points_px, self.origin_px)) / self.cell_px

    def to_px(self, points_cells: _Points) -> _Points:
        """Points (*points, 2), (x, y) in cells, as points of the image; undoes `to_cells`."""
        return points_cells * self.cell_px + _as(points_cells, self.origin_px)

    def to_cells_affine(self) -> Float[np.ndarray, "2 3"]:
        """`to_cells` as an affine map."""
        x, y = self.origin_px
        return np.array([[1, 0, -x], [0, 1, -y]]) / self.cell_px

    def axes_px(self) -> tuple[Float[np.ndarray, " columns"], Float[np.ndarray, " rows"]]:
        """x of the columns' and y of the rows' centres in the image."""
        x, y = (
            origin + (np.arange(count) + 0.5) * self.cell_px
            for origin, count in zip(self.origin_px, self.size, strict=True)
        )
        return x, y

    def centres_px(
        self, device: torch.device | str | None = None
    ) -> Float[Tensor, "rows columns 2"]:
        """Image positions (x, y) of the centres of the cells, in single precision."""
        rows, columns = (
            torch.arange(count, device=device, dtype=torch.float32) + 0.5 for count in self.shape
        )
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        return self.to_px(torch.stack((x, y), dim=-1))

    def camera(self, camera: Camera) -> Camera:
        """The camera whose pixels are the cells, of the same view as the image's `camera`."""
        x, y = (
            (centre - origin) / self.cell_px
            for centre, origin in zip(camera.principal_px, self.origin_px, strict=True)
        )
        return Camera(camera.focal_px / self.cell_px, (x, y), self.size)


def _as(points: _Points, point: tuple[float, float]) -> _Points:
    """A point as an array of the kind of others."""
    if isinstance(points, Tensor):
        return points.new_tensor(point)
    return np.array(point)
