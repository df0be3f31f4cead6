"""MoveNet MultiPose: boxes and 17 COCO keypoints of every person in an image.

The network is CenterNet-like: one heatmap of person centres, and per cell a box, a rough position
of each keypoint, keypoint heatmaps shared by all people and sub-cell offsets. It is decoded here as
its authors' graph does, but for any number of people instead of six. People are found over a
limited range of sizes, so the image is searched at several scales (`PyramidConfig`), the large ones
in tiles to bound the memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from kinflow.evidence.weights import RuntimeConfig, open_session

STRIDE = 4  # image pixels per cell of the network's output
SIZE_MULTIPLE = 32
KEYPOINTS = 17
# From the published graph: a keypoint's heat counts less the further it lies from the regressed
# position, by exp(-d^2 / (0.3 * cells on the short side)), and the score averages keypoints above
# 0.127. The published sizes are 256 px, hence the constant.
KEYPOINT_SPREAD_CELLS = 0.3 * 64
SEEN_KEYPOINT = 0.127
MIN_CENTER = 0.08


@dataclass(frozen=True)
class Detection:
    """One person as MoveNet sees it, in pixels of the whole image."""

    keypoints_px: Float[np.ndarray, "17 3"]
    """(x, y, score) in COCO order."""
    box_px: Float[np.ndarray, " 4"]
    """(x0, y0, x1, y1)."""
    score: float
    scale: float
    """Network pixels per image pixel of the search that found the person."""


@dataclass(frozen=True)
class PyramidConfig:
    """The scales at which an image is searched."""

    long_sides_px: tuple[int, ...] = (256, 512, 1024, 2048)
    """Long side of the image at each scale."""
    max_enlargement: float = 1.25
    """Scales from the third on are left out where they would enlarge the image by more."""
    tile_px: int = 768
    tile_overlap_px: int = 160


class MoveNet:
    """The network and its decoder."""

    def __init__(self, runtime: RuntimeConfig) -> None:
        self._session = open_session("movenet_multipose.onnx", runtime)
        self._outputs = [output.name for output in self._session.get_outputs()]

    def search(
        self,
        image_rgb: UInt8[np.ndarray, "height width 3"],
        config: PyramidConfig,
        min_score: float,
    ) -> list[Detection]:
        """All candidates at all scales; the same person usually appears more than once."""
        long_side = max(image_rgb.shape[:2])
        found: list[Detection] = []
        for level, side in enumerate(config.long_sides_px):
            scale = side / long_side
            if level >= 2 and scale > config.max_enlargement:
                break
            level_image = _resize(image_rgb, scale)
            for x, y in tile_corners(level_image.shape[1], level_image.shape[0], config):
                tile = level_image[y : y + config.tile_px, x : x + config.tile_px]
                found += [
                    _to_image(person, (x, y), scale) for person in self.detect(tile, min_score)
                ]
        return found

    def detect(
        self, image_rgb: UInt8[np.ndarray, "height width 3"], min_score: float
    ) -> list[Detection]:
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
        values = self._session.run(None, {"image": padded[None]})
        heads = {
            name: np.asarray(value)[0] for name, value in zip(self._outputs, values, strict=True)
        }
        centers = _centers(heads["center"][0])
        people = [_decode_person(heads, row, column) for row, column in centers]
        return [person for person in people if person.score >= min_score]


def tile_corners(width: int, height: int, config: PyramidConfig) -> Iterator[tuple[int, int]]:
    """Top-left corners (x, y) of evenly spread tiles that cover an image with overlap."""
    for y in _tile_starts(height, config):
        for x in _tile_starts(width, config):
            yield x, y


def _tile_starts(length: int, config: PyramidConfig) -> list[int]:
    if length <= config.tile_px:
        return [0]
    step = config.tile_px - config.tile_overlap_px
    count = -(-(length - config.tile_px) // step) + 1
    return [round(i * (length - config.tile_px) / (count - 1)) for i in range(count)]


def _resize(image_rgb: np.ndarray, scale: float) -> np.ndarray:
    height, width = (max(1, round(side * scale)) for side in image_rgb.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image_rgb, (width, height), interpolation=interpolation)


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
        scale=1.0,
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


def _to_image(person: Detection, corner: tuple[int, int], scale: float) -> Detection:
    """Move a detection from a tile of a scaled image to the whole image."""
    keypoints = person.keypoints_px.copy()
    keypoints[:, :2] = (keypoints[:, :2] + corner) / scale
    box = (person.box_px + (*corner, *corner)) / scale
    return Detection(keypoints, box, person.score, scale)
