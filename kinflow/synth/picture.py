"""Pictures of scenes: a shaded body in random clothes before a random background.

Not photographic, but what shows in them is what the truth says: clothes reach as far as the scene's
dressed outline, occluders cover what is not known, neighbours stand where the segmenter may have
confused them. Networks that look at pixels may train on the files of `kinflow synth`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from kinflow.body import BodyModel
from kinflow.body.part_mesh import PartMesh
from kinflow.geometry.rasterizer import interpolate, rasterize
from kinflow.synth.outfits import dress
from kinflow.synth.rendering import body_height_m, vertex_normals
from kinflow.synth.scene import Scene
from kinflow.synth.textures import any_color, clutter, folds, skin_color


@dataclass(frozen=True)
class View:
    """All that is to be painted, on one pixel grid."""

    part: UInt8[np.ndarray, "height width"]
    """Part of the body, 0 where it does not show."""
    normal: Float32[np.ndarray, "height width 3"]
    """Of the body's surface towards the camera, up to its length; 0 where it does not show."""
    dressed: Bool[np.ndarray, "height width"]
    """Pixels of the person with clothes on."""
    hidden: Bool[np.ndarray, "height width"]
    """Pixels that something stands before."""
    neighbour: Bool[np.ndarray, "height width"]
    """Pixels of somebody else."""
    keypoints_px: Float[np.ndarray, "33 2"]
    visible: Bool[np.ndarray, " 33"]
    """Keypoints that show."""
    height_px: float
    """The person's own height."""


@dataclass(frozen=True)
class Painter:
    """Paints scenes with the body that has all its triangles."""

    mesh: PartMesh

    @staticmethod
    def load() -> Painter:
        """With the bundled body."""
        return Painter(PartMesh.of(BodyModel.load()))

    def paint(self, scene: Scene, rng: np.random.Generator) -> UInt8[np.ndarray, "height width 3"]:
        """The picture of a scene; light, colours and background are drawn from `rng`."""
        vertices_m = scene.posed(self.mesh.body).vertices_m()
        points_px, depth = scene.camera.project(vertices_m).numpy(), vertices_m[:, 2].numpy()
        faces = self.mesh.faces
        raster = rasterize(points_px, depth, faces, scene.camera.image_size)
        part = np.zeros(raster.face.shape, np.uint8)
        normal = np.zeros((*raster.face.shape, 3), np.float32)
        shown = raster.face.ravel()[raster.pixels]
        part.ravel()[raster.pixels] = self.mesh.face_parts[shown]
        normals = vertex_normals(vertices_m.numpy(), faces)
        for axis in range(3):
            values = interpolate(raster, points_px, depth, faces, normals[:, axis])
            normal.reshape(-1, 3)[raster.pixels, axis] = values
        root_depth_m = max(float(scene.t_cam_root_m[2]), 0.1)
        height_m = body_height_m(scene.posed(self.mesh.body))
        view = View(
            part=part,
            normal=normal,
            dressed=to_image(scene.dressed.numpy(), scene) | (part > 0),
            hidden=to_image(~scene.known.numpy(), scene),
            neighbour=to_image(scene.neighbour.numpy(), scene),
            keypoints_px=scene.keypoints_px.numpy(),
            visible=scene.keypoint_visible.numpy(),
            height_px=scene.camera.focal_px * height_m / root_depth_m,
        )
        return paint(view, rng)


def paint(view: View, rng: np.random.Generator) -> UInt8[np.ndarray, "height width 3"]:
    """The picture of a view; light, colours, background and camera are drawn from `rng`."""
    size = view.part.shape
    canvas = clutter(size, rng)
    if view.neighbour.any():
        stranger = _stranger(view.neighbour, rng)
        np.copyto(canvas, stranger, where=view.neighbour[..., None])
    if view.part.any():
        box = box_around(view.dressed)
        shown = view.dressed[box]
        np.copyto(canvas[box], person_colors(view, box, rng), where=shown[..., None])
    if view.hidden.any():
        np.copyto(canvas, clutter(size, rng), where=view.hidden[..., None])
    return photographed(canvas, rng)


