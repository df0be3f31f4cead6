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

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float64, UInt8

from kinflow.checks import positive, share, whole
from kinflow.geometry.pinhole import Camera

_LEAST_POINTS, _SURE_POINTS = 10, 30
"""So many corners tell a rotation, and so many that there is more to it."""
_QUALITY, _APART_PX = 0.003, 10
_BLOCK_PX = 7
_ABOVE_NOISE, _NOISE_PERCENT = 4.0, 20.0
"""How much sharper corners are than the dullest fifth of the picture."""
_MORE, _CELL_PX = 4, 64
_BLUR_PX = 1.0
"""The noise of single pixels has corners as well."""
_BACK_PX = 0.5
"""Corners that are followed there and back have to come back as near as this."""
_WINDOW_PX, _LEVELS = (15, 15), 4
_FINE_WINDOW_PX, _FINE_LEVELS = (21, 21), 1
_HYPOTHESES = 96
_STEPS = 8
_SLOWS = 0.9
"""What is left of the speed of turning from a frame to the next where nothing tells it."""
_WIDENING = 1.5
_EDGE_PX = 8
_ROOM = 0.1
"""Room for limbs and shadows around people, as a share of their longer side."""


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
class _Keyframe:
    grey: UInt8[np.ndarray, "height width"]
    corners_px: Float[np.ndarray, "corners 2"]
    rays: Float64[np.ndarray, "corners 3"]
    """Directions of the corners, in the first frame's camera."""
    R_first_cam: Float64[np.ndarray, "3 3"]


