"""Which body parts of whom a world shows: labels of its picture, as a labeller would make them.

They are of the bodies, not of their clothes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int16

from kinflow.body.part_mesh import PartMesh
from kinflow.body.parts import BACKGROUND
from kinflow.synth.world import World
from kinflow.synth.world_depth import draw, draw_boxes


@dataclass(frozen=True)
class PartWorld:
    """What is nearest at every pixel."""

    owner: Int[np.ndarray, "height width"]
    """Number of the person; -1 where there is nobody, or furniture before them."""
    part: Int[np.ndarray, "height width"]

    @staticmethod
    def of(world: World, mesh: PartMesh) -> PartWorld:
        """Draw everybody with the triangles of a mesh, furniture before and behind them."""
        boxes = draw_boxes(world.boxes, world.R_cam_world, world.t_cam_world_m, world.camera)
        depth_m = boxes.raster.depth.copy()
        owner, part = np.full(depth_m.shape, -1), np.zeros(depth_m.shape, int)
        for number, person in enumerate(world.people):
            raster = draw(person.posed(mesh.body).vertices_m(), mesh.faces, world.camera).raster
            nearer = raster.covered & (raster.depth < depth_m)
            depth_m[nearer] = raster.depth[nearer]
            owner[nearer] = number
            part[nearer] = mesh.face_parts[raster.face[nearer]]
        return PartWorld(owner, part)

    def sets_of(self, person: int) -> Int16[np.ndarray, "height width"]:
        """Bit sets of one person's parts; whatever is not theirs is background."""
        own = self.owner == person
        return np.where(own, 1 << self.part, BACKGROUND).astype(np.int16)
