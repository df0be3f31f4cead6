"""Depth buffer of triangle meshes, in plain numpy without a loop over triangles.

Every triangle is cut into its pixel rows and every row into its pixels, both by one `repeat`, so
large and small triangles cost what they cover. A row's span ends where the two edges cross the
row's centre line. Neighbours compute the crossing of a shared edge from the same two corners in the
same order, hence bit for bit alike: a mesh has no cracks and no pixel is covered twice by two
triangles that only touch. Inverse depth is linear on the screen, so that depth and whatever is
interpolated over a triangle are perspective correct.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32
from torch import Tensor, from_numpy

from kinflow.geometry.pinhole import NEAR_M, Camera

_PIXELS_PER_BATCH = 1 << 21
"""Bounds the memory of the intermediate arrays."""


@dataclass(frozen=True)
class Raster:
    """What each pixel centre sees."""

    face: Int32[np.ndarray, "height width"]
    """Index of the nearest triangle, -1 where there is none."""
    depth: Float32[np.ndarray, "height width"]
    """Depth of that triangle at the pixel centre, infinite where there is none."""
    pixels: Int[np.ndarray, " covered"]
    """Flat, row-major indices of the pixels that some triangle covers."""

    @property
    def covered(self) -> Bool[np.ndarray, "height width"]:
        return self.face >= 0


def rasterize(
    vertices_px: Float[np.ndarray, "vertices 2"],
    depth: Float[np.ndarray, " vertices"],
    faces: Int[np.ndarray, "faces 3"],
    image_size: tuple[int, int],
    near: float = NEAR_M,
    cull_back_faces: bool = False,
) -> Raster:
    """Draw triangles into a depth buffer.

    Args:
        vertices_px: projected vertices, pixel centres lying at +0.5.
        depth: distance along the viewing axis, in any unit.
        faces: vertex indices of the triangles, counter-clockwise seen from outside.
        image_size: (width, height).
        near: triangles with a corner nearer than this are left out, as are non-finite ones.
        cull_back_faces: leave out the far side of closed meshes, for twice the speed.
    """
    width, height = image_size
    drawable, corners, inverse = _drawable(
        vertices_px, depth, faces, image_size, near, cull_back_faces
    )
    nearest = np.zeros(height * width, np.uint64)
    for batch in _spans(corners, inverse, image_size).batches(_PIXELS_PER_BATCH):
        pixel, triangle, value = batch.pixels(width)
        # positive floats sort like their bits, so one maximum settles depth and owner
        key = value.view(np.uint32).astype(np.uint64)
        key <<= np.uint64(32)
        key |= drawable[triangle]
        np.maximum.at(nearest, pixel, key)
    pixels = np.flatnonzero(nearest)
    winner = nearest[pixels]
    face = np.full(height * width, -1, np.int32)
    face[pixels] = winner.astype(np.uint32).view(np.int32)
    z = np.full(height * width, np.inf, np.float32)
    z[pixels] = 1 / (winner >> np.uint64(32)).astype(np.uint32).view(np.float32)
    return Raster(face.reshape(height, width), z.reshape(height, width), pixels)


def interpolate(
    raster: Raster,
    vertices_px: Float[np.ndarray, "vertices 2"],
    depth: Float[np.ndarray, " vertices"],
    faces: Int[np.ndarray, "faces 3"],
    values: Float[np.ndarray, " vertices"],
) -> Float32[np.ndarray, " covered"]:
    """A quantity given at the vertices, at each of `raster.pixels`.

    The arguments before `values` are those that `rasterize` was given. Like inverse depth, a
    quantity divided by depth is linear on the screen (Heckbert & Moreton 1991).
    """
    row, column = np.divmod(raster.pixels, raster.face.shape[1])
    face = raster.face.ravel()[raster.pixels]
    shown = np.zeros(len(faces), bool)
    shown[face] = True
    corners = faces[shown]
    place = (np.cumsum(shown) - 1)[face]
    plane = _plane(vertices_px.astype(np.float64)[corners], (values / depth)[corners])
    origin, slope_x, slope_y = (coefficient[place] for coefficient in plane)
    scaled = origin + slope_x * (column + 0.5) + slope_y * (row + 0.5)
    return (scaled * raster.depth.ravel()[raster.pixels]).astype(np.float32)


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


def visible_points(
    raster: Raster,
    points_px: Float[np.ndarray, "points 2"],
    depth: Float[np.ndarray, " points"],
    tolerance: float,
) -> Bool[np.ndarray, " points"]:
    """Points of a drawn surface that nothing hides; those outside the image are not visible.

    Args:
        raster: the surface, drawn.
        points_px: projected points.
        depth: of the points, in the unit of the raster's.
        tolerance: how much nearer the surface may be where a point's pixel is, in the same unit.
    """
    height, width = raster.face.shape
    column, row = np.floor(points_px).astype(int).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    seen = np.zeros(len(points_px), bool)
    seen[inside] = depth[inside] <= raster.depth[row[inside], column[inside]] + tolerance
    return seen


@dataclass(frozen=True)
class _Spans:
    """Runs of pixels: one row of one triangle each."""

    triangle: np.ndarray
    row: np.ndarray
    start: np.ndarray
    length: np.ndarray
    value: np.ndarray
    """Inverse depth at the centre of the first pixel."""
    slope: np.ndarray
    """Change of inverse depth from one pixel to the next."""

    def batches(self, size: int) -> Iterator[_Spans]:
        """Consecutive groups of about `size` pixels (more only where one span is longer)."""
        group = np.cumsum(self.length) // size
        edges = [0, *(np.flatnonzero(np.diff(group)) + 1), len(group)]
        for first, last in zip(edges[:-1], edges[1:], strict=True):
            yield _Spans(*(getattr(self, name)[first:last] for name in self.__dataclass_fields__))

    def pixels(self, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Flat pixel index, triangle and inverse depth of every pixel of the spans."""
        span, step = _expand(self.length)
        value = self.value[span] + self.slope[span] * step.astype(np.float32)
        return (self.row * width + self.start)[span] + step, self.triangle[span], value


