"""The page that `viewer.html` is: a scene as text, and the scripts that show it, in one file.

The scripts are kinflow's own, modules of at most a few hundred lines that are put one after another
into one script, so that the page needs no network and no build step. three.js would do a part of
what `view.js`, `shaders.js`, `shapes.js` and `painter.js` do, and weigh many times what all of them
do, in every result (docs/export.md has the numbers).
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from kinflow.assets import asset_path
from kinflow.body.skeleton import NUM_JOINTS, PARENTS
from kinflow.files.names import printable
from kinflow.geometry.pinhole import Camera
from kinflow.results import Frame
from kinflow.results.regions import radius_m

SCRIPTS = (
    *("maths.js", "motion.js", "stage.js", "view.js", "shaders.js", "shapes.js", "painter.js"),
    *("player.js", "panel.js", "hands.js", "main.js"),
)
"""Modules of the page's script, each of which names only those before it (and, once all are there,
`main.js` begins)."""
PHOTO_SIDE_PX = 1280
"""The photo inside the page is reduced to at most this long a side."""
DOUBT_STEP_M = 0.002
"""Standard deviations of joints are sent as bytes of this step, up to half a metre."""
REGION_SHARE = 0.5
"""Probability with which a joint is in the ball that is shown about it."""
_FILES: Mapping[str, str] = {
    ".glb": "scene, for Blender and other 3D programs",
    ".bvh": "motion, for animation programs",
    ".npz": "all numbers, for Python",
    ".json": "all numbers, as text",
    ".png": "bodies over the photo",
    ".webm": "bodies over the clip",
    ".mp4": "bodies over the clip",
}
_JPEG_QUALITY = 85
_STEPS = 65535
_LEVEL_UP = (0.0, -1.0, 0.0)
"""What is up for a level camera, which others are taken for where nothing is known of gravity."""


def page(scene: Mapping[str, Any], source: str, files: Sequence[str] = ()) -> bytes:
    """The page that shows a scene.

    Args:
        scene: what is shown.
        source: names it.
        files: names of what lies beside the page.
    """
    photo = PurePath(printable(source)).name
    title = f"kinflow – {photo}" if photo else "kinflow"
    unit = torch.ones(NUM_JOINTS)
    whole = {
        **scene,
        "parents": PARENTS,
        "doubt_step": DOUBT_STEP_M,
        "region": [round(float(r), 4) for r in radius_m(unit, REGION_SHARE)],
        "files": [(name, _FILES[suffix]) for name in files if (suffix := _suffix(name)) in _FILES],
    }
    script = "\n".join(_asset(name) for name in SCRIPTS)
    parts = {
        "title": html.escape(title),
        "style": _asset("viewer.css"),
        # no sequence of the data may end the script element
        "scene": json.dumps(whole, allow_nan=False).replace("<", "\\u003c"),
        "script": f'"use strict";\n{{\n{script}}}\n',
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


def quantised(points_m: Float32[np.ndarray, "points 3"], name: str) -> dict[str, Any]:
    """Points as 16-bit steps of their bounding box: `origin` and `step`, and `name`, their text."""
    origin = points_m.min(0).astype(np.float64)
    step = np.maximum(points_m.max(0) - origin, 1e-6) / _STEPS
    steps = np.rint((points_m - origin) / step).astype("<u2")
    return {"origin": origin.tolist(), "step": step.tolist(), name: base64_of(steps)}


def doubt_bytes(std_m: Float[Tensor, "*batch points"]) -> UInt8[np.ndarray, "*batch points"]:
    """Standard deviations as bytes."""
    steps = torch.nan_to_num(std_m / DOUBT_STEP_M, nan=255.0).round().clamp(0, 255)
    return steps.numpy().astype(np.uint8)


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


def _suffix(name: str) -> str:
    return PurePath(name).suffix


def _asset(name: str) -> str:
    return asset_path(f"viewer/{name}").read_text(encoding="utf8")
