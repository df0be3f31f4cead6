"""How a camera that stays at its place turns: rotations by the background, people left out.

1. Corners of keyframes are followed from the frame before to this one (Lucas–Kanade), and a
   rotation is fitted to their rays (pairs of them by RANSAC).
2. With that the frame is warped into the views of the keyframes that it overlaps most, where what
   is left of the motion is small whatever the camera did, and corners are measured against these.
3. One rotation is fitted to all of them (robust Gauss–Newton on the pixels' errors).
4. A frame that overlaps no keyframe well becomes one. Whoever pans there and back so comes back to
   keyframes of the way there, and errors add up over new views alone, not over frames.

A rotation moves all pixels by K R K^-1, near and far alike. A camera that is carried, or zooms,
moves them otherwise: then keyframes break, which is counted and said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float64, UInt8

from kinflow.checks import positive, share, whole
from kinflow.evidence.corners import corners, flow, grey_of, inside, off_people
from kinflow.evidence.ray_fit import RayFit
from kinflow.files.snapshots import Resumable
from kinflow.geometry.pinhole import Camera

_LEAST_POINTS, _SURE_POINTS = 10, 30
"""So many corners tell a rotation, and so many that there is more to it."""
_WINDOW_PX, _LEVELS = (15, 15), 4
_FINE_WINDOW_PX, _FINE_LEVELS = (21, 21), 1
_SLOWS = 0.9
"""What is left of the speed of turning from a frame to the next where nothing tells it."""


@dataclass(frozen=True)
class CameraTurnConfig:
    """How the background is followed."""

    side_px: int = 640
    """Pictures are reduced to this longer side."""
    corners: int = 200
    """Of a keyframe."""
    overlap: float = 0.6
    """Share of a keyframe's corners that has to be in view, or there is a new one."""
    keyframes: int = 3
    """So many of them tell how a frame is turned."""
    most_keyframes: int = 60
    """So many are held; the oldest is forgotten then."""
    agreeing_px: float = 1.5
    """Corners whose error is smaller agree with a rotation."""
    agreeing: float = 0.5
    """Share of the corners in view that has to agree, or the keyframe is of no use any more."""
    spread_px: float = 0.5
    """Of the corners' errors, for robust weights."""
    broken_frames: int = 90
    """Keyframes that break more often than once in so many frames tell that turning is not all."""

    def __post_init__(self) -> None:
        whole(self, "side_px", at_least=64, at_most=8192)
        whole(self, "corners", at_least=_LEAST_POINTS, at_most=10_000)
        whole(self, "keyframes", at_least=1, at_most=10)
        whole(self, "most_keyframes", at_least=1, at_most=10_000)
        share(self, "overlap", "agreeing")
        whole(self, "broken_frames", at_least=1)
        positive(self, "agreeing_px", "spread_px")


@dataclass(frozen=True)
class Keyframe:
    """A frame whose corners others are measured by."""

    grey: UInt8[np.ndarray, "height width"]
    corners_px: Float64[np.ndarray, "corners 2"]
    rays: Float64[np.ndarray, "corners 3"]
    """Directions of the corners, in the first frame's camera."""
    R_first_cam: Float64[np.ndarray, "3 3"]


@dataclass(frozen=True)
class ShotTurns:
    """How well the frames of a shot told how the camera turned."""

    frames: int
    lost: int
    """Frames of these in which nothing told it."""
    is_carried: bool
    """Whether turning does not explain how the background moved."""


