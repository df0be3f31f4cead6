"""The same people seen from their side: the view turned by 90 degrees about the vertical.

Vertical is what gravity says, or the photo's y axis where nothing is known of it. The viewer stands
to the right of the photo's camera and looks across its line of sight, so that what is farther away
in the photo is farther to the right, and slightly from above, so that the ground grid shows where
people stand. What a photo hides, wrong depths above all, shows here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import UInt8

from kinflow.export.painter import Layer, PaintStyle, paint, project
from kinflow.export.upright import R_level_cam
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rasterizer import rasterize
from kinflow.results import Floor, Gravity

_PITCH = math.radians(10)
_FOV_DEG = 28.0
_FILL = 0.86
"""Part of the panel that the people fill."""
_ASPECT_RANGE = (0.6, 1.5)
_MAX_EXTENT = 3.5
"""Size of the framed scene in sizes of the first person."""
_SKY, _FLOOR = np.array([250, 251, 252], np.float32), np.array([222, 226, 231], np.float32)
_LINE = np.array([176, 183, 192], np.float32)
_SUBPIXEL_BITS = 4


def draw_side_view(
    layer: Layer,
    people: int,
    height_px: int,
    gravity: Gravity | None = None,
    floor: Floor | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """A panel of the given height with the layer's bodies seen from their side.

    Args:
        layer: bodies in the frame of the photo's camera.
        people: how many bodies of one size the layer holds, end to end, the most important first.
        height_px: height of the panel; its width follows from the people's extent in depth.
        gravity: what is up in the photo; None takes its camera for a level one.
        floor: where the grid is; None puts it below the lowest of the people.
    """
    layer = _turned(layer, R_level_cam(gravity))
    R_side_cam = _side_rotation()
    side = _turned(layer, R_side_cam)
    framed = _framed(side.vertices_cam_m.reshape(people, -1, 3))
    centre_m = (framed.min(0) + framed.max(0)) / 2
    extent_m = np.ptp(framed, axis=0)
    width_px = round(height_px * float(np.clip(extent_m[0] / extent_m[1], *_ASPECT_RANGE)))
    camera = Camera.from_fov((width_px, height_px), _FOV_DEG)
    t_side_cam = -centre_m
    t_side_cam[2] += _distance(framed - centre_m, camera)

    def seen(points_cam_m: np.ndarray) -> np.ndarray:
        return (points_cam_m @ R_side_cam.T + t_side_cam).astype(np.float32)

    panel = _backdrop(width_px, height_px)
    floor_m = float(layer.vertices_cam_m[:, 1].max()) if floor is None else -floor.height_m
    middle_m = R_side_cam.T @ centre_m
    middle_m[1] = floor_m
    _draw_grid(panel, camera, seen, middle_m, max(2.0, 0.9 * float(extent_m.max())))
    on_floor = layer.vertices_cam_m.copy()
    on_floor[:, 1] = floor_m
    _draw_shadow(panel, seen(on_floor), layer.faces, camera)
    side = replace(side, vertices_cam_m=side.vertices_cam_m + t_side_cam)
    return paint(panel, side, camera, PaintStyle(opacity=1.0))


def _turned(layer: Layer, R: np.ndarray) -> Layer:
    """The same bodies in another frame."""
    return replace(
        layer,
        vertices_cam_m=(layer.vertices_cam_m @ R.T).astype(np.float32),
        normals_cam=(layer.normals_cam @ R.T).astype(np.float32),
    )


def beside(left: np.ndarray, right: np.ndarray) -> UInt8[np.ndarray, "height width 3"]:
    """Two pictures of one height next to each other, with a thin white line between them."""
    gap = np.full((len(left), max(2, len(left) // 200), 3), 255, np.uint8)
    return np.hstack([left, gap, right])


def _side_rotation() -> np.ndarray:
    """From the camera frame: a turn that puts z to the right, then a look from above."""
    turn = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    cos, sin = math.cos(_PITCH), math.sin(_PITCH)
    return np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]]) @ turn


def _framed(turned_m: np.ndarray) -> np.ndarray:
    """Points (n, 3) of the people that the picture has to hold: the first, and as many others as
    leave the first legible. Someone far behind is not worth a picture full of specks."""
    chosen = turned_m[0]
    limit_m = _MAX_EXTENT * np.ptp(chosen, axis=0).max()
    for person in turned_m[1:]:
        together = np.concatenate([chosen, person])
        extent_m = np.ptp(together, axis=0)
        if max(extent_m[0] / _ASPECT_RANGE[1], extent_m[1], extent_m[2] / 2) <= limit_m:
            chosen = together
    return chosen


def _distance(points_m: np.ndarray, camera: Camera) -> float:
    """How far to stand back so that all points fill at most `_FILL` of the picture."""
    half = np.array(camera.image_size) / 2 * _FILL
    needed = camera.focal_px * np.abs(points_m[:, :2]) / half - points_m[:, 2:]
    return float(needed.max())


def _backdrop(width: int, height: int) -> UInt8[np.ndarray, "height width 3"]:
    blend = np.linspace(0, 1, height, dtype=np.float32)[:, None] ** 1.5
    column = _SKY + (_FLOOR - _SKY) * blend
    return np.ascontiguousarray(np.repeat(np.rint(column).astype(np.uint8)[:, None], width, 1))


def _draw_grid(
    panel: np.ndarray,
    camera: Camera,
    seen: Callable[[np.ndarray], np.ndarray],
    middle_cam_m: np.ndarray,
    reach_m: float,
) -> None:
    """Grid lines on the floor that fade outwards, in place; half a metre, one or five apart."""
    spacing = 0.5 if reach_m < 4 else 1.0 if reach_m < 15 else 5.0
    ticks = np.arange(-math.ceil(reach_m / spacing), math.ceil(reach_m / spacing) + 1) * spacing
    a, b = (axis.ravel() for axis in np.meshgrid(ticks, ticks[:-1], indexing="ij"))
    nothing = np.zeros_like(a)
    along = np.stack([a, nothing, b], -1), np.stack([a, nothing, b + spacing], -1)
    across = np.stack([b, nothing, a], -1), np.stack([b + spacing, nothing, a], -1)
    starts, ends = (np.concatenate(pair) for pair in zip(along, across, strict=True))
    strength = 1 - np.linalg.norm((starts + ends) / 2, axis=-1) / reach_m
    from_m, to_m = (seen(points + middle_cam_m) for points in (starts, ends))
    shown = (strength > 0) & (from_m[:, 2] > 0.2) & (to_m[:, 2] > 0.2)
    from_px, to_px = (
        np.rint((project(points[shown], camera) - 0.5) * 2**_SUBPIXEL_BITS).astype(int)
        for points in (from_m, to_m)
    )
    for p, q, s in zip(from_px.tolist(), to_px.tolist(), strength[shown], strict=True):
        color = tuple(float(v) for v in _FLOOR + (_LINE - _FLOOR) * min(1.0, 1.6 * s))
        cv2.line(panel, p, q, color, 1, cv2.LINE_AA, _SUBPIXEL_BITS)


def _draw_shadow(panel: np.ndarray, flat_m: np.ndarray, faces: np.ndarray, camera: Camera) -> None:
    """A soft shadow of the bodies, straight below them, in place."""
    half = camera.scaled(0.5)
    covered = rasterize(project(flat_m, half), flat_m[:, 2], faces, half.image_size).covered
    soft = cv2.GaussianBlur(covered.astype(np.float32), (0, 0), half.image_size[1] / 160)
    soft = cv2.resize(soft, (panel.shape[1], panel.shape[0]))[..., None]
    panel[:] = np.rint(panel * (1 - 0.35 * soft)).astype(np.uint8)
