"""Searching a photo turned by quarter turns, for people who are not upright in it.

MoveNet knows people who stand, sit and lie; those upside down, and everybody in a photo that was
stored on its side, it finds half of the time. A turned copy of the photo is searched only where
something asks for it: a torso that points sideways or down, or nobody who was found for sure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from kinflow.body.keypoints import COCO17
from kinflow.checks import number, share, whole
from kinflow.evidence.movenet import Detection, MoveNet

SHOULDERS, HIPS = (
    [COCO17.index(f"{side}_{part}") for side in ("left", "right")] for part in ("shoulder", "hip")
)
SEEN_TORSO = 0.2


@dataclass(frozen=True)
class TurnsConfig:
    """When to search a turned photo."""

    below_score: float = 0.3
    """All three turns are searched where nobody scores as much as this."""
    beyond_degrees: float = 60.0
    """A torso that leans more than this asks for the turn that sets it upright."""
    min_best: float = 0.42
    """Nobody in a turned copy counts unless somebody in it scores more than this, and more than
    everybody in the photo as it is: dogs upside down score 0.4."""
    side_px: int = 256
    """Long side of the turned photo."""
    fine_side_px: int = 512
    """Long side of one more search of a turned copy that shows people better than the photo."""

    def __post_init__(self) -> None:
        share(self, "below_score", "min_best")
        number(self, "beyond_degrees", at_least=0, at_most=180)
        whole(self, "side_px", "fine_side_px", at_least=32, at_most=4096)


def search_turned(
    image_rgb: UInt8[np.ndarray, "height width 3"],
    movenet: MoveNet,
    found: list[Detection],
    config: TurnsConfig,
    min_score: float,
) -> list[Detection]:
    """Candidates in turned copies of a photo, in the photo's own pixels.

    Args:
        image_rgb: the photo.
        movenet: the network.
        found: candidates in the photo as it is.
        config: what asks for a turned copy.
        min_score: least score of a candidate.
    """
    best = _best(found)
    people: list[Detection] = []
    for turns in wanted_turns(found, config):
        seen = _look(image_rgb, movenet, turns, config.side_px, min_score)
        if _best(seen) > best:
            seen += _look(image_rgb, movenet, turns, config.fine_side_px, min_score)
            people += seen if _best(seen) > config.min_best else []
    return people


def wanted_turns(found: list[Detection], config: TurnsConfig) -> list[int]:
    """Quarter turns against the clock, of 1 to 3, that may set somebody upright."""
    if _best(found) < config.below_score:
        return [1, 2, 3]
    rolls = [torso_roll(person) for person in found]
    least = math.radians(config.beyond_degrees)
    turns = {round(roll / (math.pi / 2)) % 4 for roll in rolls if abs(roll) > least}
    return sorted(turns - {0})


def torso_roll(person: Detection) -> float:
    """Clockwise angle from straight up to the torso's up direction, in radians in [-pi, pi].

    0 where the torso was not seen.
    """
    torso = person.keypoints_px[[*SHOULDERS, *HIPS]]
    if torso[:, 2].mean() < SEEN_TORSO:
        return 0.0
    x, y = torso[:2, :2].mean(axis=0) - torso[2:, :2].mean(axis=0)
    return math.atan2(float(x), -float(y))


def turned_back(person: Detection, turns: int, size: tuple[int, int]) -> Detection:
    """A detection in a photo of `size` (width, height) from that in its turned copy.

    The copy is `np.rot90(photo, turns)`.
    """
    box = person.box_px.reshape(2, 2)
    keypoints = person.keypoints_px.copy()
    keypoints[:, :2] = _points_back(keypoints[:, :2], turns, size)
    corners = _points_back(box, turns, size)
    box_px = np.concatenate((corners.min(axis=0), corners.max(axis=0)))
    return Detection(keypoints, box_px, person.score)


def _points_back(points: np.ndarray, turns: int, size: tuple[int, int]) -> np.ndarray:
    x, y = points.T
    width, height = size
    back = {0: (x, y), 1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}
    return np.column_stack(back[turns % 4])


def _look(
    image_rgb: np.ndarray, movenet: MoveNet, turns: int, side_px: int, min_score: float
) -> list[Detection]:
    height, width = image_rgb.shape[:2]
    scale = side_px / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    shape = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image_rgb, size, interpolation=shape)
    look = movenet.look(np.ascontiguousarray(np.rot90(small, turns)), min_score)
    return [turned_back(person, turns, size).moved((0, 0), scale) for person in look.people]


def _best(people: list[Detection]) -> float:
    return max((person.score for person in people), default=0.0)