class CameraTurns:
    """Looks at the frames of one shot, one after the other.

    Args:
        camera: of all frames.
        config: how the background is followed.
    """

    def __init__(self, camera: Camera, config: CameraTurnConfig = CameraTurnConfig()) -> None:
        self._config = config
        self._scale = min(1.0, config.side_px / max(camera.image_size))
        view = camera.scaled(self._scale)
        self._focal_px = view.focal_px
        # pixels of OpenCV have their centres at whole numbers
        self._centre_px = np.array(view.principal_px) - 0.5
        self._K = np.diag([view.focal_px, view.focal_px, 1.0])
        self._K[:2, 2] = self._centre_px
        self._keyframes: list[_Keyframe] = []
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
        grey = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY)
        grey = cv2.resize(grey, None, fx=self._scale, fy=self._scale, interpolation=cv2.INTER_AREA)
        grey = cv2.GaussianBlur(grey, (0, 0), _BLUR_PX)
        off = _off_people(grey.shape, [np.asarray(box) * self._scale for box in boxes_px])
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
            fitted, corners = (None, 0) if rough is None else self._measured(grey, off, rough)
            if fitted is not None:
                self._step = cv2.Rodrigues(fitted @ self._R_cam_first.T)[0]
                self._R_cam_first = fitted
                return
            # nothing agrees with the keyframes: begin anew with the frame before
            self._add_keyframe(before, self._off_before)
            if rough is not None:
                self.broken += corners >= _SURE_POINTS
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
        start = self._projected(rays @ self._R_cam_first.T).astype(np.float32)
        found, there = _flow(before, grey, start, _WINDOW_PX, _LEVELS)
        good = found & _inside(there, off)
        if good.sum() < _LEAST_POINTS:
            return None
        return self._by_pairs(rays[good], there[good])

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
        fitted = self._refined(np.concatenate(rays), np.concatenate(there), rough)
        agreeing = [self._agree(r, t, fitted) for r, t in zip(rays, there, strict=True)]
        good = [share.mean() >= self._config.agreeing for share in agreeing]
        if not any(good):
            return None, count
        if all(good):
            return fitted, count
        kept = [i for i, one in enumerate(good) if one]
        rays, there = [rays[i] for i in kept], [there[i] for i in kept]
        return self._refined(np.concatenate(rays), np.concatenate(there), fitted), count

    def _in_view_of(
        self, key: _Keyframe, grey: np.ndarray, R_cam_first: np.ndarray, shown: np.ndarray
    ) -> tuple[Bool[np.ndarray, " shown"], Float64[np.ndarray, "found 2"]]:
        """Which of the corners shown are found in a frame, and where."""
        H = self._K @ R_cam_first @ key.R_first_cam @ np.linalg.inv(self._K)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpPerspective(grey, H, grey.shape[::-1], flags=flags)
        start = key.corners_px[shown].astype(np.float32)
        found, moved = _flow(key.grey, warped, start, _FINE_WINDOW_PX, _FINE_LEVELS)
        there = np.pad(moved[found], ((0, 0), (0, 1)), constant_values=1.0) @ H.T
        return found, there[:, :2] / there[:, 2:]

    def _add_keyframe(self, grey: np.ndarray, off: np.ndarray) -> None:
        """Take a frame that is turned as the last one was for a keyframe, if it shows corners."""
        found = _corners(grey, off, _MORE * self._config.corners)
        if found is None or len(found) < _LEAST_POINTS:
            return
        corners = _spread(found.reshape(-1, 2).astype(np.float64), self._config.corners)
        rays = self._rays(corners) @ self._R_cam_first
        self._keyframes.append(_Keyframe(grey, corners, rays, self._R_cam_first.T.copy()))
        del self._keyframes[: -self._config.most_keyframes]

    def _overlap(self, off: np.ndarray) -> float:
        """Share of the corners of some keyframe that is in view."""
        return max(float(self._shown(key, off).mean()) for key in self._keyframes)

    def _shown(
        self, key: _Keyframe, off: np.ndarray, R_cam_first: np.ndarray | None = None
    ) -> Bool[np.ndarray, " corners"]:
        """Which corners of a keyframe are in a frame and not behind people there."""
        points = key.rays @ (self._R_cam_first if R_cam_first is None else R_cam_first).T
        return (points[:, 2] > 0.1) & _inside(self._projected(points), off)

    def _by_pairs(
        self, rays: Float64[np.ndarray, "n 3"], there_px: Float[np.ndarray, "n 2"]
    ) -> Float64[np.ndarray, "3 3"]:
        """The rotation by two corners that most others agree with."""
        rng = np.random.default_rng(0)
        first, second = rng.integers(len(rays), size=(2, _HYPOTHESES))
        seen = self._rays(there_px.astype(np.float64))
        R = _axes(seen[first], seen[second]) @ np.swapaxes(_axes(rays[first], rays[second]), 1, 2)
        points = rays @ np.swapaxes(R, 1, 2)
        error = np.linalg.norm(self._projected(points) - there_px, axis=-1)
        error = np.where(points[..., 2] > 0.1, error, np.inf)
        # a sum of what each corner adds, and not their number, or ties were settled by chance
        cost = np.minimum(error / (2 * self._config.agreeing_px), 1.0).sum(1)
        return self._refined(rays, there_px, R[int(np.nanargmin(cost))])

    def _refined(
        self, rays: Float64[np.ndarray, "n 3"], there_px: np.ndarray, R_cam_first: np.ndarray
    ) -> Float64[np.ndarray, "3 3"]:
        """The rotation with the least robust error (Geman–McClure)."""
        R = R_cam_first
        for _ in range(_STEPS):
            points = rays @ R.T
            ahead = points[:, 2] > 0.1
            x, y, z = points[ahead].T
            gap = self._projected(points[ahead]) - there_px[ahead]
            # as wide as half of the corners need: of a background that does more than turn, no
            # part goes before the others
            error = np.linalg.norm(gap, axis=1)
            spread = max(self._config.spread_px, _WIDENING * float(np.median(error)))
            weight = (1 / (1 + (error / spread) ** 2) ** 2)[:, None, None]
            J = np.stack(
                [np.stack([-x * y / z, z + x * x / z, -y], -1),
                 np.stack([-z - y * y / z, x * y / z, x], -1)], 1,
            ) * (self._focal_px / z)[:, None, None]  # fmt: skip
            H = (np.swapaxes(J, 1, 2) * weight) @ J
            g = (np.swapaxes(J, 1, 2) * weight) @ gap[..., None]
            turn = -np.linalg.solve(H.sum(0) + 1e-6 * np.eye(3), g.sum(0)[:, 0])
            R = cv2.Rodrigues(turn)[0] @ R
        return R

    def _agree(
        self, rays: np.ndarray, there_px: np.ndarray, R_cam_first: np.ndarray
    ) -> Bool[np.ndarray, " n"]:
        error = np.linalg.norm(self._projected(rays @ R_cam_first.T) - there_px, axis=-1)
        return error < self._config.agreeing_px

    def _rays(self, points_px: Float64[np.ndarray, "n 2"]) -> Float64[np.ndarray, "n 3"]:
        """Unit vectors, in the camera's frame."""
        rays = np.pad((points_px - self._centre_px) / self._focal_px, ((0, 0), (0, 1)))
        rays[:, 2] = 1
        return rays / np.linalg.norm(rays, axis=1, keepdims=True)

    def _projected(self, points: Float64[np.ndarray, "*n 3"]) -> Float64[np.ndarray, "*n 2"]:
        return self._focal_px * points[..., :2] / points[..., 2:].clip(0.1) + self._centre_px