def person_colors(
    view: View, box: tuple[slice, slice], rng: np.random.Generator
) -> Float32[np.ndarray, "box_height box_width 3"]:
    """The dressed person in a box of the view; pixels that do not show them hold anything."""
    part, normal = view.part[box], view.normal[box]
    nearest = nearest_shown(part > 0)
    worn, normal = part.ravel()[nearest], normal.reshape(-1, 3)[nearest]
    keypoints_px = view.keypoints_px - (box[1].start, box[0].start)
    colors, skin = dress(worn, keypoints_px, view.visible, view.height_px, rng)
    wrinkles = folds(part.shape, view.height_px, rng)
    light = _light(normal, rng) * np.where(skin, 0.75 + 0.25 * wrinkles, wrinkles)
    return colors * light[..., None]


def box_around(shown: Bool[np.ndarray, "height width"]) -> tuple[slice, slice]:
    """Rows and columns of the box around the pixels that are shown."""
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def to_image(
    cells: Bool[np.ndarray, "rows columns"] | UInt8[np.ndarray, "rows columns"], scene: Scene
) -> np.ndarray:
    """A map on the scene's grid at every pixel of its image; 0 outside of the grid."""
    (x, y), cell = scene.grid.origin_px, scene.grid.cell_px
    # pixel centres lie at +0.5 of pixels, cell centres at +0.5 of cells
    to_cells = np.array([[1, 0, 0.5 - x], [0, 1, 0.5 - y]]) / cell - [[0, 0, 0.5], [0, 0, 0.5]]
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    values = cv2.warpAffine(cells.astype(np.uint8), to_cells, scene.camera.image_size, flags=flags)
    return values.astype(cells.dtype)


def _light(
    normal: Float32[np.ndarray, "height width 3"], rng: np.random.Generator
) -> Float32[np.ndarray, "height width"]:
    """Brightness under one lamp, mostly from above, and the sky; edges of the body darken."""
    lamp = rng.normal(size=3) + (0, -0.7, -1.0)
    lamp = (lamp / np.linalg.norm(lamp)).astype(np.float32)
    direct = (normal @ lamp).clip(0, 1)
    ambient = np.float32(rng.uniform(0.25, 0.9))
    rim = np.float32(rng.uniform(0, 0.5)) * (1 + normal[..., 2]).clip(0, 1) ** 2
    return (ambient + (np.float32(1.15) - ambient) * direct) * (1 - rim)


def nearest_shown(shown: Bool[np.ndarray, "height width"]) -> np.ndarray:
    """Flat index of the nearest pixel that is shown, whose clothes a pixel shows."""
    away = (~shown).astype(np.uint8)
    found = cv2.distanceTransformWithLabels(away, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    region = np.asarray(found[1], np.int32)
    pixels = np.flatnonzero(shown)
    index_of_region = np.zeros(region.max() + 1, np.int64)
    index_of_region[region.ravel()[pixels]] = pixels
    return index_of_region[region]


def _stranger(shown: Bool[np.ndarray, "height width"], rng: np.random.Generator) -> np.ndarray:
    """Somebody else's colours: hair, face, shirt and trousers from top to bottom."""
    size = shown.shape
    rows = np.flatnonzero(shown.any(1))
    top, height = rows[0], max(1, len(rows))
    borders = np.array((0.06, 0.13, 0.5 + 0.1 * rng.normal(), 0.95))
    colors = np.stack([any_color(rng), skin_color(rng), *(any_color(rng) for _ in range(3))])
    band = np.searchsorted(borders, (np.arange(size[0]) - top) / height)
    return colors[band][:, None] * folds(size, float(height), rng)[..., None]


def photographed(canvas: np.ndarray, rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """What a camera and a file make of it: exposure, tint, blur, coarse pixels, noise, JPEG."""
    height, width = canvas.shape[:2]
    tint = 1 + rng.normal(0, 0.06, 3)
    picture = (canvas * (tint / 255).astype(np.float32)).clip(0, 1.2)
    picture = rng.uniform(0.6, 1.25) * cv2.pow(picture, float(np.exp(rng.normal(0, 0.2))))
    if rng.random() < 0.06:
        picture = np.broadcast_to(picture.mean(-1, keepdims=True), picture.shape)
    picture = cv2.GaussianBlur(picture, (0, 0), 0.3 + abs(rng.normal(0, 0.7)))
    if rng.random() < 0.35:  # small people
        shrink = rng.uniform(1.2, 3.5)
        small = (max(8, round(width / shrink)), max(8, round(height / shrink)))
        picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    noise = rng.standard_normal(picture.shape, np.float32) * np.float32(rng.uniform(0, 0.05))
    pixels = np.rint(255 * (picture + noise)).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 96))]
        file = cv2.imencode(".jpg", pixels, quality)[1]
        pixels = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)
    return pixels
