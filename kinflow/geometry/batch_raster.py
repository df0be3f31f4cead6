"""A depth buffer for many meshes of the same triangles at once, in plain tensor operations.

Every pixel in a triangle's bounding box is tried; the nearest triangle wins by one reduction over
(depth, triangle) packed into whole numbers, so the result does not depend on the order in which a
device works. It runs wherever tensors do; `kinflow.geometry.rasterizer` is for single meshes on a
CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

_NOTHING = torch.iinfo(torch.int64).max
_CHUNK_CANDIDATES = 1 << 25
_NEAR_M = 1e-3


@dataclass(frozen=True)
class BatchRaster:
    """What shows at every pixel; pixel (0, 0) has its centre at (0.5, 0.5)."""

    face: Int[Tensor, "batch rows columns"]
    """Triangle that shows, -1 where none does."""
    depth_m: Float[Tensor, "batch rows columns"]
    """Infinite where nothing shows."""


@dataclass(frozen=True)
class Surface:
    """The pixels that show something, one row each, with where on a triangle they are."""

    pixel: Int[Tensor, " shown"]
    """Flat index over batch, rows and columns."""
    vertex: Int[Tensor, "shown 3"]
    """Flat index over batch and vertices of the triangle's corners."""
    weight: Float[Tensor, "shown 3"]
    """Shares of the corners, perspective taken into account."""

    def interpolate(self, values: Float[Tensor, "batch vertices k"]) -> Float[Tensor, "shown k"]:
        """Values of vertices at the pixels."""
        flat = values.flatten(0, 1)
        return sum(
            (flat[self.vertex[:, i]] * self.weight[:, i : i + 1] for i in range(1, 3)),
            flat[self.vertex[:, 0]] * self.weight[:, :1],
        )


def rasterize_batch(
    points_px: Float[Tensor, "batch vertices 2"],
    depth_m: Float[Tensor, "batch vertices"],
    faces: Int[Tensor, "faces 3"],
    size: tuple[int, int],
) -> BatchRaster:
    """Which triangle shows where; triangles seen from behind count as well.

    Args:
        points_px: projected vertices.
        depth_m: their depth; triangles with a corner at or behind the camera are left out.
        faces: triangles, the same for all meshes.
        size: (rows, columns).
    """
    rows, columns = size
    batch, num_faces = len(points_px), len(faces)
    corners = points_px[:, faces.long()]
    depths = depth_m[:, faces.long()]
    low = (corners.amin(2) - 0.5).ceil().long()
    high = (corners.amax(2) - 0.5).floor().long()
    limit = low.new_tensor([columns - 1, rows - 1])
    low, high = low.clamp_min(0), torch.minimum(high, limit)
    extent = (high - low + 1).clamp_min(0)
    area = extent.prod(-1) * (depths.amin(2) > _NEAR_M)
    key = torch.full((batch * rows * columns,), _NOTHING, device=points_px.device)
    triangle = area.flatten().nonzero()[:, 0]
    total = area.flatten()[triangle].cumsum(0)
    begin, done = 0, 0
    while begin < len(triangle):
        end = int(torch.searchsorted(total, done + _CHUNK_CANDIDATES, right=True))
        end = max(end, begin + 1)
        chosen = triangle[begin:end]
        _try(key, chosen, corners, depths, low, extent, rows, columns, num_faces)
        done, begin = int(total[end - 1]), end
    shown = key != _NOTHING
    face = torch.where(shown, key & 0xFFFFFFFF, -1)
    bits = torch.where(shown, key >> 32, 0).int()
    depth = torch.where(shown, bits.view(torch.float32), torch.inf)
    return BatchRaster(face.view(batch, rows, columns), depth.view(batch, rows, columns))


def _try(
    key: Tensor,
    chosen: Tensor,
    corners: Tensor,
    depths: Tensor,
    low: Tensor,
    extent: Tensor,
    rows: int,
    columns: int,
    num_faces: int,
) -> None:
    """Enter the candidate pixels of some triangles (flat indices) into the buffer."""
    extent, low = extent.flatten(0, 1)[chosen], low.flatten(0, 1)[chosen]
    area = extent.prod(-1)
    row = torch.repeat_interleave(torch.arange(len(chosen), device=key.device), area)
    start = (area.cumsum(0) - area)[row]
    within = torch.arange(len(row), device=key.device) - start
    width = extent[row, 0]
    x = low[row, 0] + within % width
    y = low[row, 1] + torch.div(within, width, rounding_mode="floor")
    weight = _barycentric(corners.flatten(0, 1)[chosen][row], x + 0.5, y + 0.5)
    inverse = (weight / depths.flatten(0, 1)[chosen][row]).sum(-1)
    inside = (weight >= 0).all(-1) & (inverse > 0)
    row, x, y, inverse = row[inside], x[inside], y[inside], inverse[inside]
    triangle = chosen[row]
    body = torch.div(triangle, num_faces, rounding_mode="floor")
    bits = (1 / inverse).contiguous().view(torch.int32).long()
    packed = (bits << 32) | (triangle - body * num_faces)
    key.scatter_reduce_(0, (body * rows + y) * columns + x, packed, "amin")


def _barycentric(corners: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Shares of the corners in the plane of the image; negative or NaN outside of a triangle."""
    a, b, c = corners.unbind(-2)
    ab, ac = b - a, c - a
    px, py = x - a[:, 0], y - a[:, 1]
    doubled = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    second = (px * ac[:, 1] - py * ac[:, 0]) / doubled
    third = (ab[:, 0] * py - ab[:, 1] * px) / doubled
    return torch.stack([1 - second - third, second, third], -1)


def surface_of(
    raster: BatchRaster,
    points_px: Float[Tensor, "batch vertices 2"],
    depth_m: Float[Tensor, "batch vertices"],
    faces: Int[Tensor, "faces 3"],
) -> Surface:
    """Where on which triangle every pixel that shows something is."""
    batch, rows, columns = raster.face.shape
    pixel = (raster.face.flatten() >= 0).nonzero()[:, 0]
    body = torch.div(pixel, rows * columns, rounding_mode="floor")
    vertex = faces.long()[raster.face.flatten()[pixel]] + (body * points_px.shape[1])[:, None]
    corners = points_px.flatten(0, 1)[vertex]
    y = torch.div(pixel, columns, rounding_mode="floor") % rows
    weight = _barycentric(corners, pixel % columns + 0.5, y + 0.5)
    weight = weight / depth_m.flatten()[vertex]
    return Surface(pixel, vertex, weight / weight.sum(-1, keepdim=True))
