"""The colours of what somebody wears, region by region, to tell people apart who pass each other.

Colours are read at points between keypoints, which lie on the body however it is turned, and their
middle is taken, so that a strap, a hand or a little of the background does not matter. They are of
CIELAB, in which the lightness counts for less than the hue does: light changes as somebody turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.sides import SIDES

Corners: TypeAlias = tuple[str, str, str, str]
_SEEN = 0.3
_LIGHTNESS = 0.6
"""What a difference of lightness counts, of 1 for one of hue or saturation."""
_BLUR = 10.0
"""Colours of the same cloth differ by about this much, as light and pose change."""
_DOUBT = 0.5
"""So many regions that say nothing count beside those that are seen."""
_ALONG = np.linspace(0.2, 0.8, 7)
_ACROSS = np.array([0.3, 0.5, 0.7])


def _trunk(first: float, last: float) -> Float[np.ndarray, "points 33"]:
    """Weights of keypoints for points within a stretch of the trunk, from shoulders to hips."""
    rows = []
    for along in np.linspace(first, last, 5):
        for across in _ACROSS:
            row = np.zeros(33)
            for side, share in zip(SIDES, (across, 1 - across), strict=True):
                row[KEYPOINT_INDEX[f"{side}_shoulder"]] = (1 - along) * share
                row[KEYPOINT_INDEX[f"{side}_hip"]] = along * share
            rows.append(row)
    return np.array(rows)


def _limbs(upper: str, lower: str) -> Float[np.ndarray, "points 33"]:
    """The same for points along the bones of both sides."""
    rows = []
    for side in SIDES:
        for along in _ALONG:
            row = np.zeros(33)
            row[KEYPOINT_INDEX[f"{side}_{upper}"]] = 1 - along
            row[KEYPOINT_INDEX[f"{side}_{lower}"]] = along
            rows.append(row)
    return np.array(rows)


_REGIONS = (
    _trunk(0.12, 0.45),
    _trunk(0.5, 0.85),
    _limbs("shoulder", "elbow"),
    _limbs("hip", "knee"),
    _limbs("knee", "ankle"),
)
_WEIGHTS = np.concatenate(_REGIONS)
_REGION_OF_POINT = np.repeat(np.arange(len(_REGIONS)), [len(region) for region in _REGIONS])


@dataclass(frozen=True)
class Clothes:
    """Colours of the chest, the belly, upper arms, thighs and shins."""

    lab: Float[np.ndarray, "5 3"]
    """CIELAB, the lightness weighted."""
    shown: Float[np.ndarray, " 5"]
    """Share of a region's points that lie between keypoints that were seen, in the image."""

    def blended(self, newer: Clothes, share: float) -> Clothes:
        """With a share of what was seen later."""
        weight = share * newer.shown
        total = (1 - share) * self.shown + weight
        new = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
        lab = self.lab + new[:, None] * (newer.lab - self.lab)
        return Clothes(lab, total)


def unlikeness(one: Clothes | None, other: Clothes | None) -> float:
    """How unlike two people dress, in [0, 1]; 0.5 where nothing of them can be compared."""
    if one is None or other is None:
        return 0.5
    weight = np.minimum(one.shown, other.shown)
    apart = np.linalg.norm(one.lab - other.lab, axis=1)
    unlike = 1 - np.exp(-0.5 * (apart / _BLUR) ** 2)
    return float(((weight * unlike).sum() + 0.5 * _DOUBT) / (weight.sum() + _DOUBT))


def clothes_of(
    image_rgb: UInt8[np.ndarray, "height width 3"], keypoints_px: Float[np.ndarray, "33 3"]
) -> Clothes:
    """What somebody with these keypoints wears.

    Args:
        image_rgb: the image.
        keypoints_px: (x, y, confidence) in BlazePose's order.
    """
    height, width = image_rgb.shape[:2]
    hidden = keypoints_px[:, 2] <= _SEEN
    points = _WEIGHTS @ keypoints_px[:, :2]
    column, row = np.floor(points).astype(int).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    good = inside & ~(_WEIGHTS[:, hidden] > 0).any(axis=1)
    lab, shown = np.zeros((len(_REGIONS), 3)), np.zeros(len(_REGIONS))
    if not good.any():
        return Clothes(lab, shown)
    colors = image_rgb[row[good], column[good]].astype(np.float32)[None] / 255
    values = cv2.cvtColor(colors, cv2.COLOR_RGB2LAB)[0] * (_LIGHTNESS, 1, 1)
    of = _REGION_OF_POINT[good]
    for region in range(len(_REGIONS)):
        mine = of == region
        shown[region] = mine.sum() / len(_REGIONS[region])
        if mine.any():
            lab[region] = np.median(values[mine], axis=0)
    return Clothes(lab, shown)
