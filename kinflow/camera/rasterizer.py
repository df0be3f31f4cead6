"""Depth buffer of triangle meshes, in plain numpy without a loop over triangles.

Every triangle is cut into its pixel rows and every row into its pixels, both by one `repeat`, so
large and small triangles cost what they cover. A row's span ends where the two edges cross the
row's centre line. Neighbours compute the crossing of a shared edge from the same two corners in the
same order, hence bit for bit alike: a mesh has no cracks and no pixel is covered twice by two
triangles that only touch. Inverse depth is linear on the screen, which makes depth and barycentric
coordinates perspective correct.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32
from torch import Tensor, from_numpy

from kinflow.camera.pinhole import NEAR_M, Camera

_PIXELS_PER_BATCH = 1 << 21
"""Bounds the memory of the intermediate arrays."""


@dataclass(frozen=True)
class Raster:
    """What each pixel centre sees."""

    face: Int32[np.ndarray, "height width"]
    """Index of the nearest triangle, -1 where there is none."""
    depth: Float32[np.ndarray, "height width"]
    """Depth of that triangle at the pixel centre, infinite where there is none."""

    @property
    def covered(self) -> Bool[np.ndarray, "height width"]:
        return self.face >= 0


def rasterize(
    vertices_px: Float[np.ndarray, "vertices 2"],
    depth: Float[np.ndarray, " vertices"],
    faces: Int[np.ndarray, "faces 3"],
    image_size: tuple[int, int],
    near: float = NEAR_M,
) -> Raster:
    """Draw triangles of either winding into a depth buffer.

    Args:
        vertices_px: projected vertices, pixel centres lying at +0.5.
        depth: distance along the viewing axis, in any unit.
        faces: vertex indices of the triangles.
        image_size: (width, height).
        near: triangles with a corner nearer than this are left out, as are non-finite ones.
    """
    width, height = image_size
    drawable, corners, inverse = _drawable(vertices_px, depth, faces, image_size, near)
    nearest = np.zeros(height * width, np.uint64)
    if len(drawable):
        spans = _spans(corners, inverse, image_size)
        for batch in spans.batches(_PIXELS_PER_BATCH):
            pixel, triangle, value = batch.pixels(width)
            # positive floats sort like their bits, so one maximum settles depth and owner
            key = value.view(np.uint32).astype(np.uint64) << np.uint64(32)
            np.maximum.at(nearest, pixel, key | drawable[triangle])
    face = np.where(nearest > 0, (nearest & np.uint64(0xFFFFFFFF)).astype(np.int64), -1)
    with np.errstate(divide="ignore"):
        z = 1 / (nearest >> np.uint64(32)).astype(np.uint32).view(np.float32)
    return Raster(face.astype(np.int32).reshape(height, width), z.reshape(height, width))


def barycentrics(
    raster: Raster,
    vertices_px: Float[np.ndarray, "vertices 2"],
    depth: Float[np.ndarray, " vertices"],
    faces: Int[np.ndarray, "faces 3"],
) -> Float32[np.ndarray, "covered 3"]:
    """Perspective-correct weights of the three corners at each covered pixel, in row-major order.

    The arguments are those that `rasterize` was given.
    """
    rows, columns = np.nonzero(raster.covered)
    corners = faces[raster.face[rows, columns]]
    points = np.stack([columns + 0.5, rows + 0.5], -1)
    a, b, c = (vertices_px[corners[:, i]] - points for i in range(3))
    areas = np.stack([_cross(b, c), _cross(c, a), _cross(a, b)], -1)
    total = areas.sum(-1, keepdims=True)
    # rounding may leave a pixel on the edge of a sliver a hair outside it
    on_screen = np.clip(areas / np.where(total == 0, 1, total), 0, 1)
    weights = on_screen / depth[corners]
    return (weights / weights.sum(-1, keepdims=True)).astype(np.float32)


def coverage(
    vertices_cam_m: Float[Tensor, "vertices 3"], faces: Int[Tensor, "faces 3"], camera: Camera
) -> Bool[Tensor, "height width"]:
    """Pixels whose centre the projected mesh covers."""
    points = vertices_cam_m.detach().cpu()
    raster = rasterize(
        camera.project(points).numpy(),
        points[:, 2].numpy(),
        faces.cpu().numpy(),
        camera.image_size,
    )
    return from_numpy(raster.covered)


@dataclass(frozen=True)
class _Spans:
    """Runs of pixels: one row of one triangle each."""

    triangle: np.ndarray
    row: np.ndarray
    start: np.ndarray
    length: np.ndarray
    base: np.ndarray
    """Inverse depth at column 0."""
    slope: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def batches(self, size: int) -> Iterator[_Spans]:
        """Consecutive groups of about `size` pixels (more only where one span is longer)."""
        group = np.cumsum(self.length) // size
        edges = [0, *(np.flatnonzero(np.diff(group)) + 1), len(group)]
        for first, last in zip(edges[:-1], edges[1:], strict=True):
            yield _Spans(*(getattr(self, name)[first:last] for name in self.__dataclass_fields__))

    def pixels(self, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Flat pixel index, triangle and inverse depth of every pixel of the spans."""
        span, step = _expand(self.length)
        column = self.start[span] + step
        value = self.base[span] + self.slope[span] * (column + 0.5)
        value = np.clip(value, self.low[span], self.high[span]).astype(np.float32)
        return self.row[span] * width + column, self.triangle[span], value


