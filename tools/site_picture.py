"""Rebuild the moving picture of the site's first page from the clip of `kinflow demo`.

    python tools/site_picture.py [FOLDER]

Nobody's rights are in it: the person, the room and the motion are drawn by kinflow.synth. From the
left: the clip, the bodies that were found over it, and the same bodies from their side. `walk.webp`
moves; `walk.jpg` is one frame of it, for whoever wants pictures to stand still.
"""

from __future__ import annotations

import math
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import kinflow
from kinflow.cli import main as command_line
from kinflow.cli.demo import draw_demo_clip
from kinflow.evidence.video_files import Clip
from kinflow.export.bodies import Bodies
from kinflow.export.overlay import bodies_layer, draw_overlay
from kinflow.export.painter import Layer, PaintStyle, paint, project
from kinflow.export.upright import R_level_cam
from kinflow.geometry.pinhole import Camera

FOLDER = Path(__file__).parent.parent / "docs" / "images"
PANEL_PX = (300, 400)
STILL = 20
QUALITY = 60
_MARGIN = 0.12
"""About the people of all frames, in heights of the crop."""
_TURN = math.radians(62)
_FOV_DEG = 30.0
STYLE = PaintStyle(opacity=1.0)


def panels(clip: Path, result: kinflow.Reconstruction) -> list[Image.Image]:
    """One picture a frame, its three panels side by side."""
    crop = _crop(result)
    stage = Stage([_level(result, frame.index) for frame in result.frames])
    pictures = []
    for number, frame in enumerate(Clip.open(clip).frames()):
        overlay = draw_overlay(frame.rgb, result.at(frame.index))
        row = [_small(frame.rgb[crop]), _small(overlay[crop]), stage.picture(number)]
        pictures.append(Image.fromarray(cv2.hconcat(row)))
    return pictures


def _crop(result: kinflow.Reconstruction) -> tuple[slice, slice]:
    """Rows and columns that hold the people of all frames, of a panel's proportions."""
    points_px = np.concatenate([person.joints_px.numpy() for person in result.people])
    low, high = points_px.min(0), points_px.max(0)
    height = (high[1] - low[1]) * (1 + 2 * _MARGIN)
    height = max(height, (high[0] - low[0]) * (1 + _MARGIN) * PANEL_PX[1] / PANEL_PX[0])
    size = np.array([height * PANEL_PX[0] / PANEL_PX[1], height])
    image = np.array(result.camera.image_size)
    corner = np.clip((low + high - size) / 2, 0, np.maximum(image - size, 0)).round().astype(int)
    end = np.minimum(corner + size.round().astype(int), image)
    return slice(corner[1], end[1]), slice(corner[0], end[0])


def _small(rgb: np.ndarray) -> np.ndarray:
    return cv2.resize(rgb, PANEL_PX, interpolation=cv2.INTER_AREA)


def _level(result: kinflow.Reconstruction, index: int) -> Layer:
    """The bodies of a frame in axes of which y is straight down."""
    layer = bodies_layer(Bodies.of(result.people_of(index)))
    R = R_level_cam(result.frame(index).gravity).astype(np.float32)
    return replace(layer, vertices_cam_m=layer.vertices_cam_m @ R.T)


class Stage:
    """The bodies of all frames before one camera to their side, over a grid of half metres."""

    def __init__(self, layers: list[Layer]) -> None:
        cos, sin = math.cos(_TURN), math.sin(_TURN)
        tilt_cos, tilt_sin = math.cos(0.14), math.sin(0.14)
        turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        tilt = np.array([[1, 0, 0], [0, tilt_cos, -tilt_sin], [0, tilt_sin, tilt_cos]])
        self.layers, self.R = layers, tilt @ turn
        points_m = np.concatenate([layer.vertices_cam_m for layer in layers])
        self.floor_m = float(np.percentile([x.vertices_cam_m[:, 1].max() for x in layers], 75))
        self.middle_m = (points_m.min(0) + points_m.max(0)) / 2
        self.camera = Camera.from_fov(PANEL_PX, _FOV_DEG)
        extent_m = np.ptp((points_m - self.middle_m) @ self.R.T, axis=0)
        fill = np.array(PANEL_PX) * 0.86 / extent_m[:2]
        self.distance_m = float(self.camera.focal_px / fill.min() + extent_m[2] / 2)

    def picture(self, number: int) -> np.ndarray:
        """A panel with the bodies of one frame."""
        panel = np.full((PANEL_PX[1], PANEL_PX[0], 3), (238, 240, 243), np.uint8)
        self._draw_grid(panel)
        layer = self.layers[number]
        seen_m = self._seen(layer.vertices_cam_m)
        return paint(panel, replace(layer, vertices_cam_m=seen_m), self.camera, STYLE)

    def _seen(self, points_m: np.ndarray) -> np.ndarray:
        turned = (points_m - self.middle_m) @ self.R.T + [0, 0, self.distance_m]
        return turned.astype(np.float32)

    def _draw_grid(self, panel: np.ndarray) -> None:
        x, _, z = np.round(self.middle_m * 2) / 2
        for step in np.arange(-3.0, 3.5, 0.5):
            self._draw_line(panel, (x + step, z - 3), (x + step, z + 3))
            self._draw_line(panel, (x - 3, z + step), (x + 3, z + step))

    def _draw_line(self, panel: np.ndarray, *ends: tuple[float, float]) -> None:
        points_m = np.array([[x, self.floor_m, z] for x, z in ends])
        (u0, v0), (u1, v1) = project(self._seen(points_m), self.camera).round().astype(int).tolist()
        cv2.line(panel, (u0, v0), (u1, v1), (205, 210, 217), 1, cv2.LINE_AA)


def main(folder: Path) -> None:
    """Write both pictures."""
    with tempfile.TemporaryDirectory() as work:
        clip = Path(work) / "walk.webm"
        draw_demo_clip(clip)
        arguments = ["reconstruct", str(clip), "--out", work, "--format", "npz"]
        if command_line.main(arguments):
            raise SystemExit("the clip could not be reconstructed")
        rate_hz = Clip.open(clip).info.fps
        pictures = panels(clip, kinflow.load(Path(work) / clip.stem))
    folder.mkdir(parents=True, exist_ok=True)
    pictures[STILL].save(folder / "walk.jpg", quality=80)
    pictures[0].save(
        folder / "walk.webp",
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 / rate_hz),
        loop=0,
        quality=QUALITY,
        method=6,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
