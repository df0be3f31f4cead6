# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: 2026 the kinflow authors
"""A pinhole camera in pixels, and the same as Blender's lens, sensor and shift.

In pixels a point (x, y, z) of the camera frame (x right, y down, z forward) shows at
`focal_px * x / z + principal_px[0]`, `focal_px * y / z + principal_px[1]`, (0, 0) being the top
left corner of the picture. Blender's camera looks along -z with y up. Its sensor is as wide as the
picture here whatever the picture's shape (`sensor_fit` HORIZONTAL), so lens and sensor are in one
ratio as focal length and width are in pixels, and shifts are in widths of the picture, right and
up.
"""

import math
from dataclasses import dataclass

SENSOR_MM = 36.0
"""Any width will do; this one makes the lens that of a full frame camera."""


@dataclass(frozen=True)
class Lens:
    """`principal_px` is (cx, cy), `image_size` is (width, height)."""

    focal_px: float
    principal_px: tuple
    image_size: tuple

    @staticmethod
    def of(focal_px, principal_px, image_size):
        """A lens of numbers as files have them.

        Raises:
            ValueError: they cannot be a camera's.
        """
        cx, cy = (float(value) for value in principal_px)
        width, height = (int(value) for value in image_size)
        lens = Lens(float(focal_px), (cx, cy), (width, height))
        known = all(math.isfinite(value) for value in (lens.focal_px, cx, cy))
        if not known or lens.focal_px <= 0 or min(width, height) < 1:
            raise ValueError("a camera without focal length or picture")
        return lens

    @property
    def lens_mm(self):
        """Focal length with a sensor of `SENSOR_MM`."""
        return self.focal_px * SENSOR_MM / self.image_size[0]

    @property
    def shift(self):
        """(shift_x, shift_y). A shift moves the view, so what is seen moves the other way."""
        (cx, cy), (width, height) = self.principal_px, self.image_size
        return (width / 2 - cx) / width, (cy - height / 2) / width