def _flow(
    before: np.ndarray,
    after: np.ndarray,
    start_px: np.ndarray,
    window: tuple[int, int],
    levels: int,
) -> tuple[Bool[np.ndarray, " n"], Float[np.ndarray, "n 2"]]:
    """Which corners are found in another picture, there and back, and where."""
    how = {"winSize": window, "maxLevel": levels, "flags": cv2.OPTFLOW_USE_INITIAL_FLOW}
    start = start_px[:, None]
    there, ahead, _ = cv2.calcOpticalFlowPyrLK(before, after, start, start.copy(), **how)
    back, behind, _ = cv2.calcOpticalFlowPyrLK(after, before, there, start.copy(), **how)
    near = np.linalg.norm(back - start, axis=-1).ravel() < _BACK_PX
    return (ahead.ravel() == 1) & (behind.ravel() == 1) & near, there.reshape(-1, 2)


def _off_people(
    shape: tuple[int, ...], boxes_px: Sequence[np.ndarray]
) -> Bool[np.ndarray, "height width"]:
    off = np.ones(shape, bool)
    for x0, y0, x1, y1 in boxes_px:
        room = _ROOM * max(x1 - x0, y1 - y0)
        rows = slice(max(0, int(y0 - room)), max(0, int(y1 + room)))
        off[rows, max(0, int(x0 - room)) : max(0, int(x1 + room))] = False
    return off


def _inside(points_px: np.ndarray, off: np.ndarray) -> np.ndarray:
    """Which points are in the picture, not at its very edge, and off people."""
    height, width = off.shape
    x, y = np.rint(points_px.clip(-1e6, 1e6)).astype(int).T
    inside = (x >= _EDGE_PX) & (x < width - _EDGE_PX) & (y >= _EDGE_PX) & (y < height - _EDGE_PX)
    return inside & off[y.clip(0, height - 1), x.clip(0, width - 1)]


def _corners(grey: np.ndarray, off: np.ndarray, count: int) -> np.ndarray | None:
    """The best corners off people that stand out from the noise of the picture, best first."""
    sharp = cv2.cornerMinEigenVal(grey, _BLOCK_PX)[off]
    if not len(sharp):
        return None
    noise = _ABOVE_NOISE * float(np.percentile(sharp, _NOISE_PERCENT))
    quality = max(_QUALITY, noise / max(float(sharp.max()), 1e-12))
    if quality >= 1:
        return None
    return cv2.goodFeaturesToTrack(
        grey, count, quality, _APART_PX, mask=off.astype(np.uint8), blockSize=_BLOCK_PX
    )


def _spread(corners_px: Float64[np.ndarray, "n 2"], count: int) -> Float64[np.ndarray, "m 2"]:
    """So many of the corners, the best of each part of the picture before others.

    Some sharp thing would have most of them otherwise, and its motion pass for the background's.
    """
    cell = (corners_px // _CELL_PX).astype(int) @ (1, 10_000)
    before: Counter[int] = Counter()
    rank = np.zeros(len(cell), int)
    for i, one in enumerate(cell.tolist()):
        rank[i] = before[one]
        before[one] += 1
    return corners_px[np.sort(np.argsort(rank, kind="stable")[:count])]


def _axes(
    first: Float64[np.ndarray, "n 3"], second: Float64[np.ndarray, "n 3"]
) -> Float64[np.ndarray, "n 3 3"]:
    """Right-handed axes that two directions span; NaN where these are the same."""
    across = np.cross(first, second)
    with np.errstate(divide="ignore", invalid="ignore"):
        across = across / np.linalg.norm(across, axis=1, keepdims=True)
    return np.stack([first, np.cross(across, first), across], -1)
