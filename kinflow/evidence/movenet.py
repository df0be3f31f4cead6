"""MoveNet MultiPose: boxes and 17 COCO keypoints of every person in an image.

The network is CenterNet-like: one heatmap of person centres, and per cell a box, a rough position
of each keypoint, keypoint heatmaps shared by all people and sub-cell offsets. It is decoded here as
its authors' graph does, but for any number of people instead of six. It finds people of about 45
pixels and more; `pyramid` looks for smaller ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from kinflow.evidence.weights import Network, RuntimeConfig

STRIDE = 4  # image pixels per cell of the network's output
SIZE_MULTIPLE = 32
KEYPOINTS = 17
# From the published graph: a keypoint's heat counts less the further it lies from the regressed
# position, by exp(-d^2 / (0.3 * cells on the short side)), and the score averages keypoints above
# 0.127. The published sizes are 256 px, hence the constant.
KEYPOINT_SPREAD_CELLS = 0.3 * 64
SEEN_KEYPOINT = 0.127
MIN_CENTER = 0.08
KEPT_PX = 640 * 640
"""Of larger inputs, those of large photos, memory is not kept: it would be the most ever taken."""


@dataclass(frozen=True)
class Detection:
    """One person as MoveNet sees it, in image pixels."""

    keypoints_px: Float[np.ndarray, "17 3"]
    """(x, y, score) in COCO order."""
    box_px: Float[np.ndarray, " 4"]
    """(x0, y0, x1, y1)."""
    score: float

    def moved(self, corner: tuple[int, int], scale: float) -> Detection:
        """From a tile with its top-left at `corner` of an image scaled by `scale`, to the image."""
        keypoints = self.keypoints_px.copy()
        keypoints[:, :2] = (keypoints[:, :2] + corner) / scale
        return Detection(keypoints, (self.box_px + (*corner, *corner)) / scale, self.score)


@dataclass(frozen=True)
class Look:
    """What the network says about one image."""

    people: list[Detection]
    center_heat: Float[np.ndarray, "rows columns"]
    """How much each cell of `STRIDE` pixels looks like the middle of a person, in [0, 1]."""
    center_side_px: Float[np.ndarray, "rows columns"]
    """Longer side of the box of that person."""


class MoveNet:
    """The network and its decoder."""

    def __init__(self, runtime: RuntimeConfig) -> None:
        self._network = Network("movenet_multipose.onnx", runtime, KEPT_PX)

    def look(self, image_rgb: UInt8[np.ndarray, "height width 3"], min_score: float) -> Look:
        """People in an image at the network's own scale."""
        height, width = image_rgb.shape[:2]
        padded = cv2.copyMakeBorder(
            image_rgb,
            0,
            -height % SIZE_MULTIPLE,
            0,
            -width % SIZE_MULTIPLE,
            cv2.BORDER_CONSTANT,
        )
        heads = self._network.run(padded[None])
        center = heads["center"][0]
        people = [_decode_person(heads, row, column) for row, column in _centers(center)]
        rows, columns = -(-height // STRIDE), -(-width // STRIDE)
        return Look(
            people=[person for person in people if person.score >= min_score],
            center_heat=center[:rows, :columns],
            center_side_px=STRIDE * heads["box_size"].max(axis=0)[:rows, :columns],
        )


def _centers(center: np.ndarray) -> list[tuple[int, int]]:
    """Cells (row, column) that are maxima of their 5 x 5 neighbourhood."""
    peaks = (center >= cv2.dilate(center, np.ones((5, 5), np.uint8))) & (center > MIN_CENTER)
    return [(int(row), int(column)) for row, column in np.argwhere(peaks)]


def _decode_person(heads: dict[str, np.ndarray], row: int, column: int) -> Detection:
    """Box, keypoints and score of the person centred at a cell, in network pixels."""
    _, rows, columns = heads["center"].shape
    cell = np.array((row, column), np.float32)
    middle = cell + heads["box_offset"][:, row, column]
    half_size = np.maximum(heads["box_size"][:, row, column], 0) / 2
    low = np.clip(middle - half_size, 0, (rows, columns))
    high = np.clip(middle + half_size, 0, (rows, columns))
    expected = cell + heads["keypoint_regression"][:, row, column].reshape(KEYPOINTS, 2)
    positions, scores = _refine_keypoints(heads, expected, low, high)
    seen = scores > SEEN_KEYPOINT
    score = float(heads["center"][0, row, column]) * (scores[seen].mean() if seen.any() else 0.0)
    return Detection(
        keypoints_px=np.column_stack((positions[:, ::-1] * STRIDE, scores)).astype(np.float32),
        box_px=(np.concatenate((low[::-1], high[::-1])) * STRIDE).astype(np.float32),
        score=float(score),
    )


def _refine_keypoints(
    heads: dict[str, np.ndarray], expected: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Peaks (17, row and column in cells) of the keypoint heatmaps inside a box, and their heat.

    The heat is weighted by the distance to the `expected` (17, 2) cells.
    """
    top, left = np.ceil(low).astype(int)
    bottom, right = np.maximum(np.ceil(high).astype(int), (top + 1, left + 1))
    heat = heads["keypoint_heatmap"][:, top:bottom, left:right]
    if heat.size == 0:
        return expected, np.zeros(KEYPOINTS, np.float32)
    distance_y = np.arange(top, top + heat.shape[1]) - expected[:, :1]
    distance_x = np.arange(left, left + heat.shape[2]) - expected[:, 1:]
    squared = distance_y[:, :, None] ** 2 + distance_x[:, None, :] ** 2
    weighted = (heat * np.exp(-squared / KEYPOINT_SPREAD_CELLS)).reshape(KEYPOINTS, -1)
    peak = weighted.argmax(axis=1)
    rows, columns = top + peak // heat.shape[2], left + peak % heat.shape[2]
    offsets = heads["keypoint_offset"].reshape(KEYPOINTS, 2, *heads["center"].shape[1:])
    keypoints = np.arange(KEYPOINTS)
    positions = np.column_stack((rows, columns)) + offsets[keypoints, :, rows, columns]
    return positions, weighted[keypoints, peak]
