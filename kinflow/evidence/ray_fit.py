"""A rotation by rays and where they are seen: what a camera that turns at its place did."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float64

from kinflow.geometry.pinhole import Camera

_HYPOTHESES = 96
_STEPS = 8
_WIDENING = 1.5
_NEAR = 0.1
"""Rays that are less ahead than this are not seen."""


class RayFit:
    """Fits rotations to corners of a picture.

    Args:
        camera: of the picture.
        agreeing_px: corners whose error is smaller agree with a rotation.
        spread_px: of the corners' errors, for robust weights.
    """

    def __init__(self, camera: Camera, agreeing_px: float, spread_px: float) -> None:
        self.focal_px = camera.focal_px
        # pixels of OpenCV have their centres at whole numbers
        self.centre_px = np.array(camera.principal_px) - 0.5
        self._agreeing_px, self._spread_px = agreeing_px, spread_px

    @property
    def K(self) -> Float64[np.ndarray, "3 3"]:
        """From rays to pixels."""
        K = np.diag([self.focal_px, self.focal_px, 1.0])
        K[:2, 2] = self.centre_px
        return K

    def rays(self, points_px: Float64[np.ndarray, "n 2"]) -> Float64[np.ndarray, "n 3"]:
        """Unit vectors, in the camera's frame."""
        rays = np.pad((points_px - self.centre_px) / self.focal_px, ((0, 0), (0, 1)))
        rays[:, 2] = 1
        return rays / np.linalg.norm(rays, axis=1, keepdims=True)

    def projected(self, points: Float64[np.ndarray, "*n 3"]) -> Float64[np.ndarray, "*n 2"]:
        """Pixels of points in the camera's frame."""
        return self.focal_px * points[..., :2] / points[..., 2:].clip(_NEAR) + self.centre_px

    def agree(
        self, rays: np.ndarray, there_px: np.ndarray, R_cam_first: np.ndarray
    ) -> Bool[np.ndarray, " n"]:
        """Which corners a rotation explains."""
        error = np.linalg.norm(self.projected(rays @ R_cam_first.T) - there_px, axis=-1)
        return error < self._agreeing_px

    def by_pairs(
        self, rays: Float64[np.ndarray, "n 3"], there_px: Float[np.ndarray, "n 2"]
    ) -> Float64[np.ndarray, "3 3"]:
        """The rotation by two corners that most others agree with."""
        rng = np.random.default_rng(0)
        first, second = rng.integers(len(rays), size=(2, _HYPOTHESES))
        seen = self.rays(there_px.astype(np.float64))
        R = _axes(seen[first], seen[second]) @ np.swapaxes(_axes(rays[first], rays[second]), 1, 2)
        points = rays @ np.swapaxes(R, 1, 2)
        error = np.linalg.norm(self.projected(points) - there_px, axis=-1)
        error = np.where(points[..., 2] > _NEAR, error, np.inf)
        # a sum of what each corner adds, and not their number, or ties were settled by chance
        cost = np.minimum(error / (2 * self._agreeing_px), 1.0).sum(1)
        return self.refined(rays, there_px, R[int(np.argmin(cost))])

    def refined(
        self, rays: Float64[np.ndarray, "n 3"], there_px: np.ndarray, R_cam_first: np.ndarray
    ) -> Float64[np.ndarray, "3 3"]:
        """The rotation with the least robust error (Geman–McClure)."""
        R = R_cam_first
        for _ in range(_STEPS):
            points = rays @ R.T
            ahead = points[:, 2] > _NEAR
            if not ahead.any():
                break
            x, y, z = points[ahead].T
            gap = self.projected(points[ahead]) - there_px[ahead]
            # as wide as half of the corners need: of a background that does more than turn, no
            # part goes before the others
            error = np.linalg.norm(gap, axis=1)
            spread = max(self._spread_px, _WIDENING * float(np.median(error)))
            weight = (1 / (1 + (error / spread) ** 2) ** 2)[:, None, None]
            J = np.stack(
                [np.stack([-x * y / z, z + x * x / z, -y], -1),
                 np.stack([-z - y * y / z, x * y / z, x], -1)], 1,
            ) * (self.focal_px / z)[:, None, None]  # fmt: skip
            H = (np.swapaxes(J, 1, 2) * weight) @ J
            g = (np.swapaxes(J, 1, 2) * weight) @ gap[..., None]
            turn = -np.linalg.solve(H.sum(0) + 1e-6 * np.eye(3), g.sum(0)[:, 0])
            R = cv2.Rodrigues(turn)[0] @ R
        return R


def _axes(
    first: Float64[np.ndarray, "n 3"], second: Float64[np.ndarray, "n 3"]
) -> Float64[np.ndarray, "n 3 3"]:
    """Right-handed axes that two directions span; NaN where these are the same."""
    across = np.cross(first, second)
    with np.errstate(divide="ignore", invalid="ignore"):
        across = across / np.linalg.norm(across, axis=1, keepdims=True)
    return np.stack([first, np.cross(across, first), across], -1)
