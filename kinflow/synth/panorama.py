"""What is around a camera that turns at its place: painted once, looked at from every frame.

The backdrop is painted by the directions of its pixels, azimuth by elevation, so that it is the
same wherever the camera points, and each frame takes its pixels along its own rays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32
from torch import Tensor

from kinflow.geometry.pinhole import Camera
from kinflow.synth.world_picture import surroundings_along

_ROOM_RAD = 0.02
_STEEPEST_RAD = math.radians(85.0)
_FINENESS = 1.0
"""Pixels of the panorama for one in the middle of a frame."""


@dataclass(frozen=True)
class Panorama:
    """A backdrop by azimuth and elevation in the world (y up)."""

    pixels: Float32[np.ndarray, "height width 3"]
    west_rad: float
    """Azimuth of its left edge, to the right of -z."""
    top_rad: float
    """Elevation of its upper edge."""
    pixels_per_rad: float

    @staticmethod
    def around(
        camera: Camera,
        R_cam_world: Float[Tensor, "frames 3 3"],
        position_m: Float[np.ndarray, " 3"],
        places_m: Float[np.ndarray, "places 3"],
        rng: np.random.Generator,
    ) -> Panorama:
        """All that a camera sees of its surroundings while it turns.

        Args:
            camera: its lens.
            R_cam_world: from the world to the camera in each frame.
            position_m: of the camera, in the world.
            places_m: where people are; walls are behind them all.
            rng: source of randomness.
        """
        edge = _rays(camera)[:: camera.image_size[1] - 1].reshape(-1, 3)
        side = _rays(camera)[:, :: camera.image_size[0] - 1].reshape(-1, 3)
        seen = np.concatenate([edge, side, [[0.0, 0.0, 1.0]]]) @ R_cam_world.double().numpy()
        middle = seen[:, -1].mean(0)
        heading = math.atan2(middle[0], -middle[2])
        azimuth = _wrapped(np.arctan2(seen[..., 0], -seen[..., 2]) - heading)
        elevation = np.arctan2(seen[..., 1], np.hypot(seen[..., 0], seen[..., 2]))
        low, high = elevation.min() - _ROOM_RAD, elevation.max() + _ROOM_RAD
        low, high = max(low, -_STEEPEST_RAD), min(high, _STEEPEST_RAD)
        left, right = azimuth.min() - _ROOM_RAD, azimuth.max() + _ROOM_RAD
        fine = _FINENESS * camera.focal_px
        a = heading + left + (np.arange(math.ceil((right - left) * fine)) + 0.5) / fine
        e = high - (np.arange(math.ceil((high - low) * fine))[:, None] + 0.5) / fine
        level = np.cos(e)
        rays = [level * np.sin(a), np.sin(e) + 0 * a, -level * np.cos(a)]
        painted = surroundings_along(np.stack(rays, -1), position_m, places_m, rng)
        return Panorama(painted, heading + left, high, fine)

    def seen_by(
        self, camera: Camera, R_cam_world: Float[Tensor, "3 3"]
    ) -> Float32[np.ndarray, "height width 3"]:
        """What a camera at this place sees of it."""
        rays = _rays(camera) @ R_cam_world.double().numpy()
        half = 0.5 * self.pixels.shape[1] / self.pixels_per_rad
        azimuth = _wrapped(np.arctan2(rays[..., 0], -rays[..., 2]) - self.west_rad - half) + half
        elevation = np.arctan2(rays[..., 1], np.hypot(rays[..., 0], rays[..., 2]))
        x = azimuth * self.pixels_per_rad - 0.5
        y = (self.top_rad - elevation) * self.pixels_per_rad - 0.5
        return cv2.remap(
            self.pixels,
            x.astype(np.float32),
            y.astype(np.float32),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )


def _rays(camera: Camera) -> Float[np.ndarray, "height width 3"]:
    """Of all pixels, in the camera's frame."""
    width, height = camera.image_size
    (cx, cy), focal = camera.principal_px, camera.focal_px
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([(x - cx) / focal, (y - cy) / focal, np.ones_like(x)], -1)


def _wrapped(angle: np.ndarray) -> np.ndarray:
    """The same angle, from -pi to pi."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
