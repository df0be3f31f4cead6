"""Things in a picture that tell who sits: seats, tables, what people ride, where they stand; and
people.

NanoDet-g, a detector of the 80 classes of COCO (FCOS with distributions of distances, Li et al.,
"Generalized Focal Loss", 2020). Of every cell that is sure enough of anything that matters here the
box is kept, and how likely it is of each kind; neighbouring cells say the same again, which does no
harm where the surest counts. Of people, each is kept once.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from kinflow.evidence.people import box_overlap
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

PERSON = 0
"""The class of people."""
LEAST_PERSON, MOST_ELSE = 0.35, 0.2
"""Probability of a person at least, and of anything else there at most: horses and dogs from in
front are both."""
SAME_BOX = 0.6
"""Overlap beyond which two boxes are of the same person."""

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
    people_px: Float[np.ndarray, "people 4"]
    """Boxes of people, inside the picture, surest first."""


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
        levels = [(maps[f"stride{stride}"], stride) for stride in STRIDES]
        box_px, probability = _joined([_things(*level) for level in levels])
        people_px, sureness = _joined([_people(*level) for level in levels])
        corner = np.tile(size, 2)
        people_px = _each_once(people_px.clip(0, corner), sureness)
        return Objects(box_px / scale, probability, people_px / scale)


def _joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    boxes, probabilities = zip(*parts, strict=True)
    return np.concatenate(boxes), np.concatenate(probabilities)


def _things(
    values: Float[np.ndarray, "channels rows columns"], stride: int
) -> tuple[Float[np.ndarray, "boxes 4"], Float[np.ndarray, "boxes 4"]]:
    """Boxes, in pixels of the network's picture, of the cells that are sure enough of any kind."""
    logits = np.stack([values[list(kind)].max(0) for kind in KINDS.values()], -1)
    rows, columns = np.nonzero(logits.max(-1) > _logit(LEAST))
    return _boxes(values, stride, rows, columns), _probability(logits[rows, columns])


def _people(
    values: Float[np.ndarray, "channels rows columns"], stride: int
) -> tuple[Float[np.ndarray, "boxes 4"], Float[np.ndarray, " boxes"]]:
    """The same of the cells that are sure enough of a person and nothing else."""
    person = values[PERSON]
    rows, columns = np.nonzero(person > _logit(LEAST_PERSON))
    others = np.delete(values[:CLASSES, rows, columns], PERSON, 0).max(0)
    rows, columns = (cells[others < _logit(MOST_ELSE)] for cells in (rows, columns))
    return _boxes(values, stride, rows, columns), _probability(person[rows, columns])


def _boxes(
    values: Float[np.ndarray, "channels rows columns"],
    stride: int,
    rows: Int[np.ndarray, " boxes"],
    columns: Int[np.ndarray, " boxes"],
) -> Float[np.ndarray, "boxes 4"]:
    """Boxes of cells."""
    bins = values[CLASSES:, rows, columns].reshape(4, BINS, -1)
    weights = np.exp(bins - bins.max(1, keepdims=True))
    left, above, right, below = (weights * np.arange(BINS)[:, None]).sum(1) / weights.sum(1)
    x, y = columns + 0.5, rows + 0.5
    return stride * np.stack([x - left, y - above, x + right, y + below], -1)


def _each_once(
    box_px: Float[np.ndarray, "boxes 4"], probability: Float[np.ndarray, " boxes"]
) -> Float[np.ndarray, "people 4"]:
    """The surest of boxes that are alike, surest first."""
    kept: list[np.ndarray] = []
    for box in box_px[np.argsort(-probability, kind="stable")]:
        if all(box_overlap(box, other) <= SAME_BOX for other in kept):
            kept.append(box)
    return np.array(kept).reshape(-1, 4)


def _logit(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def _probability(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))