class CameraTurns(Resumable):
    """Looks at the frames of one shot, one after the other.

    Args:
        camera: of all frames.
        config: how the background is followed.
    """

    changing = (
        *("_keyframes", "_before", "_off_before", "_R_cam_first", "_step"),
        *("frames", "lost", "broken"),
    )

    def __init__(self, camera: Camera, config: CameraTurnConfig = CameraTurnConfig()) -> None:
        self._config = config
        self._scale = min(1.0, config.side_px / max(camera.image_size))
        view = camera.scaled(self._scale)
        self._fit = RayFit(view, config.agreeing_px, config.spread_px)
        self._keyframes: list[Keyframe] = []
        self._before: np.ndarray | None = None
        self._off_before = np.zeros((0, 0), bool)
        self._R_cam_first = np.eye(3)
        self._step = np.zeros((3, 1))
        self.frames = 0
        """Frames so far."""
        self.lost = 0
        """Frames of these in which nothing told how it turned: it is taken to slow down."""
        self.broken = 0
        """Times at which the background moved as it does not before a camera that turns."""

    @property
    def held(self) -> int:
        """How many keyframes are held."""
        return len(self._keyframes)

    @property
    def is_carried(self) -> bool:
        """Whether turning does not explain how the background moves."""
        return self.broken > 1 and self.broken * self._config.broken_frames > self.frames

    @property
    def shot(self) -> ShotTurns:
        """How it went so far."""
        return ShotTurns(self.frames, self.lost, self.is_carried)

    def look(
        self,
        image_rgb: UInt8[np.ndarray, "height width 3"],
        boxes_px: Sequence[Float[np.ndarray, " 4"]],
    ) -> Float64[np.ndarray, "3 3"]:
        """From the camera's frame in the next frame to that in the first one.

        Args:
            image_rgb: the picture.
            boxes_px: of people (x0, y0, x1, y1), whose pixels do not count.
        """
        grey = grey_of(image_rgb, self._scale)
        off = off_people(grey.shape, [np.asarray(box) * self._scale for box in boxes_px])
        if self._before is not None:
            self._turn(self._before, grey, off)
        if not self._keyframes or self._overlap(off) < self._config.overlap:
            self._add_keyframe(grey, off)
        self._before, self._off_before = grey, off
        self.frames += 1
        return self._R_cam_first.T.copy()

    def _turn(self, before: np.ndarray, grey: np.ndarray, off: np.ndarray) -> None:
        """Find out how the camera turned since the frame before."""
        for _ in range(2):
            rough = self._followed(before, grey, off)
            fitted, count = (None, 0) if rough is None else self._measured(grey, off, rough)
            if fitted is not None:
                self._step = cv2.Rodrigues(fitted @ self._R_cam_first.T)[0]
                self._R_cam_first = fitted
                return
            # nothing agrees with the keyframes: begin anew with the frame before
            self._add_keyframe(before, self._off_before)
            if rough is not None:
                self.broken += count >= _SURE_POINTS
                del self._keyframes[:-1]
        self.lost += 1
        self._step *= _SLOWS
        self._R_cam_first = cv2.Rodrigues(self._step)[0] @ self._R_cam_first

    def _followed(
        self, before: np.ndarray, grey: np.ndarray, off: np.ndarray
    ) -> Float64[np.ndarray, "3 3"] | None:
        """A rough R_cam_first, by corners of keyframes, from the frame before to this one."""
        known = [key.rays[self._shown(key, self._off_before)] for key in self._keyframes]
        known.sort(key=len, reverse=True)
        rays = np.concatenate([np.zeros((0, 3)), *known[: self._config.keyframes]])
        rays = rays[: self._config.corners]
        if len(rays) < _LEAST_POINTS:
            return None
        start = self._fit.projected(rays @ self._R_cam_first.T).astype(np.float32)
        found, there = flow(before, grey, start, _WINDOW_PX, _LEVELS)
        good = found & inside(there, off)
        if good.sum() < _LEAST_POINTS:
            return None
        return self._fit.by_pairs(rays[good], there[good])

    def _measured(
        self, grey: np.ndarray, off: np.ndarray, rough: np.ndarray
    ) -> tuple[Float64[np.ndarray, "3 3"] | None, int]:
        """R_cam_first by the corners of the keyframes that the frame overlaps, and how many these
        are; None where they do not agree."""
        by_overlap = sorted(
            self._keyframes, key=lambda key: -int(self._shown(key, off, rough).sum())
        )
        rays, there = [], []
        for key in by_overlap[: self._config.keyframes]:
            shown = self._shown(key, off, rough)
            if shown.sum() < _LEAST_POINTS:
                break
            found, moved = self._in_view_of(key, grey, rough, shown)
            rays.append(key.rays[shown][found])
            there.append(moved)
        count = sum(map(len, rays))
        if count < _LEAST_POINTS:
            return None, count
        fitted = self._fit.refined(np.concatenate(rays), np.concatenate(there), rough)
        agreeing = [self._fit.agree(r, t, fitted) for r, t in zip(rays, there, strict=True)]
        good = [share.mean() >= self._config.agreeing for share in agreeing]
        if not any(good):
            return None, count
        if all(good):
            return fitted, count
        kept = [i for i, one in enumerate(good) if one]
        rays, there = [rays[i] for i in kept], [there[i] for i in kept]
        return self._fit.refined(np.concatenate(rays), np.concatenate(there), fitted), count

    def _in_view_of(
        self, key: Keyframe, grey: np.ndarray, R_cam_first: np.ndarray, shown: np.ndarray
    ) -> tuple[Bool[np.ndarray, " shown"], Float64[np.ndarray, "found 2"]]:
        """Which of the corners shown are found in a frame, and where."""
        H = self._fit.K @ R_cam_first @ key.R_first_cam @ np.linalg.inv(self._fit.K)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpPerspective(grey, H, grey.shape[::-1], flags=flags)
        start = key.corners_px[shown].astype(np.float32)
        found, moved = flow(key.grey, warped, start, _FINE_WINDOW_PX, _FINE_LEVELS)
        there = np.pad(moved[found], ((0, 0), (0, 1)), constant_values=1.0) @ H.T
        return found, there[:, :2] / there[:, 2:]

    def _add_keyframe(self, grey: np.ndarray, off: np.ndarray) -> None:
        """Take a frame that is turned as the last one was for a keyframe, if it shows corners."""
        found = corners(grey, off, self._config.corners)
        if len(found) < _LEAST_POINTS:
            return
        rays = self._fit.rays(found) @ self._R_cam_first
        self._keyframes.append(Keyframe(grey, found, rays, self._R_cam_first.T.copy()))
        del self._keyframes[: -self._config.most_keyframes]

    def _overlap(self, off: np.ndarray) -> float:
        """Share of the corners of some keyframe that is in view."""
        return max(float(self._shown(key, off).mean()) for key in self._keyframes)

    def _shown(
        self, key: Keyframe, off: np.ndarray, R_cam_first: np.ndarray | None = None
    ) -> Bool[np.ndarray, " corners"]:
        """Which corners of a keyframe are in a frame and not behind people there."""
        points = key.rays @ (self._R_cam_first if R_cam_first is None else R_cam_first).T
        return (points[:, 2] > 0.1) & inside(self._fit.projected(points), off)
