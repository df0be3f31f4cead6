"""A body's parts as a picture."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int

from kinflow.body.part_mesh import PartMesh
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rasterizer import rasterize


def drawn_parts(
    vertices_m: Float[np.ndarray, "vertices 3"], grid_camera: Camera, mesh: PartMesh
) -> Int[np.ndarray, "rows columns"]:
    """The part in every cell of a grid, 0 where the body does not show."""
    points = grid_camera.project(torch.from_numpy(vertices_m)).numpy()
    raster = rasterize(
        points, vertices_m[:, 2], mesh.faces, grid_camera.image_size, cull_back_faces=True
    )
    return np.where(raster.face >= 0, mesh.face_parts[raster.face], 0)
