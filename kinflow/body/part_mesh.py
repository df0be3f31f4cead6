"""The triangles of a body with a semantic part each, for everything that draws parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int32

from kinflow.body.model import BodyModel


@dataclass(frozen=True)
class PartMesh:
    """A body's triangles and their parts."""

    body: BodyModel
    faces: Int[np.ndarray, "faces 3"]
    face_parts: Int32[np.ndarray, " faces"]
    """Part of each triangle: the lowest of its corners', so that seams between parts run along the
    loops of the mesh instead of the diagonals of its quads."""

    @staticmethod
    def of(body: BodyModel) -> PartMesh:
        """All triangles of a body, on any device."""
        faces = body.faces.cpu().numpy()
        vertex_parts = body.vertex_parts.cpu().numpy()
        return PartMesh(body, faces, vertex_parts[faces].min(1).astype(np.int32))
