"""Pictures of worlds: a floor, walls or clutter, furniture and dressed people, nearest in front.

Painted by the same outfits, fabrics and cameras as pictures of scenes (`kinflow.synth.picture`).
Clothes and hair reach beyond the body's outline and are as near as the body beside them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.body.part_mesh import PartMesh
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rasterizer import interpolate
from kinflow.synth.picture import View, box_around, nearest_shown, person_colors, photographed
from kinflow.synth.rendering import body_height_m, vertex_normals
from kinflow.synth.silhouettes import ClothingConfig, dressed, smooth_noise
from kinflow.synth.textures import any_color, clutter, fabric, folds
from kinflow.synth.world import World, WorldPerson
from kinflow.synth.world_depth import Drawn, draw, draw_boxes

_INDOOR_SHARE = 0.6
_CLOTHES_ROOM = 0.06
"""Room for clothes around a person, as a share of their height in the image."""
_FARTHEST_M = 60.0


@dataclass(frozen=True)
class WorldPainter:
    """Paints worlds with the body that has all its triangles."""

    mesh: PartMesh

    @staticmethod
    def load() -> WorldPainter:
        """With the bundled body."""
        return WorldPainter(PartMesh.of(BodyModel.load()))

    def paint(self, world: World, rng: np.random.Generator) -> UInt8[np.ndarray, "height width 3"]:
        """The picture of a world; light, colours and walls are drawn from `rng`."""
        R_world_cam = world.R_cam_world.numpy()
        places = [
            (p.t_cam_root_m - world.t_cam_world_m).numpy() @ R_world_cam for p in world.people
        ]
        view = (world.camera, world.R_cam_world, world.t_cam_world_m)
        canvas = surroundings(*view, np.stack(places), rng)
        depth_m = np.full(canvas.shape[:2], np.inf, np.float32)
        _put_furniture(canvas, depth_m, world, rng)
        for person in world.people:
            self._put(canvas, depth_m, world, person, rng)
        return photographed(canvas, rng)

    def _put(
        self,
        canvas: Float32[np.ndarray, "height width 3"],
        depth_m: Float32[np.ndarray, "height width"],
        world: World,
        person: WorldPerson,
        rng: np.random.Generator,
    ) -> None:
        """Paint one person wherever nothing nearer was painted so far."""
        posed = person.posed(self.mesh.body)
        drawn = draw(posed.vertices_m(), self.mesh.faces, world.camera)
        raster = drawn.raster
        if not len(raster.pixels):
            return
        height_px = world.camera.focal_px * body_height_m(posed) / float(person.t_cam_root_m[2])
        box = _with_room(box_around(raster.covered), _CLOTHES_ROOM * height_px, depth_m.shape)
        part = np.zeros(raster.face.shape, np.uint8)
        shown = raster.face.ravel()[raster.pixels]
        part.ravel()[raster.pixels] = self.mesh.face_parts[shown]
        part = part[box]
        view = View(
            part=part,
            normal=_normals(drawn, posed.vertices_m().numpy())[box],
            dressed=dressed(part, height_px, ClothingConfig(), rng),
            hidden=np.zeros(part.shape, bool),
            neighbour=np.zeros(part.shape, bool),
            keypoints_px=person.keypoints_px.numpy() - (box[1].start, box[0].start),
            visible=person.keypoint_visible.numpy(),
            height_px=height_px,
        )
        everything = (slice(0, part.shape[0]), slice(0, part.shape[1]))
        colors = person_colors(view, everything, rng)
        own_m = raster.depth[box].ravel()[nearest_shown(part > 0)]
        nearer = view.dressed & (own_m < depth_m[box])
        np.copyto(canvas[box], colors, where=nearer[..., None])
        np.copyto(depth_m[box], own_m, where=nearer)


def _with_room(
    box: tuple[slice, slice], room_px: float, shape: tuple[int, ...]
) -> tuple[slice, slice]:
    room = math.ceil(room_px)
    rows, columns = (
        slice(max(0, side.start - room), min(size, side.stop + room))
        for side, size in zip(box, shape, strict=True)
    )
    return rows, columns


def _normals(
    drawn: Drawn, vertices_m: Float32[np.ndarray, "vertices 3"]
) -> Float32[np.ndarray, "height width 3"]:
    """Of the surface at every pixel, 0 where there is none."""
    normal = np.zeros((*drawn.raster.face.shape, 3), np.float32)
    of_vertices = vertex_normals(vertices_m, drawn.faces)
    for axis in range(3):
        values = interpolate(
            drawn.raster, drawn.points_px, drawn.depth_m, drawn.faces, of_vertices[:, axis]
        )
        normal.reshape(-1, 3)[drawn.raster.pixels, axis] = values
    return normal


def _put_furniture(
    canvas: Float32[np.ndarray, "height width 3"],
    depth_m: Float32[np.ndarray, "height width"],
    world: World,
    rng: np.random.Generator,
) -> None:
    """Boxes of one fabric each, every side of another brightness."""
    if not world.boxes:
        return
    raster = draw_boxes(world.boxes, world.R_cam_world, world.t_cam_world_m, world.camera).raster
    face = raster.face
    for i in range(len(world.boxes)):
        shades = rng.uniform(0.45, 1.15, 6).astype(np.float32)
        mine = face // 12 == i  # -1 where there is none: -1 // 12 is -1
        if not mine.any():
            continue
        box = box_around(mine)
        side = (face[box] - 12 * i) // 2 % 6
        scale = float(max(mine[box].shape))
        cloth = fabric(mine[box].shape, scale, any_color(rng), rng)
        cloth = cloth * (shades[side] * folds(mine[box].shape, 2 * scale, rng))[..., None]
        np.copyto(canvas[box], cloth, where=mine[box][..., None])
    np.copyto(depth_m, raster.depth, where=raster.covered)


def surroundings(
    camera: Camera,
    R_cam_world: Float[Tensor, "3 3"],
    t_cam_world_m: Float[Tensor, " 3"],
    places_m: Float[np.ndarray, "places 3"],
    rng: np.random.Generator,
) -> Float32[np.ndarray, "height width 3"]:
    """What is behind people and furniture: clutter or walls, and the floor where it shows.

    Args:
        camera: whose picture it is.
        R_cam_world, t_cam_world_m: from the world's frame to the camera's.
        places_m: in the world, where people are; walls are behind them all.
        rng: source of randomness.
    """
    width, height = camera.image_size
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    (cx, cy), focal = camera.principal_px, camera.focal_px
    R = R_cam_world.numpy()
    rays = np.stack([(x - cx) / focal, (y - cy) / focal, np.ones_like(x)], -1) @ R
    return surroundings_along(rays, -(R.T @ t_cam_world_m.numpy()), places_m, rng)


def surroundings_along(
    rays: Float[np.ndarray, "height width 3"],
    position_m: Float[np.ndarray, " 3"],
    places_m: Float[np.ndarray, "places 3"],
    rng: np.random.Generator,
) -> Float32[np.ndarray, "height width 3"]:
    """The same for a picture of any projection.

    Args:
        rays: directions of its pixels, in the world.
        position_m: of the camera.
        places_m, rng: as in `surroundings`.
    """
    height, width = rays.shape[:2]
    canvas = clutter((height, width), rng).astype(np.float32)
    indoors = rng.random() < _INDOOR_SHARE
    reach = np.full((height, width), _FARTHEST_M)
    if indoors:
        _put_walls(canvas, reach, position_m, rays, places_m, rng)
    if position_m[1] > 0:
        with np.errstate(divide="ignore", invalid="ignore"):
            away = -position_m[1] / rays[..., 1]
        shows = (rays[..., 1] < 0) & (away < reach)
        at = np.where(shows[..., None], position_m + away[..., None] * rays, 0)[..., (0, 2)]
        floor = _tiles(at, rng, squares=rng.random() < 0.5)
        np.copyto(canvas, floor, where=shows[..., None])
    return canvas


def _put_walls(
    canvas: Float32[np.ndarray, "height width 3"],
    reach: Float[np.ndarray, "height width"],
    position: np.ndarray,
    rays: np.ndarray,
    places: Float[np.ndarray, "places 3"],
    rng: np.random.Generator,
) -> None:
    """Four walls of a room, with doors, windows and panels, all edges upright or level."""
    yaw = rng.uniform(-0.5, 0.5)
    for angle in (0.0, math.pi / 2, math.pi, -math.pi / 2):
        # the outward normal of the wall, and the direction along it
        out = np.array((math.sin(yaw + angle), 0, -math.cos(yaw + angle)))
        along = np.array((out[2], 0, -out[0]))
        room_m = rng.uniform(1.2, 4.0)
        at_m = max((places @ out).max(), float(position @ out)) + room_m
        speed = rays @ out
        with np.errstate(divide="ignore", invalid="ignore"):
            away = (at_m - position @ out) / speed
        shows = (speed > 1e-6) & (away > 0) & (away < reach)
        where = position + np.where(shows, away, 0)[..., None] * rays
        wall = _wall(where @ along, where[..., 1], rng)
        np.copyto(canvas, wall, where=shows[..., None])
        np.copyto(reach, away, where=shows)


def _wall(
    along_m: Float[np.ndarray, "height width"],
    up_m: Float[np.ndarray, "height width"],
    rng: np.random.Generator,
) -> Float32[np.ndarray, "height width 3"]:
    """One wall: a colour, a skirting board, and rectangles on it."""
    color = any_color(rng) * 0.4 + 130 * rng.uniform(0.4, 1.1)
    wall = np.broadcast_to(color, (*along_m.shape, 3)).astype(np.float32).copy()
    wall[up_m < rng.uniform(0.05, 0.2)] = any_color(rng)
    for _ in range(rng.integers(2, 8)):
        left, low = rng.uniform(-5, 4), rng.choice((0.0, rng.uniform(0.4, 2)))
        right, high = left + rng.uniform(0.4, 2), low + rng.uniform(0.4, 2.2)
        inside = (along_m > left) & (along_m < right) & (up_m > low) & (up_m < high)
        frame = inside & (
            (np.minimum(along_m - left, right - along_m) < 0.05)
            | (np.minimum(up_m - low, high - up_m) < 0.05)
        )
        wall[inside] = any_color(rng)
        wall[frame] = any_color(rng)
    noise = smooth_noise(along_m.shape, rng, 12)
    return wall * (1 + np.float32(rng.uniform(0, 0.1)) * noise)[..., None]


def _tiles(
    at_m: Float[np.ndarray, "height width 2"], rng: np.random.Generator, squares: bool
) -> Float32[np.ndarray, "height width 3"]:
    """A floor of tiles, boards or one colour, by places on it."""
    angle = rng.uniform(0, math.pi)
    turned = at_m @ np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    size = rng.uniform(0.15, 0.7)
    cell = np.floor(turned / (size, size if squares else 6 * size)).astype(int)
    first, second = any_color(rng), any_color(rng)
    contrast = rng.uniform(0, 0.6) if rng.random() < 0.7 else 0.0
    odd = (cell.sum(-1) % 2).astype(np.float32)[..., None] * np.float32(contrast)
    floor = first + odd * (second - first)
    noise = smooth_noise(at_m.shape[:2], rng, 40) + smooth_noise(at_m.shape[:2], rng, 8)
    return (floor * (1 + np.float32(rng.uniform(0, 0.12)) * noise)[..., None]).astype(np.float32)
