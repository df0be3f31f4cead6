"""`overlay.png`: the bodies drawn over the photo they were found in."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8

from kinflow.body.parts import PART_COLORS
from kinflow.export.bodies import Bodies
from kinflow.export.colors import person_color
from kinflow.export.painter import Layer, PaintStyle, paint
from kinflow.results import Reconstruction

MAX_SIDE_PX = 1920
"""Larger photos are drawn at this size, which bounds time and memory."""


def draw_overlay(
    image_rgb: UInt8[np.ndarray, "height width 3"],
    reconstruction: Reconstruction,
    bodies: Bodies | None = None,
    max_side_px: int = MAX_SIDE_PX,
    by_part: bool = False,
) -> UInt8[np.ndarray, "out_height out_width 3"]:
    """The photo with every person's shaded body over it.

    Args:
        image_rgb: the photo that was reconstructed, as upright as the reconstruction saw it.
        reconstruction: people of this one frame.
        bodies: their meshes, where they are known already.
        max_side_px: the result is the photo reduced to at most this long a side.
        by_part: colour the bodies by part instead of by person.

    Raises:
        ValueError: the photo is not of the reconstruction's size, or that is of several frames.
    """
    camera = reconstruction.only_frame.camera
    height, width = image_rgb.shape[:2]
    if (width, height) != camera.image_size:
        expected = "x".join(map(str, camera.image_size))
        raise ValueError(f"the image is {width}x{height} but the reconstruction is of {expected}")
    image_rgb, scale = reduced(image_rgb, max_side_px)
    if not reconstruction.people:
        return image_rgb.copy()
    layer = bodies_layer(bodies or Bodies.of(reconstruction.people), by_part)
    return paint(image_rgb, layer, camera.scaled(scale), PaintStyle())


def reduced(
    image_rgb: UInt8[np.ndarray, "height width 3"], max_side_px: int = MAX_SIDE_PX
) -> tuple[UInt8[np.ndarray, "out_height out_width 3"], float]:
    """The picture with at most this long a side, and the factor to that from its own size."""
    height, width = image_rgb.shape[:2]
    scale = min(1.0, max_side_px / max(width, height))
    if scale == 1:
        return image_rgb, scale
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA), scale


def bodies_layer(bodies: Bodies, by_part: bool = False) -> Layer:
    """All people seen from the camera, in their colours or in those of their parts."""
    people = len(bodies.people)
    colors = PART_COLORS if by_part else [person_color(p.person) for p in bodies.people]
    return Layer(
        vertices_cam_m=bodies.vertices_cam_m.reshape(-1, 3),
        normals_cam=bodies.normals_cam.reshape(-1, 3),
        faces=bodies.stacked_faces(),
        person_of_face=np.repeat(np.arange(people, dtype=np.int32), len(bodies.faces)),
        colors=np.array(colors, np.uint8),
        color_of_face=np.tile(bodies.face_parts, people) if by_part else None,
    )
