"""The pinhole camera and its one convention.

Camera frame: x right, y down, z forward, metres. Pixels: (0, 0) is the top-left corner of the
image and pixel centres lie at +0.5. Square pixels, no skew, no lens distortion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from kinflow.checks import is_number, number, numbers_of
from kinflow.errors import InputError

NEAR_M = 0.05
"""Points nearer than this are projected as if they were at this depth."""


@dataclass(frozen=True)
class Camera:
    """A calibrated view. `principal_px` is (cx, cy), `image_size` is (width, height).

    Raises:
        InputError: the focal length is not a positive number, or the others are not numbers.
    """

    focal_px: float
    principal_px: tuple[float, float]
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        number(self, "focal_px", above=0)
        numbers_of(self, "principal_px", count=2)
        numbers_of(self, "image_size", count=2, at_least=1, kind=int)

    @staticmethod
    def from_fov(image_size: tuple[int, int], fov_deg: float) -> Camera:
        """A centred camera whose longer image side spans `fov_deg`."""
        if not (is_number(fov_deg) and 0 < fov_deg < 180):
            raise InputError(f"A field of view is between 0 and 180 degrees, not {fov_deg!r}.")
        focal_px = max(image_size) / 2 / math.tan(math.radians(fov_deg) / 2)
        return Camera.centred(image_size, focal_px)

    @staticmethod
    def centred(image_size: tuple[int, int], focal_px: float) -> Camera:
        """A camera with its principal point in the middle of the image."""
        return Camera(focal_px, (image_size[0] / 2, image_size[1] / 2), image_size)

    @property
    def fov_deg(self) -> float:
        """Field of view of the longer image side, in degrees."""
        return math.degrees(2 * math.atan(max(self.image_size) / 2 / self.focal_px))

    def project(self, points_cam_m: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 2"]:
        """Pixel positions of points in the camera frame."""
        z = points_cam_m[..., 2:].clamp_min(NEAR_M)
        return self.focal_px * points_cam_m[..., :2] / z + points_cam_m.new_tensor(
            self.principal_px
        )

    def scaled(self, factor: float) -> Camera:
        """The same view for an image resized by `factor`."""
        width, height = self.image_size
        return Camera(
            self.focal_px * factor,
            (self.principal_px[0] * factor, self.principal_px[1] * factor),
            (max(1, round(width * factor)), max(1, round(height * factor))),
        )
