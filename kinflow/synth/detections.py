"""From true keypoints to what a detector says: errors, confidences, drop-outs, sides exchanged.

Errors follow `kinflow.evidence.error_model`: their scale is that of the person and the kind of
point, larger for what is hidden. Beyond independent noise, whole limbs go astray together, sides
are taken for each other, and limbs are missing. As with the product's own detector, points outside
the image get no confidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from kinflow.body.keypoints import BLAZEPOSE33, COCO17_ROWS, MIRROR_KEYPOINTS
from kinflow.checks import not_negative, share
from kinflow.evidence.error_model import HIDDEN_FACTOR, KEYPOINT_FRACTIONS, PER_AXIS_OF_BOX


def _rows(*stems: str) -> np.ndarray:
    return np.array([i for i, name in enumerate(BLAZEPOSE33) if name.endswith(stems)])


_HAND = ("wrist", "pinky", "index", "thumb")
_FOOT = ("ankle", "heel", "big_toe")
_ARMS, _LEGS = _rows("elbow", *_HAND), _rows("knee", *_FOOT)
_LEFT = np.array([name.startswith("left") for name in BLAZEPOSE33])
LIMBS: tuple[np.ndarray, ...] = tuple(
    rows[_LEFT[rows] == left] for rows in (_ARMS, _LEGS) for left in (True, False)
)
"""Rows of each arm from the elbow and of each leg from the knee."""

MIRROR_ROWS = np.array(MIRROR_KEYPOINTS[: len(BLAZEPOSE33)])
"""Row of the keypoint on the other side of the body."""


@dataclass(frozen=True)
class KeypointNoiseConfig:
    """How detectors err. Shares are probabilities.

    Attributes:
        level: median error relative to that of the product's error model.
        level_log_std: spread of the logarithm of that level from person to person.
        shared: part of the error that all points of a person have in common.
        astray_share: how often each limb is off as a whole.
        astray: size of that error, as a fraction of the person's size.
        missing_share: how often each limb is not detected.
        point_missing_share: how often a single point is not.
        coco_share: how often only COCO's 17 points are known.
        swap_body_share: how often left and right are exchanged altogether.
        swap_limbs_share: how often the legs are, or the arms.
        depth_known_share: how often there is a rough 3D estimate.
        depth_std_m: its error in depth, which grows along limbs.
    """

    level: float = 0.5
    level_log_std: float = 0.45
    shared: float = 0.3
    astray_share: float = 0.05
    astray: float = 0.08
    missing_share: float = 0.05
    point_missing_share: float = 0.02
    coco_share: float = 0.07
    swap_body_share: float = 0.01
    swap_limbs_share: float = 0.015
    depth_known_share: float = 0.65
    depth_std_m: float = 0.06

    def __post_init__(self) -> None:
        not_negative(self, "level", "level_log_std", "astray", "depth_std_m")
        share(self, *(name for name in vars(self) if name.endswith("_share")), "shared")


@dataclass(frozen=True)
class Detections:
    """What a detector says about one person, in the coordinates of the truth."""

    keypoints: Float[np.ndarray, "33 3"]
    """(x, y, confidence)."""
    depth_m: Float[np.ndarray, " 33"] | None
    """Rough depth relative to the middle of the hips, where it was estimated."""


def detect(
    points: Float[np.ndarray, "33 2"],
    depth_m: Float[np.ndarray, " 33"],
    seen: Bool[np.ndarray, " 33"],
    inside: Bool[np.ndarray, " 33"],
    size: float,
    config: KeypointNoiseConfig,
    rng: np.random.Generator,
) -> Detections:
    """Noisy keypoints with confidences.

    Args:
        points: true positions.
        depth_m: true depths relative to the middle of the hips.
        seen: whether nothing hides the point, the person's own body included.
        inside: whether the point lies in the image.
        size: square root of the area of the person's box, in units of `points`.
        config: how large and how frequent errors are.
        rng: source of randomness.
    """
    order = _exchanged_sides(config, rng)
    points, depth_m, seen, inside = points[order], depth_m[order], seen[order], inside[order]
    hidden = rng.uniform(0.03, 1.0, 33) ** 0.7
    confidence = np.where(seen, 1 - np.abs(rng.normal(0, 0.06, 33)), hidden)
    level = config.level * np.exp(rng.normal(0, config.level_log_std))
    widening = np.where(seen, 1.0, rng.uniform(1, HIDDEN_FACTOR, 33))
    std = level * PER_AXIS_OF_BOX * KEYPOINT_FRACTIONS * size * widening
    common, own = rng.normal(size=2), rng.normal(size=(33, 2))
    noise = config.shared * common + np.sqrt(1 - config.shared**2) * own
    noisy = points + std[:, None] * noise
    for limb in LIMBS:
        if rng.random() < config.astray_share:
            noisy[limb] += rng.normal(0, config.astray * size, 2)
            confidence[limb] *= rng.uniform(0.3, 1.0)
        if rng.random() < config.missing_share:
            confidence[limb] *= rng.uniform(0, 0.3)
    confidence[rng.random(33) < config.point_missing_share] = 0
    confidence = np.clip(confidence, 0, 1) * inside
    if rng.random() < config.coco_share:
        unknown = np.setdiff1d(np.arange(33), COCO17_ROWS)
        noisy[unknown], confidence[unknown] = 0, 0
    known = rng.random() < config.depth_known_share
    rough_m = _rough_depth(depth_m, config, rng) if known else None
    return Detections(np.column_stack((noisy, confidence)), rough_m)


def _exchanged_sides(config: KeypointNoiseConfig, rng: np.random.Generator) -> np.ndarray:
    """Which true point each detection shows."""
    order = np.arange(33)
    if rng.random() < config.swap_body_share:
        order = MIRROR_ROWS
    for limbs in (_ARMS, _LEGS):
        if rng.random() < config.swap_limbs_share:
            order = order.copy()
            order[limbs] = order[MIRROR_ROWS[limbs]]
    return order


def _rough_depth(
    depth_m: np.ndarray, config: KeypointNoiseConfig, rng: np.random.Generator
) -> np.ndarray:
    """Flattened and noisy, limbs more than the trunk."""
    rough = depth_m * rng.uniform(0.5, 1.2) + rng.normal(0, config.depth_std_m / 2, 33)
    rough += rng.normal(0, config.depth_std_m)
    for limb in LIMBS:
        rough[limb] += rng.normal(0, 1.5 * config.depth_std_m)
    return rough
