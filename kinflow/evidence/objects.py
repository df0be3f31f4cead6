"""Things in a picture that tell who sits: seats, tables, what people ride, and where they stand.

NanoDet-g, a detector of the 80 classes of COCO (FCOS with distributions of distances, Li et al.,
"Generalized Focal Loss", 2020). Of every cell that is sure enough of anything that matters here the
box is kept, and how likely it is of each kind; neighbouring cells say the same again, which does no
harm where the surest counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from kinflow.evidence.weights import Network, RuntimeConfig

SIDE_PX = 416
"""Longer side of the picture as the network sees it: it was trained so, and larger ones, and
smaller, told less."""
STRIDES = (8, 16, 32)
CLASSES = 80
BINS = 11
"""Of each distance from a cell to a side of its box, in strides."""
SIZE_MULTIPLE = 32
LEAST = 0.1
"""Probability below which cells say nothing."""

KINDS: dict[str, tuple[int, ...]] = {
    "seat": (13, 56, 57, 59, 60, 61),  # bench, chair, couch, bed, dining table, toilet
    "ridden": (1, 3, 17),  # bicycle, motorcycle, horse
    # frisbee, skis, snowboard, kite, skateboard, surfboard, what balls are hit and caught with
    "sport": (29, 30, 31, 33, 34, 35, 36, 37, 38),
    "kitchen": (68, 69, 71, 72),  # microwave, oven, sink, refrigerator
}
"""Classes of COCO, counted from 0, by what people do with them or beside them."""
SEAT, RIDDEN, SPORT, KITCHEN = range(4)


@dataclass(frozen=True)
class Objects:
    """Boxes of things in a picture."""

    box_px: Float[np.ndarray, "boxes 4"]
    """(x0, y0, x1, y1)."""
    probability: Float[np.ndarray, "boxes 4"]
    """That there is something of each kind of `KINDS`, in [0, 1]."""


class ObjectDetector:
    """The network and its decoder."""

    def __init__(self, runtime: RuntimeConfig) -> None:
        self._network = Network("nanodet_g.onnx", runtime)

    def look(self, image_rgb: UInt8[np.ndarray, "height width 3"]) -> Objects:
        """What is in a picture."""
        scale = SIDE_PX / max(image_rgb.shape[:2])
        size = [max(round(side * scale), 1) for side in image_rgb.shape[1::-1]]
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(image_rgb, size, interpolation=how)
        right, below = (-side % SIZE_MULTIPLE for side in size)
        padded = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_CONSTANT)
        maps = self._network.run(padded[None])
        decoded = [_decoded(maps[f"stride{stride}"], stride) for stride in STRIDES]
        box_px, probability = (np.concatenate(parts) for parts in zip(*decoded, strict=True))
        return Objects(box_px / scale, probability)


def _decoded(
    values: Float[np.ndarray, "channels rows columns"], stride: int
) -> tuple[Float[np.ndarray, "boxes 4"], Float[np.ndarray, "boxes 4"]]:
    """Boxes, in pixels of the network's picture, of the cells that are sure enough."""
    logits = np.stack([values[list(kind)].max(0) for kind in KINDS.values()], -1)
    rows, columns = np.nonzero(logits.max(-1) > np.log(LEAST / (1 - LEAST)))
    bins = values[CLASSES:, rows, columns].reshape(4, BINS, -1)
    weights = np.exp(bins - bins.max(1, keepdims=True))
    left, above, right, below = (weights * np.arange(BINS)[:, None]).sum(1) / weights.sum(1)
    x, y = columns + 0.5, rows + 0.5
    box_px = stride * np.stack([x - left, y - above, x + right, y + below], -1)
    return box_px, 1 / (1 + np.exp(-logits[rows, columns]))
