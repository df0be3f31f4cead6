"""Pictures of clips: the same person in the same clothes, before walls that do not move.

Cloth and skin are colours of the body's vertices, so that they move with the body; walls and floor
are painted once, for a camera that turns all around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8

from kinflow.body import BodyModel
from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.part_mesh import PartMesh
from kinflow.body.parts import PART_INDEX
from kinflow.geometry.rasterizer import interpolate, rasterize
from kinflow.synth.clips import Clip, MovingPerson
from kinflow.synth.outfits import HAIR, SKIN, Outfit, along_parts, hair_color
from kinflow.synth.panorama import Panorama
from kinflow.synth.rendering import vertex_normals
from kinflow.synth.textures import any_color, skin_color
from kinflow.synth.world_picture import surroundings

_FACE_M = 0.105
"""How far from the nose a face reaches."""
_NOISE = 4.0


@dataclass(frozen=True)
class ClipPainter:
    """Paints clips with the body that has all its triangles."""

    mesh: PartMesh

    @staticmethod
    def load() -> ClipPainter:
        """With the bundled body."""
        return ClipPainter(PartMesh.of(BodyModel.load()))

    def paint(
        self, clip: Clip, rng: np.random.Generator
    ) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """The frames of a clip, one after the other; light, clothes and walls come from `rng`."""
        seen = [clip.seen(i) for i in range(len(clip.people))]
        behind = _behind(clip, rng)
        albedo = [self._albedo(person, rng) for person in clip.people]
        lamp = rng.normal(size=3) * 0.6 + (0, -0.7, -1.0)
        lamp = (lamp / np.linalg.norm(lamp)).astype(np.float32)
        ambient = float(rng.uniform(0.45, 0.8))
        for frame in range(len(clip)):
            canvas = behind(frame)
            light = lamp if clip.R_cam_first is None else clip.R_cam_first[frame].numpy() @ lamp
            depth = np.full(canvas.shape[:2], np.inf, np.float32)
            for person, colors in zip(seen, albedo, strict=True):
                self._put(canvas, depth, clip, person, frame, colors, light, ambient)
            canvas = cv2.GaussianBlur(canvas, (0, 0), 0.5)
            canvas += _NOISE * rng.standard_normal(canvas.shape, np.float32)
            yield np.rint(canvas.clip(0, 255)).astype(np.uint8)

    def _put(
        self,
        canvas: Float32[np.ndarray, "height width 3"],
        depth_m: Float32[np.ndarray, "height width"],
        clip: Clip,
        person: MovingPerson,
        frame: int,
        albedo: Float32[np.ndarray, "vertices 3"],
        lamp: Float32[np.ndarray, " 3"],
        ambient: float,
    ) -> None:
        """Paint one person wherever nothing nearer was painted so far."""
        shaped = self.mesh.body.with_shape(person.shape)
        vertices = shaped.with_pose(person.pose[frame], person.root_m[frame]).vertices_m()
        points_px, own_m = clip.camera.project(vertices).numpy(), vertices[:, 2].numpy()
        raster = rasterize(points_px, own_m, self.mesh.faces, clip.camera.image_size)
        if not len(raster.pixels):
            return
        normals = vertex_normals(vertices.numpy(), self.mesh.faces)
        light = ambient + (1.1 - ambient) * (normals @ lamp).clip(0, 1)
        shaded = albedo * light[:, None].astype(np.float32)
        nearer = raster.depth.ravel()[raster.pixels] < depth_m.ravel()[raster.pixels]
        chosen = raster.pixels[nearer]
        for channel in range(3):
            shown = interpolate(raster, points_px, own_m, self.mesh.faces, shaded[:, channel])
            canvas.reshape(-1, 3)[chosen, channel] = shown[nearer]
        depth_m.ravel()[chosen] = raster.depth.ravel()[chosen]

    def _albedo(
        self, person: MovingPerson, rng: np.random.Generator
    ) -> Float32[np.ndarray, "vertices 3"]:
        """A colour for every vertex: an outfit, hair, skin, and a weave."""
        body = self.mesh.body
        t_pose = torch.eye(3).expand_as(person.pose[0])
        posed = body.with_shape(person.shape).with_pose(t_pose, torch.zeros(3))
        points = posed.vertices_m().numpy()
        keypoints = posed.keypoints_m()[:33].numpy()
        worn = body.vertex_parts.numpy().astype(np.uint8)
        outfit = Outfit.random(rng)
        along = along_parts(worn, points, keypoints)
        cloth = np.where(along < outfit.border[worn], outfit.near[worn], outfit.far[worn])
        nose = keypoints[KEYPOINT_INDEX["nose"]]
        low = nose + (0, -0.02, 0)
        face = (np.linalg.norm(points - low, axis=1) < _FACE_M) & (points[:, 2] > nose[2] - 0.1)
        cloth[(worn == PART_INDEX["head"]) & face] = SKIN
        skin = skin_color(rng)
        colors = np.empty((len(points), 3), np.float32)
        for kind in np.unique(cloth):
            color = skin if kind == SKIN else hair_color(skin, rng) if kind == HAIR else None
            color = any_color(rng) if color is None else color
            weave = np.zeros(len(points), np.float32)
            if kind not in (SKIN, HAIR) and rng.random() < 0.5:
                direction = rng.normal(size=3) * rng.uniform(30, 120)
                weave = np.sin(points @ direction).astype(np.float32) * rng.uniform(0.05, 0.35)
            mine = cloth == kind
            colors[mine] = (color * (1 + weave[mine, None])).clip(3, 250)
        return colors


def _behind(
    clip: Clip, rng: np.random.Generator
) -> Callable[[int], Float32[np.ndarray, "height width 3"]]:
    """What is behind the people in each frame."""
    view = (clip.camera, clip.R_cam_world, clip.t_cam_world_m)
    if clip.R_cam_first is None:
        still = surroundings(*view, _path(clip), rng)
        still = cv2.GaussianBlur(still, (0, 0), 0.6).clip(0, 255)
        return lambda frame: still.copy()
    R_cam_world = clip.R_cam_first @ clip.R_cam_world
    position_m = -(clip.R_cam_world.mT @ clip.t_cam_world_m).numpy()
    around = Panorama.around(clip.camera, R_cam_world, position_m, _path(clip), rng)
    return lambda frame: around.seen_by(clip.camera, R_cam_world[frame]).clip(0, 255)


def _path(clip: Clip) -> Float32[np.ndarray, "places 3"]:
    """Where anybody is at any time, in the world's frame."""
    return np.concatenate([person.root_m.numpy() for person in clip.people])