def _drawable(
    vertices_px: np.ndarray,
    depth: np.ndarray,
    faces: np.ndarray,
    image_size: tuple[int, int],
    near: float,
    cull_back_faces: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of the triangles that may show, their corners (n, 3, 2) and inverse depths (n, 3)."""
    points = vertices_px.astype(np.float64)
    usable = np.isfinite(points[:, 0]) & np.isfinite(points[:, 1])
    usable &= np.isfinite(depth) & (depth >= near)
    index = np.arange(len(faces))
    if not usable.all():
        index = np.flatnonzero(usable[faces].all(1))
        faces = faces[index]
    # by corner, so that nothing below works on three numbers at a time
    by_corner = np.ascontiguousarray(faces.T)
    x, y = (np.ascontiguousarray(points[:, axis])[by_corner] for axis in range(2))
    shows = np.ones(len(index), bool)
    if cull_back_faces:
        # counter-clockwise from outside is clockwise on a screen whose y points down
        shows = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0]) < 0
    width, height = image_size
    left, right = _extremes(x)
    top, bottom = _extremes(y)
    shows &= (right > 0) & (left < width)
    # small triangles often lie between the centres of two rows
    shows &= _first_centre(top, height) < _first_centre(bottom, height)
    index = index[shows]
    corners = np.stack([x[:, shows].T, y[:, shows].T], -1)
    inverse = (1 / depth.astype(np.float64))[by_corner[:, shows]].T
    return index.astype(np.uint64), corners, inverse


def _extremes(by_corner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest value of each triangle, (3, n)."""
    a, b, c = by_corner
    return np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)


def _spans(corners: np.ndarray, inverse: np.ndarray, image_size: tuple[int, int]) -> _Spans:
    width, height = image_size
    order = np.argsort(corners[..., 1], axis=1)
    order += 3 * np.arange(len(corners))[:, None]
    top, middle, bottom = (corners.reshape(-1, 2)[rows] for rows in order.T)
    first = _first_centre(top[:, 1], height)
    triangle, step = _expand(_first_centre(bottom[:, 1], height) - first)
    row = first[triangle] + step
    y = row + 0.5
    lower = y >= middle[:, 1][triangle]
    # edges 3 t, 3 t + 1 and 3 t + 2: the long one, the upper and the lower short one
    edges = np.stack([_line(top, bottom), _line(top, middle), _line(middle, bottom)], 1)
    edges = edges.reshape(-1, 3).T.copy()
    long, short = (_crossing(edges, edge, y) for edge in (3 * triangle, 3 * triangle + 1 + lower))
    start = _first_centre(np.minimum(long, short), width)
    length = _first_centre(np.maximum(long, short), width) - start
    hit = length > 0
    triangle, row, start, length = triangle[hit], row[hit], start[hit], length[hit]
    origin, slope_x, slope_y = (plane[triangle] for plane in _plane(corners, inverse))
    value = origin + slope_x * (start + 0.5) + slope_y * (row + 0.5)
    # rounding must not turn a sliver seen edge-on into infinite nearness
    least, greatest = _extremes(inverse.T)
    value = np.clip(value, least[triangle], greatest[triangle])
    return _Spans(
        triangle, row, start, length, value.astype(np.float32), slope_x.astype(np.float32)
    )


def _first_centre(position: np.ndarray, size: int) -> np.ndarray:
    """Index of the first pixel, within [0, size], whose centre is not before `position`."""
    return np.clip(np.ceil(position - 0.5), 0, size).astype(np.int32)


def _line(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """x and y of the upper end and dx/dy of edges, (n, 3); flat edges cross no row."""
    height = lower[:, 1] - upper[:, 1]
    slope = (lower[:, 0] - upper[:, 0]) / np.where(height > 0, height, 1)
    return np.concatenate([upper, slope[:, None]], 1)


def _crossing(edges: np.ndarray, index: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x at which the chosen edges cross the rows `y`."""
    x0, y0, slope = (column[index] for column in edges)
    return x0 + (y - y0) * slope


def _plane(corners: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corner values (n, 3) as affine functions of the pixel position: value at (0, 0), slopes."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    da, db = values[:, 1] - values[:, 0], values[:, 2] - values[:, 0]
    area = _cross(a, b)
    scale = np.where(area == 0, 0, 1 / np.where(area == 0, 1, area))
    slope_x = (da * b[:, 1] - db * a[:, 1]) * scale
    slope_y = (db * a[:, 0] - da * b[:, 0]) * scale
    origin = values[:, 0] - slope_x * corners[:, 0, 0] - slope_y * corners[:, 0, 1]
    return origin, slope_x, slope_y


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _expand(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For runs of these lengths: the run of each element and its place in the run."""
    ends = np.cumsum(lengths)
    run = np.repeat(np.arange(len(lengths)), lengths)
    return run, np.arange(len(run)) - (ends - lengths)[run]
