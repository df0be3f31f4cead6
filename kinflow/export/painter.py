"""Paints shaded bodies over a background: the renderer behind the overlay and the side view.

Bodies share one depth buffer, so they occlude each other correctly. Light is computed at the
vertices and interpolated; a ramp of each colour turns it into pixels. Everything is drawn at
twice the resolution inside the bodies' bounding box and averaged down, which smooths edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Int32, UInt8

from kinflow.geometry.pinhole import NEAR_M, Camera
from kinflow.geometry.rasterizer import Raster, interpolate, rasterize

_LIGHT = np.array([-0.45, -0.75, -0.6], np.float32) / np.float32(np.sqrt(1.125))
"""Direction to the key light in the camera frame: up, left, behind the camera."""
_OUTLINE = np.uint32(0xFFFFFFFF)
"""Opaque white."""


@dataclass(frozen=True)
class PaintStyle:
    """How bodies are painted."""

    opacity: float = 0.9
    """Of the body over the photo, 0 to 1."""
    supersampling: int = 2
    """Samples per pixel in each direction."""
    outline_px: float = 1.4
    """Width of the outline around each person, at 1000 pixels of image height."""


@dataclass(frozen=True)
class Layer:
    """Meshes ready to paint: vertices of all people end to end, in the frame of `camera`."""

    vertices_cam_m: Float32[np.ndarray, "vertices 3"]
    normals_cam: Float32[np.ndarray, "vertices 3"]
    faces: Int32[np.ndarray, "faces 3"]
    person_of_face: Int32[np.ndarray, " faces"]
    colors: UInt8[np.ndarray, "colors 3"]
    """One for each person, unless `color_of_face` says otherwise."""
    color_of_face: Int32[np.ndarray, " faces"] | None = None
    """Row of `colors` of each triangle; None: that of the person."""


def project(points_cam_m: Float32[np.ndarray, "points 3"], camera: Camera) -> np.ndarray:
    """Pixel positions (points, 2) of points in the camera frame, in numpy."""
    depth = np.maximum(points_cam_m[:, 2:], NEAR_M)
    return camera.focal_px * points_cam_m[:, :2] / depth + np.array(camera.principal_px, np.float32)


def paint(
    background: UInt8[np.ndarray, "height width 3"],
    layer: Layer,
    camera: Camera,
    style: PaintStyle = PaintStyle(),
) -> UInt8[np.ndarray, "height width 3"]:
    """The background with the layer's bodies over it; `camera` has the background's size."""
    height, width = background.shape[:2]
    points_px = project(layer.vertices_cam_m, camera)
    depth = layer.vertices_cam_m[:, 2]
    region = _region(points_px[depth >= NEAR_M], (width, height), round(2 * style.outline_px) + 1)
    if region is None:
        return background.copy()
    left, top, right, bottom = region
    scale = style.supersampling
    fine_px = (points_px - np.array([left, top], np.float32)) * scale
    fine_size = ((right - left) * scale, (bottom - top) * scale)
    raster = rasterize(fine_px, depth, layer.faces, fine_size, cull_back_faces=True)
    samples = _shade(layer, raster, fine_px, style)
    _draw_outline(samples, layer, raster, style.outline_px * scale * height / 1000)
    size = (right - left, bottom - top)
    color = cv2.resize(samples, size, interpolation=cv2.INTER_AREA)
    painted = background.copy()
    under = painted[top:bottom, left:right]
    see_through = cv2.cvtColor(255 - color[..., 3], cv2.COLOR_GRAY2RGB)
    dimmed = cv2.multiply(under, see_through, scale=1 / 255)
    painted[top:bottom, left:right] = cv2.add(dimmed, np.ascontiguousarray(color[..., :3]))
    return painted


def _region(
    points_px: np.ndarray, size: tuple[int, int], margin: int
) -> tuple[int, int, int, int] | None:
    """Pixel box around the points inside the image, or None where nothing shows."""
    if len(points_px) == 0:
        return None
    low = np.floor(np.clip(points_px.min(0) - margin, 0, size)).astype(int)
    high = np.ceil(np.clip(points_px.max(0) + margin, 0, size)).astype(int)
    if (high <= low).any():
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _shade(
    layer: Layer, raster: Raster, points_px: np.ndarray, style: PaintStyle
) -> UInt8[np.ndarray, "height width 4"]:
    """Colour, already multiplied by opacity, and opacity of every sample."""
    depth = layer.vertices_cam_m[:, 2]
    light = interpolate(raster, points_px, depth, layer.faces, _vertex_light(layer))
    level = np.clip(light * 255, 0, 255).astype(np.uint16)
    ramps = np.concatenate([_ramp(color) for color in layer.colors])
    opaque = np.full((len(ramps), 1), 255.0)
    # one 32-bit value per colour: a fifth of the time of copying channels
    packed = (np.hstack([ramps, opaque]) * style.opacity).astype(np.uint8).view(np.uint32).ravel()
    row_of_face = layer.person_of_face if layer.color_of_face is None else layer.color_of_face
    row = row_of_face[raster.face.ravel()[raster.pixels]]
    samples = np.zeros(raster.face.shape, np.uint32)
    samples.ravel()[raster.pixels] = packed[row * 256 + level]
    return samples.view(np.uint8).reshape(*raster.face.shape, 4)


def _vertex_light(layer: Layer) -> np.ndarray:
    """Brightness in [0, 1] at the vertices: soft key light, and a darker rim that shows form."""
    view = -layer.vertices_cam_m / np.linalg.norm(layer.vertices_cam_m, axis=-1, keepdims=True)
    facing = np.clip((layer.normals_cam * view).sum(-1), 0, 1)
    key = (layer.normals_cam @ _LIGHT * 0.5 + 0.5) ** 1.5
    return 0.08 + 0.72 * key + 0.2 * facing


def _ramp(color: np.ndarray) -> np.ndarray:
    """256 colours from deep shade over `color` (at two thirds) to highlight."""
    base = color.astype(np.float32)
    stops = np.stack([base * 0.18, base * 0.55, base, base + (255 - base) * 0.6])
    position = np.linspace(0, 1, 256)
    return np.stack([np.interp(position, [0, 0.38, 0.74, 1], stops[:, c]) for c in range(3)], -1)


def _draw_outline(samples: np.ndarray, layer: Layer, raster: Raster, width: float) -> None:
    """Draw a light line around each person, in place, which also separates overlapping people.

    It lies outside the person, so that people of a few pixels keep their colour.
    """
    person = np.zeros(raster.face.shape, np.uint16)
    person.ravel()[raster.pixels] = layer.person_of_face[raster.face.ravel()[raster.pixels]] + 1
    size = 2 * max(1, round(width)) + 1
    grown = cv2.dilate(person, cv2.getStructuringElement(cv2.MORPH_RECT, (size, size)))
    samples.view(np.uint32).ravel()[np.flatnonzero(grown > person)] = _OUTLINE
