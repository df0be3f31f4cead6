"""`viewer.html`: one self-contained page that turns the bodies and shows the photo behind them.

The page holds the photo (JPEG), the vertices of every person as 16-bit steps of their bounding box
(finer than 0.1 mm), the triangles once, and a small WebGL renderer; it needs no network. The page
of a clip is made by `kinflow.export.viewer_clip`.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from kinflow.assets import asset_path
from kinflow.export.bodies import Bodies
from kinflow.export.colors import person_color
from kinflow.files.names import printable
from kinflow.geometry.pinhole import Camera
from kinflow.results import RESULT_SENTENCES, Frame, Reconstruction

PHOTO_SIDE_PX = 1280
"""The photo inside the page is reduced to at most this long a side."""
_JPEG_QUALITY = 85
_STEPS = 65535
_LEVEL_UP = (0.0, -1.0, 0.0)
"""What is up for a level camera, which others are taken for where nothing is known of gravity."""


def viewer_html(
    image_rgb: UInt8[np.ndarray, "height width 3"],
    reconstruction: Reconstruction,
    bodies: Bodies | None = None,
) -> bytes:
    """Content of `viewer.html` for the people of one frame.

    Args:
        image_rgb: the photo that was reconstructed.
        reconstruction: people, camera and gravity.
        bodies: their meshes, where they are known already.

    Raises:
        InputError: the reconstruction is of several frames.
    """
    frame = reconstruction.only_frame
    if bodies is None and reconstruction.people:
        bodies = Bodies.of(reconstruction.people)
    scene = {
        "camera": camera_of(frame.camera),
        "up": up_of(frame),
        "floor": -frame.floor.height_m if frame.floor else None,
        "photo": photo_url(image_rgb),
        "faces": base64_of(bodies.faces.astype("<u2")) if bodies else "",
        "people": _people(bodies) if bodies else [],
    }
    return page(scene, reconstruction.source)


def page(scene: Mapping[str, Any], source: str) -> bytes:
    """The page that shows a scene; `source` names it."""
    photo = PurePath(printable(source)).name
    title = f"kinflow – {photo}" if photo else "kinflow"
    parts = {
        "title": html.escape(title),
        "style": _asset("viewer.css"),
        # no sequence of the data may end the script element
        "scene": json.dumps(scene, allow_nan=False).replace("<", "\\u003c"),
        "motion": _asset("motion.js"),
        "script": _asset("viewer.js"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset("viewer.html")).encode()


def camera_of(camera: Camera) -> dict[str, Any]:
    """A camera as the page reads it."""
    return {
        "focal_px": camera.focal_px,
        "principal_px": camera.principal_px,
        "image_size": camera.image_size,
    }


def up_of(frame: Frame) -> tuple[float, float, float]:
    """What is up in a frame's camera, as far as that is known."""
    return frame.gravity.up_cam if frame.gravity else _LEVEL_UP


def quantised(
    points_m: Float32[np.ndarray, "points 3"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points as 16-bit steps: origin (3,), step (3,) and steps (points, 3)."""
    origin = points_m.min(0).astype(np.float64)
    step = np.maximum(points_m.max(0) - origin, 1e-6) / _STEPS
    return origin, step, np.rint((points_m - origin) / step).astype("<u2")


def _people(bodies: Bodies) -> list[dict[str, Any]]:
    people = []
    for person, vertices_m in zip(bodies.people, bodies.vertices_cam_m, strict=True):
        origin, step, steps = quantised(vertices_m)
        people.append(
            {
                "name": f"Person {person.person}",
                "note": f"{RESULT_SENTENCES[person.code]} Detection score {person.score:.2f}.",
                "color": person_color(person.person),
                "origin": origin.tolist(),
                "step": step.tolist(),
                "positions": base64_of(steps),
            }
        )
    return people


def photo_url(
    image_rgb: UInt8[np.ndarray, "height width 3"], max_side_px: int = PHOTO_SIDE_PX
) -> str:
    """A picture, reduced to at most this long a side, as text that a page can hold."""
    height, width = image_rgb.shape[:2]
    scale = min(1.0, max_side_px / max(width, height))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image_rgb = cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA)
    image_bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def base64_of(array: np.ndarray) -> str:
    """The bytes of an array as text."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _asset(name: str) -> str:
    return asset_path(f"viewer/{name}").read_text(encoding="utf8")