def _drawable(
    vertices_px: np.ndarray,
    depth: np.ndarray,
    faces: np.ndarray,
    image_size: tuple[int, int],
    near: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of the triangles that may show, their corners (n, 3, 2) and inverse depths (n, 3)."""
    points = vertices_px.astype(np.float64)
    usable = np.isfinite(points).all(-1) & np.isfinite(depth) & (depth >= near)
    index = np.flatnonzero(usable[faces].all(-1))
    corners = points[faces[index]]
    low, high = corners.min(1), corners.max(1)
    inside = ((high > 0) & (low < np.asarray(image_size))).all(-1)
    index, corners = index[inside], corners[inside]
    return index.astype(np.uint64), corners, 1 / depth.astype(np.float64)[faces[index]]


def _spans(corners: np.ndarray, inverse: np.ndarray, image_size: tuple[int, int]) -> _Spans:
    width, height = image_size
    order = np.argsort(corners[..., 1], axis=1)
    top, middle, bottom = (
        np.take_along_axis(corners, order[:, i, None, None], 1)[:, 0] for i in range(3)
    )
    first = _first_centre(top[:, 1], height)
    triangle, step = _expand(_first_centre(bottom[:, 1], height) - first)
    row = first[triangle] + step
    y = row + 0.5
    top, middle, bottom = top[triangle], middle[triangle], bottom[triangle]
    upper = (y < middle[:, 1])[:, None]
    long = _crossing(top, bottom, y)
    short = _crossing(np.where(upper, top, middle), np.where(upper, middle, bottom), y)
    start = _first_centre(np.minimum(long, short), width)
    length = _first_centre(np.maximum(long, short), width) - start
    value, slope_x, slope_y = _plane(corners, inverse)
    base = value[triangle] + slope_y[triangle] * y
    slope = slope_x[triangle]
    low, high = inverse.min(1)[triangle], inverse.max(1)[triangle]
    spans = (triangle, row, start, length, base, slope, low, high)
    return _Spans(*(array[length > 0] for array in spans))


def _first_centre(position: np.ndarray, size: int) -> np.ndarray:
    """Index of the first pixel, within [0, size], whose centre is not before `position`."""
    return np.clip(np.ceil(position - 0.5), 0, size).astype(np.int64)


def _crossing(upper: np.ndarray, lower: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x at which the edges cross the rows `y`."""
    height = lower[:, 1] - upper[:, 1]
    slope = (lower[:, 0] - upper[:, 0]) / np.where(height > 0, height, 1)
    return upper[:, 0] + (y - upper[:, 1]) * slope


def _plane(corners: np.ndarray, inverse: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inverse depth as an affine function of the pixel position: value at (0, 0) and slopes."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    da, db = inverse[:, 1] - inverse[:, 0], inverse[:, 2] - inverse[:, 0]
    area = _cross(a, b)
    scale = np.where(area == 0, 0, 1 / np.where(area == 0, 1, area))
    slope_x = (da * b[:, 1] - db * a[:, 1]) * scale
    slope_y = (db * a[:, 0] - da * b[:, 0]) * scale
    value = inverse[:, 0] - slope_x * corners[:, 0, 0] - slope_y * corners[:, 0, 1]
    return value, slope_x, slope_y


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _expand(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For runs of these lengths: the run of each element and its place in the run."""
    lengths = np.maximum(lengths, 0)
    run = np.repeat(np.arange(len(lengths)), lengths)
    step = np.arange(len(run)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return run, step
