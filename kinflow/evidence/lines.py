"""Straight edges of a photo: of walls, doors and poles, which stand upright more often than not."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

SIDE_PX = 640
"""Long side of the picture that is searched."""
MIN_LENGTH = 0.04
"""Of a line, as a share of the photo's long side."""
MAX_LINES = 80
"""The longest are kept."""
MAX_FROM_UPRIGHT_DEG = 50.0
"""Lines that lean further in the image are seldom upright ones; a steep camera makes some lean."""


def upright_lines(
    image_rgb: UInt8[np.ndarray, "height width 3"],
    boxes_px: Sequence[Float[np.ndarray, " 4"]] = (),
) -> Float[np.ndarray, "lines 4"]:
    """Segments (x0, y0, x1, y1) in pixels of the photo that may be upright, the longest first.

    Args:
        image_rgb: the photo.
        boxes_px: (x0, y0, x1, y1) of people, whose own edges say nothing of walls.
    """
    height, width = image_rgb.shape[:2]
    long_side = max(height, width)
    scale = min(1.0, SIDE_PX / long_side)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    grey = cv2.cvtColor(
        cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
    )
    found = cv2.createLineSegmentDetector().detect(grey)[0]
    if found is None:
        return np.zeros((0, 4))
    lines = found.reshape(-1, 4).astype(np.float64) / scale
    step = lines[:, 2:] - lines[:, :2]
    length = np.linalg.norm(step, axis=1)
    leans = np.degrees(np.arctan2(np.abs(step[:, 0]), np.abs(step[:, 1])))
    kept = (length >= MIN_LENGTH * long_side) & (leans <= MAX_FROM_UPRIGHT_DEG)
    middle = (lines[:, :2] + lines[:, 2:]) / 2
    for box in boxes_px:
        kept &= ~((middle >= box[:2]) & (middle <= box[2:])).all(1)
    order = np.argsort(-length[kept], kind="stable")[:MAX_LINES]
    return lines[kept][order]
