"""Square, rotated regions of interest and their crops."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

# Differences (of the side, in radians, of the side) that do not change what is seen.
SAME_SHIFT, SAME_TURN, SAME_RATIO = 0.02, 0.05, 0.04


@dataclass(frozen=True)
class Region:
    """A square of the image that is turned so that a body stands upright in it."""

    center_px: tuple[float, float]
    size_px: float
    """Length of a side."""
    roll: float = 0.0
    """Clockwise angle in the image, in radians, from straight up to the body's up direction."""

    def resembles(self, other: Region) -> bool:
        """Whether a second look at `other` would show the same thing."""
        shift = math.dist(self.center_px, other.center_px) / self.size_px
        turn = math.remainder(self.roll - other.roll, 2 * math.pi)
        ratio = other.size_px / self.size_px
        return shift < SAME_SHIFT and abs(turn) < SAME_TURN and abs(ratio - 1) < SAME_RATIO

    def to_crop(self, crop_px: int) -> Float[np.ndarray, "2 3"]:
        """Affine map from image points to points of a crop with `crop_px` pixels a side."""
        cosine, sine = math.cos(self.roll), math.sin(self.roll)
        linear = np.array([[cosine, sine], [-sine, cosine]]) * (crop_px / self.size_px)
        shift = np.full(2, crop_px / 2) - linear @ np.array(self.center_px)
        return np.column_stack((linear, shift))

    def to_image(self, crop_px: int) -> Float[np.ndarray, "2 3"]:
        """Affine map from points of the crop to image points, the inverse of `to_crop`."""
        return cv2.invertAffineTransform(self.to_crop(crop_px))

    def crop(
        self, image_rgb: UInt8[np.ndarray, "height width 3"], crop_px: int
    ) -> UInt8[np.ndarray, "crop crop 3"]:
        """The pixels of the region, black outside the image.

        Regions much larger than the crop are averaged down first: bilinear sampling alone would
        skip pixels.
        """
        factor = self.size_px / crop_px
        to_crop = self.to_crop(crop_px)
        if factor >= 2:
            reach = self.size_px / math.sqrt(2) + 1
            x0, y0 = (max(0, int(c - reach)) for c in self.center_px)
            x1, y1 = (int(c + reach) + 1 for c in self.center_px)
            part = image_rgb[y0:y1, x0:x1]
            if part.size == 0:
                return np.zeros((crop_px, crop_px, 3), np.uint8)
            shrink = 1 / int(factor)
            height, width = (max(1, round(side * shrink)) for side in part.shape[:2])
            image_rgb = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
            to_part = np.array(
                [[width / part.shape[1], 0, 0], [0, height / part.shape[0], 0], [0, 0, 1]]
            )
            to_part = to_part @ np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1.0]])
            to_crop = (_homogeneous(to_crop) @ np.linalg.inv(to_part))[:2]
        return warp(image_rgb, to_crop, (crop_px, crop_px))


def warp(image: np.ndarray, matrix: Float[np.ndarray, "2 3"], size: tuple[int, int]) -> np.ndarray:
    """Resample an image under an affine map of points (pixel centres at +0.5) to (width, height).

    OpenCV puts pixel centres at whole numbers, hence the half-pixel shifts.
    """
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    indexed = np.linalg.inv(half) @ _homogeneous(matrix) @ half
    return cv2.warpAffine(image, indexed[:2], size, flags=cv2.INTER_LINEAR)


def transform_points(
    matrix: Float[np.ndarray, "2 3"], points: Float[np.ndarray, "*n 2"]
) -> Float[np.ndarray, "*n 2"]:
    """Apply an affine map to points."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def _homogeneous(matrix: np.ndarray) -> np.ndarray:
    return np.vstack((matrix, (0.0, 0.0, 1.0)))
