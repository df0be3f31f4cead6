"""Whether the camera of a clip moves: how the background shifts between frames.

Corners off people are followed from a reference frame (Lucas–Kanade) and a homography is fitted to
them (RANSAC), which is what a camera that turns or zooms does to a picture. How far it takes the
picture's corners says how far the camera turned, moved or zoomed since. As long as it hardly does,
the reference stays, so that slow drifts add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from kinflow.checks import share, whole
from kinflow.files.snapshots import Resumable

_SIDE_PX = 320
_CORNERS, _QUALITY, _APART_PX = 200, 0.01, 6
_LEAST_POINTS = 12
_RANSAC_PX = 1.5


@dataclass(frozen=True)
class CameraMotionConfig:
    """What counts as a camera that moves."""

    moved: float = 0.02
    """Shift of the picture, as a share of its longer side."""
    frames: int = 3
    """So many frames have to say so: people may fill a picture, and light may change."""
    agreeing: float = 0.4
    """Least share of the corners that move as one; waves and crowds do not."""

    def __post_init__(self) -> None:
        share(self, "moved", "agreeing")
        whole(self, "frames", at_least=1, at_most=10_000)


class CameraWatch(Resumable):
    """Looks at the frames of one shot, one after the other.

    Args:
        config: what counts as a camera that moves.
    """

    changing = ("_before", "_points", "_from", "_said")

    def __init__(self, config: CameraMotionConfig = CameraMotionConfig()) -> None:
        self._config = config
        self._before: np.ndarray | None = None
        self._points = np.zeros((0, 2), np.float32)
        self._from = np.zeros((0, 2), np.float32)
        self._said = 0

    @property
    def moves(self) -> bool:
        """Whether it moved in the frames so far."""
        return self._said >= self._config.frames

    def look(
        self,
        image_rgb: UInt8[np.ndarray, "height width 3"],
        boxes_px: Sequence[Float[np.ndarray, " 4"]],
    ) -> None:
        """The next frame.

        Args:
            image_rgb: the picture.
            boxes_px: of people (x0, y0, x1, y1), whose pixels do not count.
        """
        if self.moves:
            return
        scale = min(1.0, _SIDE_PX / max(image_rgb.shape[:2]))
        grey = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY)
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        if self._before is not None and len(self._points) >= _LEAST_POINTS:
            self._follow(grey)
        if len(self._points) < _LEAST_POINTS:
            self._start(grey, boxes_px, scale)
        self._before = grey

    def _start(self, grey: np.ndarray, boxes_px: Sequence[np.ndarray], scale: float) -> None:
        """Take this frame for the reference."""
        mask = np.full(grey.shape, 255, np.uint8)
        for x0, y0, x1, y1 in (np.asarray(box) * scale for box in boxes_px):
            room = 0.1 * max(x1 - x0, y1 - y0)
            rows = slice(max(0, int(y0 - room)), max(0, int(y1 + room)))
            mask[rows, max(0, int(x0 - room)) : max(0, int(x1 + room))] = 0
        found = cv2.goodFeaturesToTrack(grey, _CORNERS, _QUALITY, _APART_PX, mask=mask)
        self._points = np.zeros((0, 2), np.float32) if found is None else found.reshape(-1, 2)
        self._from = self._points.copy()

    def _follow(self, grey: np.ndarray) -> None:
        """Where the reference's corners are now, and what that says of the camera."""
        assert self._before is not None
        moved, status, _ = cv2.calcOpticalFlowPyrLK(
            self._before, grey, self._points[:, None], np.empty(0, np.float32)
        )
        kept = status.ravel() == 1
        self._points, self._from = moved.reshape(-1, 2)[kept], self._from[kept]
        if len(self._points) < _LEAST_POINTS:
            return
        cv2.setRNGSeed(0)  # its RANSAC has a generator of its own
        fitted, inliers = cv2.findHomography(
            self._from, self._points, method=cv2.RANSAC, ransacReprojThreshold=_RANSAC_PX
        )
        if fitted is None or inliers.mean() < self._config.agreeing:
            return
        height, width = grey.shape
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
        now = cv2.perspectiveTransform(corners[:, None], fitted)[:, 0]
        shift = np.linalg.norm(now - corners, axis=1)
        self._said += bool(shift.mean() > self._config.moved * max(height, width))
