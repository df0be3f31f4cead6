"""Corners of what is behind people, and where they are in the next picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float64, UInt8

_QUALITY, _APART_PX = 0.003, 10
_BLOCK_PX = 7
_ABOVE_NOISE, _NOISE_PERCENT = 4.0, 20.0
"""How much sharper corners are than the dullest fifth of the picture."""
_MORE, _CELL_PX = 4, 64
_BLUR_PX = 1.0
"""The noise of single pixels has corners as well."""
_BACK_PX = 0.5
"""Corners that are followed there and back have to come back as near as this."""
_EDGE_PX = 8
_ROOM = 0.1
"""Room for limbs and shadows around people, as a share of their longer side."""


def grey_of(
    image_rgb: UInt8[np.ndarray, "height width 3"], scale: float
) -> UInt8[np.ndarray, "h w"]:
    """A picture as corners are looked for in it."""
    grey = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(grey, (0, 0), _BLUR_PX)


def corners(
    grey: UInt8[np.ndarray, "h w"], off: Bool[np.ndarray, "h w"], count: int
) -> Float64[np.ndarray, "n 2"]:
    """At most so many corners off people that stand out from the noise of the picture.

    The best of each part of the picture come before others: some sharp thing would have most of
    them otherwise, and its motion pass for the background's.
    """
    sharp = cv2.cornerMinEigenVal(grey, _BLOCK_PX)[off]
    nothing = np.zeros((0, 2))
    if not len(sharp):
        return nothing
    noise = _ABOVE_NOISE * float(np.percentile(sharp, _NOISE_PERCENT))
    quality = max(_QUALITY, noise / max(float(sharp.max()), 1e-12))
    if quality >= 1:
        return nothing
    found = cv2.goodFeaturesToTrack(
        grey, _MORE * count, quality, _APART_PX, mask=off.astype(np.uint8), blockSize=_BLOCK_PX
    )
    if found is None:
        return nothing
    return _spread(found.reshape(-1, 2).astype(np.float64), count)


def _spread(corners_px: Float64[np.ndarray, "n 2"], count: int) -> Float64[np.ndarray, "m 2"]:
    """So many of the corners, which come best first, the best of each cell first."""
    cell = (corners_px // _CELL_PX).astype(int) @ (1, 10_000)
    before: Counter[int] = Counter()
    rank = np.zeros(len(cell), int)
    for i, one in enumerate(cell.tolist()):
        rank[i] = before[one]
        before[one] += 1
    return corners_px[np.sort(np.argsort(rank, kind="stable")[:count])]


def flow(
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


def off_people(
    shape: tuple[int, ...], boxes_px: Sequence[np.ndarray]
) -> Bool[np.ndarray, "height width"]:
    off = np.ones(shape, bool)
    for x0, y0, x1, y1 in boxes_px:
        room = _ROOM * max(x1 - x0, y1 - y0)
        rows = slice(max(0, int(y0 - room)), max(0, int(y1 + room)))
        off[rows, max(0, int(x0 - room)) : max(0, int(x1 + room))] = False
    return off


def inside(points_px: np.ndarray, off: np.ndarray) -> np.ndarray:
    """Which points are in the picture, not at its very edge, and off people."""
    height, width = off.shape
    x, y = np.rint(points_px.clip(-1e6, 1e6)).astype(int).T
    inside = (x >= _EDGE_PX) & (x < width - _EDGE_PX) & (y >= _EDGE_PX) & (y < height - _EDGE_PX)
    return inside & off[y.clip(0, height - 1), x.clip(0, width - 1)]
