"""What hides what in a world: the depth of people and furniture at every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rasterizer import Raster, rasterize
from kinflow.synth.world import Box

_INSIDE_FRACTION = 0.075
"""A keypoint by this share of the person's height behind their own surface still shows."""
_BEFORE_M = 0.02
"""What covers a keypoint is nearer than it by at least this much."""
BOX_FACES: Int[np.ndarray, "12 3"] = np.array(
    [
        *((0, 2, 1), (1, 2, 3), (4, 5, 6), (5, 7, 6)),
        *((0, 1, 4), (1, 5, 4), (2, 6, 3), (3, 6, 7)),
        *((0, 4, 2), (2, 4, 6), (1, 3, 5), (3, 7, 5)),
    ]
)
"""Triangles of a box by `Box.corners_m`, counter-clockwise from outside; two a side."""


@dataclass(frozen=True)
class Drawn:
    """Triangles in the image, with what `interpolate` wants."""

    raster: Raster
    points_px: Float[np.ndarray, "vertices 2"]
    depth_m: Float[np.ndarray, " vertices"]
    faces: Int[np.ndarray, "faces 3"]


def draw(
    vertices_cam_m: Float[Tensor, "vertices 3"], faces: Int[np.ndarray, "faces 3"], camera: Camera
) -> Drawn:
    """A mesh in the camera's frame, drawn."""
    points_px = camera.project(vertices_cam_m).numpy()
    depth_m = vertices_cam_m[:, 2].numpy()
    return Drawn(rasterize(points_px, depth_m, faces, camera.image_size), points_px, depth_m, faces)


def draw_boxes(
    boxes: Sequence[Box], R_cam_world: Tensor, t_cam_world_m: Tensor, camera: Camera
) -> Drawn:
    """All boxes as one mesh; triangle i is of box i // 12."""
    corners = [box.corners_m() @ R_cam_world.mT + t_cam_world_m for box in boxes]
    vertices = torch.cat([torch.zeros(0, 3), *corners])
    faces = np.concatenate(
        [np.zeros((0, 3), np.int64), *(BOX_FACES + 8 * i for i in range(len(boxes)))]
    )
    return draw(vertices, faces, camera)


def covered(
    keypoints_cam_m: Float[Tensor, "33 3"], camera: Camera, own: Drawn, others: Sequence[Drawn]
) -> tuple[Bool[Tensor, " 33"], Bool[Tensor, " 33"]]:
    """Whether keypoints are uncovered, and whether they are visible (see `WorldPerson`).

    Args:
        keypoints_cam_m: of one person.
        camera: that sees them.
        own: the person.
        others: whatever else is there.
    """
    at_px = camera.project(keypoints_cam_m).numpy()
    depth_m = keypoints_cam_m[:, 2].numpy()
    cells = np.floor(at_px).astype(int)
    inside = (cells >= 0).all(1) & (cells < camera.image_size).all(1) & (depth_m > 0)
    x, y = np.where(inside[:, None], cells, 0).T
    uncovered = inside.copy()
    for other in others:
        uncovered &= depth_m < other.raster.depth[y, x] + _BEFORE_M
    size_m = float(np.ptp(own.depth_m)) + float(np.ptp(keypoints_cam_m.numpy(), axis=0).max())
    behind_m = _INSIDE_FRACTION * min(size_m, 1.7)
    visible = uncovered & (depth_m < own.raster.depth[y, x] + behind_m)
    return torch.from_numpy(uncovered), torch.from_numpy(visible)
