"""The posed meshes of several people at once, computed once for every format that draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int32

from kinflow.body.model import BodyModel, ShapedBody
from kinflow.body.part_mesh import PartMesh
from kinflow.geometry.meshes import vertex_normals
from kinflow.results import Person


@dataclass(frozen=True)
class Bodies:
    """Meshes of people in the camera frame, metres."""

    people: tuple[Person, ...]
    shaped: ShapedBody
    vertices_cam_m: Float32[np.ndarray, "people vertices 3"]
    normals_cam: Float32[np.ndarray, "people vertices 3"]
    faces: Int32[np.ndarray, "faces 3"]
    face_parts: Int32[np.ndarray, " faces"]
    """Semantic part of each triangle (see `body.part_mesh`)."""

    @staticmethod
    def of(people: Sequence[Person], model: BodyModel | None = None) -> Bodies:
        """Pose the meshes of `people` (at least one), those of `model` or the full ones."""
        model = model or people[0].model
        with torch.inference_mode():
            shaped = model.with_shape(torch.stack([p.shape for p in people]).float())
            pose = torch.stack([p.pose for p in people]).float()
            t_root_m = torch.stack([p.t_cam_root_m for p in people]).float()
            vertices_m = shaped.with_pose(pose, t_root_m).vertices_m().numpy()
        faces = model.faces.numpy().astype(np.int32)
        normals = np.stack([vertex_normals(vertices, faces) for vertices in vertices_m])
        face_parts = PartMesh.of(model).face_parts
        return Bodies(tuple(people), shaped, vertices_m, normals, faces, face_parts)

    def stacked_faces(self) -> Int32[np.ndarray, "all_faces 3"]:
        """Triangles over the vertices of all people laid end to end."""
        people, vertices = self.vertices_cam_m.shape[:2]
        first = np.arange(people, dtype=np.int32) * vertices
        return (self.faces + first[:, None, None]).reshape(-1, 3)
