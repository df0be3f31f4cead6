"""A picture of a scene: a shaded body in plain clothes before a random background.

Not photographic, but what shows in it is what the truth says: clothes reach as far as the scene's
dressed outline, occluders cover what is not known, neighbours stand where the segmenter may have
confused them. Networks that look at pixels can train on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from kinflow.body import BodyModel
from kinflow.body.parts import PART_INDEX, PART_NAMES
from kinflow.camera.rasterizer import interpolate, rasterize
from kinflow.synth.rendering import PartMesh
from kinflow.synth.scene import Scene
from kinflow.synth.silhouettes import smooth_noise

_BARE = ("head", "left_hand", "right_hand")
_SHIRT = ("torso", "left_upper_arm", "right_upper_arm")
_TROUSERS = ("left_upper_leg", "right_upper_leg")
_SKIN_LIGHT, _SKIN_DARK = np.array((238.0, 205, 180)), np.array((82.0, 52, 38))


@dataclass(frozen=True)
class Painter:
    """Paints scenes with the body that has all its triangles."""

    mesh: PartMesh

    @staticmethod
    def load() -> Painter:
        """With the bundled body."""
        return Painter(PartMesh.full(BodyModel.load()))

    def paint(self, scene: Scene, rng: np.random.Generator) -> UInt8[np.ndarray, "height width 3"]:
        """The picture of a scene; light, colours and background are drawn from `rng`."""
        width, height = scene.camera.image_size
        size = (height, width)
        canvas = _background(size, rng)
        neighbour = to_image(scene.neighbour.numpy(), scene)
        canvas[neighbour] = _cloth(size, rng)[neighbour]
        part, light = self._body(scene, rng)
        dressed = to_image(scene.dressed.numpy(), scene) | (part > 0)
        colors, worn = _outfit(rng), _nearest_part(part)
        fabric = 1 + 0.12 * smooth_noise(size, rng, 40)
        # clothes beyond the body have no surface of their own: they get a middling light
        shade = np.where(part > 0, light, 0.75) * fabric
        canvas[dressed] = (colors[worn] * shade[..., None])[dressed]
        hidden = to_image(~scene.known.numpy(), scene)
        canvas[hidden] = _cloth(size, rng)[hidden]
        noisy = cv2.GaussianBlur(canvas, (0, 0), 0.7) + rng.normal(0, 3, (*size, 1))
        return np.clip(noisy, 0, 255).astype(np.uint8)

    def _body(
        self, scene: Scene, rng: np.random.Generator
    ) -> tuple[UInt8[np.ndarray, "height width"], Float[np.ndarray, "height width"]]:
        """Part and brightness of each pixel; both 0 where the body does not show."""
        vertices_m = scene.posed(self.mesh.body).vertices_m()
        points_px, depth = scene.camera.project(vertices_m).numpy(), vertices_m[:, 2].numpy()
        faces = self.mesh.faces
        raster = rasterize(points_px, depth, faces, scene.camera.image_size)
        light = _light(vertices_m.numpy(), faces, rng)
        part = np.zeros(raster.face.shape, np.uint8)
        shade = np.zeros(raster.face.shape, np.float32)
        part.ravel()[raster.pixels] = self.mesh.face_parts[raster.face.ravel()[raster.pixels]]
        shade.ravel()[raster.pixels] = interpolate(raster, points_px, depth, faces, light)
        return part, shade


def to_image(
    cells: Bool[np.ndarray, "rows columns"] | UInt8[np.ndarray, "rows columns"], scene: Scene
) -> np.ndarray:
    """A map on the scene's grid at every pixel of its image; 0 outside of the grid."""
    (x, y), cell = scene.origin_px, scene.cell_px
    # pixel centres lie at +0.5 of pixels, cell centres at +0.5 of cells
    to_cells = np.array([[1, 0, 0.5 - x], [0, 1, 0.5 - y]]) / cell - [[0, 0, 0.5], [0, 0, 0.5]]
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    values = cv2.warpAffine(cells.astype(np.uint8), to_cells, scene.camera.image_size, flags=flags)
    return values.astype(cells.dtype)


def _light(vertices_m: np.ndarray, faces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lambertian brightness at the vertices under one lamp and the sky."""
    a, b, c = vertices_m[faces].transpose(1, 0, 2)
    normals = np.zeros_like(vertices_m)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], np.cross(b - a, c - a))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12)
    lamp = rng.normal(size=3) + (0, -1.0, -1.0)
    direct = (normals @ (lamp / np.linalg.norm(lamp))).clip(0, 1)
    ambient = rng.uniform(0.3, 0.6)
    return ambient + (1.1 - ambient) * direct


def _outfit(rng: np.random.Generator) -> Float[np.ndarray, "15 3"]:
    """Colour of each part, sRGB."""
    skin = _SKIN_DARK + rng.uniform(0, 1) * (_SKIN_LIGHT - _SKIN_DARK)
    shirt, trousers, shoes = rng.uniform(15, 245, (3, 3))
    sleeves = shirt if rng.random() < 0.5 else skin
    stockings = trousers if rng.random() < 0.7 else skin
    groups = ((_BARE, skin), (_SHIRT, shirt), (_TROUSERS, trousers))
    of_part = {name: color for names, color in groups for name in names}
    colors = np.zeros((len(PART_NAMES), 3))
    for name, index in PART_INDEX.items():
        of_limb = {"arm": sleeves, "leg": stockings, "foot": shoes}.get(name.rsplit("_")[-1])
        colors[index] = of_part.get(name, skin if of_limb is None else of_limb)
    return colors


def _nearest_part(part: UInt8[np.ndarray, "height width"]) -> np.ndarray:
    """Part of the nearest pixel of the body, which is whose clothes a pixel shows."""
    if not part.any():
        return part
    away = (part == 0).astype(np.uint8)
    _, region = cv2.distanceTransformWithLabels(
        away, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    part_of_region = np.zeros(region.max() + 1, np.uint8)
    shown = part > 0
    part_of_region[region[shown]] = part[shown]
    return part_of_region[region]


def _background(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A few blurred rectangles over a gradient, with texture."""
    height, width = size
    ends = rng.uniform(0, 255, (2, 3))
    ramp = np.linspace(0, 1, height)[:, None, None]
    canvas = np.broadcast_to(ends[0] * (1 - ramp) + ends[1] * ramp, (height, width, 3)).copy()
    for _ in range(rng.integers(3, 12)):
        corners = (rng.random((2, 2)) * (width, height)).astype(int)
        color = rng.uniform(0, 255, 3).tolist()
        cv2.rectangle(canvas, corners[0].tolist(), corners[1].tolist(), color, -1)
    canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.5, 4))
    texture = sum(smooth_noise(size, rng, knots) for knots in (5, 20, 80))
    return (canvas * (1 + 0.07 * np.asarray(texture)[..., None])).astype(np.float32)


def _cloth(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A plain colour with folds."""
    folds = 1 + 0.25 * smooth_noise(size, rng, 12)
    return (rng.uniform(10, 245, 3) * folds[..., None]).astype(np.float32)
