"""What stands before a person: furniture-like shapes, and other people."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from kinflow.checks import share

_MAX_HIDDEN = 0.6
"""Occluders that would hide more of the body than this are left out."""


@dataclass(frozen=True)
class OcclusionConfig:
    """How often and by what people are hidden.

    Attributes:
        shape_share: how often random shapes stand before the person.
        person_share: how often another person is near.
        front_share: how often that one is nearer to the camera.
    """

    shape_share: float = 0.2
    person_share: float = 0.2
    front_share: float = 0.5

    def __post_init__(self) -> None:
        share(self, "shape_share", "person_share", "front_share")


def shapes(
    body: Bool[np.ndarray, "rows columns"], config: OcclusionConfig, rng: np.random.Generator
) -> Bool[np.ndarray, "rows columns"]:
    """Cells hidden by one or two random polygons and ellipses, mostly by none."""
    hidden = np.zeros(body.shape, np.uint8)
    if rng.random() >= config.shape_share or not body.any():
        return hidden > 0
    rows, columns = np.nonzero(body)
    size = np.array([np.ptp(columns), np.ptp(rows)]).max() + 1
    for _ in range(rng.integers(1, 3)):
        pick = rng.integers(len(rows))
        centre = np.array([columns[pick], rows[pick]])
        if rng.random() < 0.5:
            corners = centre + size * rng.uniform(-0.25, 0.25, (rng.integers(4, 8), 2))
            cv2.fillConvexPoly(hidden, cv2.convexHull(corners.astype(np.int32)), 1)
        else:
            axes = (size * rng.uniform(0.02, 0.25, 2)).astype(int)
            angle = float(rng.uniform(0, 180))
            cv2.ellipse(hidden, centre.tolist(), axes.tolist(), angle, 0, 360, 1, -1)
    return _unless_too_much(hidden > 0, body)


def neighbour(
    body: Bool[np.ndarray, "rows columns"],
    other: UInt8[np.ndarray, "other_rows other_columns"],
    config: OcclusionConfig,
    rng: np.random.Generator,
) -> tuple[Bool[np.ndarray, "rows columns"], bool]:
    """Cells of another person beside or before this one, and whether that one is in front.

    Args:
        body: cells of the person.
        other: label map of somebody else, of any size.
        config: how often.
        rng: source of randomness.
    """
    nobody = np.zeros(body.shape, bool)
    if rng.random() >= config.person_share or not body.any() or not other.any():
        return nobody, False
    height = np.ptp(np.nonzero(body)[0]) + 1
    rows, columns = np.nonzero(other)
    centre = np.array([columns.mean(), rows.mean()])
    scale = float(rng.uniform(0.7, 1.2)) * height / (np.ptp(rows) + 1)
    middle = np.array([np.nonzero(body)[1].mean(), np.nonzero(body)[0].mean()])
    aside = rng.choice((-1, 1)) * rng.uniform(0.15, 0.5) * height
    shift = middle + (aside, rng.uniform(-0.15, 0.15) * height) - scale * centre
    warp = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    size = (body.shape[1], body.shape[0])
    there = cv2.warpAffine(other, warp, size, flags=cv2.INTER_NEAREST) > 0
    front = bool(rng.random() < config.front_share)
    return (_unless_too_much(there, body) if front else there), front


def _unless_too_much(hidden: np.ndarray, body: np.ndarray) -> np.ndarray:
    too_much = np.count_nonzero(hidden & body) > _MAX_HIDDEN * np.count_nonzero(body)
    return np.zeros_like(hidden) if too_much else hidden
