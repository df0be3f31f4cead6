"""Triangle meshes: their normals, and the points of them that are nearest to given points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor


def vertex_normals(
    vertices_m: Float32[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float32[np.ndarray, "vertices 3"]:
    """Outward unit normals: the mean of the adjacent triangles', weighted by area."""
    a, b, c = (vertices_m[faces[:, corner]] for corner in range(3))
    face_normals = np.cross(b - a, c - a)
    corner = faces.T.ravel()
    normals = np.stack(
        [
            np.bincount(corner, np.tile(face_normals[:, axis], 3), len(vertices_m))
            for axis in range(3)
        ],
        -1,
    )
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return (normals / np.where(length > 0, length, 1)).astype(np.float32)


@dataclass(frozen=True)
class SurfacePoints:
    """Points on a mesh, each in a triangle, which follow the mesh wherever it goes."""

    corners: Int[Tensor, "points 3"]
    """Vertices of each one's triangle."""
    shares: Float[Tensor, "points 3"]
    """Barycentric coordinates: 0 and more, of sum 1."""

    def of(
        self, vertices_m: Float[Tensor, "*batch vertices 3"]
    ) -> Float[Tensor, "*batch points 3"]:
        """Where the points are on a mesh with these vertices."""
        corners_m = vertices_m[..., self.corners, :]
        return (self.shares[..., None].to(vertices_m) * corners_m).sum(-2)

    def __getitem__(self, rows: Tensor) -> SurfacePoints:
        return SurfacePoints(self.corners[rows], self.shares[rows])


def nearest_rows(
    points: Float[Tensor, "points dims"],
    candidates: Float[Tensor, "candidates dims"],
    count: int = 1,
) -> Int[Tensor, "points count"]:
    """The nearest candidates of each point, the nearest first."""
    rows = [
        torch.cdist(piece, candidates).topk(count, dim=1, largest=False).indices
        for piece in points.split(_PIECE)
    ]
    return torch.cat(rows) if rows else torch.zeros(0, count, dtype=torch.long)


def nearest_on_triangles(
    points_m: Float[Tensor, "points 3"],
    corners_m: Float[Tensor, "points triangles 3 3"],
    usable: Bool[Tensor, "points triangles"],
) -> tuple[Int[Tensor, " points"], Float[Tensor, "points 3"]]:
    """The nearest point of some triangles: which triangle it is in, and where in it.

    It is either the foot of the perpendicular, where that is inside of the triangle, or on one of
    the edges, so the nearest of these four is taken.

    Args:
        points_m: the points.
        corners_m: for each point its triangles (the axes are triangle, corner, coordinate).
        usable: triangles that count; at least one a point.

    Returns:
        row of the triangle, and barycentric coordinates.
    """
    a, b, c = corners_m.unbind(-2)
    p = points_m[:, None]
    shares = torch.stack(
        [_foot(p, a, b, c), _edge(p, a, b, 0, 1), _edge(p, b, c, 1, 2), _edge(p, c, a, 2, 0)], -2
    )
    distance = torch.linalg.vector_norm(shares @ corners_m - p[..., None, :], dim=-1)
    distance = torch.where(usable[..., None], distance, torch.inf).flatten(1)
    # a foot outside of its triangle has negative shares
    inside = (shares >= 0).all(-1).flatten(1)
    best = torch.where(inside, distance, torch.inf).argmin(1)
    return best // 4, shares.flatten(1, 2)[torch.arange(len(best)), best]


_PIECE = 1024
"""Of points whose distances to all candidates are in memory at once."""
_FLAT = 1e-20


def _foot(p: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Barycentric coordinates of the foot of the perpendicular; -1 for triangles without area."""
    u, v, w = b - a, c - a, p - a
    uu, uv, vv = (u * u).sum(-1), (u * v).sum(-1), (v * v).sum(-1)
    wu, wv = (w * u).sum(-1), (w * v).sum(-1)
    area = uu * vv - uv * uv
    s, t = (vv * wu - uv * wv) / area.clamp_min(_FLAT), (uu * wv - uv * wu) / area.clamp_min(_FLAT)
    shares = torch.stack([1 - s - t, s, t], -1)
    return torch.where(area[..., None] > _FLAT, shares, -torch.ones_like(shares))


def _edge(p: Tensor, a: Tensor, b: Tensor, start: int, end: int) -> Tensor:
    """Barycentric coordinates of the nearest point of the edge from corner `start` to `end`."""
    along = b - a
    length2 = (along * along).sum(-1).clamp_min(_FLAT)
    t = (((p - a) * along).sum(-1) / length2).clamp(0, 1)
    shares = t.new_zeros(*t.shape, 3)
    shares[..., start], shares[..., end] = 1 - t, t
    return shares
