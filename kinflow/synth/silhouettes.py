"""From a body's true outline to what a segmenter shows: clothes, then the segmenter's own errors.

Clothes only ever add: every group of parts grows by its own margin, which varies along the outline;
skirts and coats fill the room between the legs, hair surrounds the head, bags hang at the side.
Segmenters then fill narrow gaps, shift the outline, lose hands and feet, leak into the background
and blur. All lengths are fractions of the person's height.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from kinflow.body.parts import PART_INDEX, part_indices
from kinflow.checks import not_negative, numbers_of, share

_HEAD = part_indices("head")
_SHIRT = part_indices("torso", "upper_arm")
_SLEEVES = part_indices("torso", "upper_arm", "lower_arm")
_SHORTS = part_indices("upper_leg")
_TROUSERS = part_indices("upper_leg", "lower_leg")
_COAT = part_indices("torso", "upper_leg")
_SHOES = part_indices("foot")
_ENDS = part_indices("hand", "foot", "lower_arm")


@dataclass(frozen=True)
class ClothingConfig:
    """What people wear. Lengths are fractions of their height but for hair, shares probabilities.

    Attributes:
        tight: range of the margin of close-fitting clothes.
        loose: range of that of loose ones.
        loose_share: how often the upper and the lower half are loose, each.
        skirt_share: how often the room between the legs is filled.
        hair: range of the margin around the head, as a share of the head's half width: children
            have as much hair for their heads as grown-ups do.
        long_hair_share: how often hair falls to the shoulders.
        shoes: range of the margin around the feet.
        bag_share: how often a bag or the like hangs at the body.
    """

    tight: tuple[float, float] = (0.0, 0.012)
    loose: tuple[float, float] = (0.01, 0.04)
    loose_share: float = 0.4
    skirt_share: float = 0.1
    hair: tuple[float, float] = (0.0, 0.3)
    long_hair_share: float = 0.15
    shoes: tuple[float, float] = (0.0, 0.015)
    bag_share: float = 0.08

    def __post_init__(self) -> None:
        numbers_of(self, "tight", "loose", "hair", "shoes", count=2, at_least=0, ascending=True)
        share(self, *(name for name in vars(self) if name.endswith("_share")))


@dataclass(frozen=True)
class SegmenterConfig:
    """How silhouettes go wrong. Lengths are fractions of the person's height.

    Attributes:
        closing: up to this width gaps are filled, in `closing_share` of the silhouettes.
        outline_std: of the outline's shift as a whole.
        wave_std: of its shift from place to place.
        cut_share: how often a piece is missing, hands and feet above all.
        cut_radius: its size.
        doubt_share: how often two segmenters disagree about a large piece, which pales.
        doubt_radius: its size.
        leak_share: how often a piece of the background is taken for the person, more or less.
        blur: range of the width of the soft edge.
        neighbour: range of the probability that another person's cells keep.
    """

    closing: float = 0.025
    closing_share: float = 0.4
    outline_std: float = 0.004
    wave_std: float = 0.005
    cut_share: float = 0.3
    cut_radius: tuple[float, float] = (0.02, 0.07)
    doubt_share: float = 0.2
    doubt_radius: tuple[float, float] = (0.08, 0.25)
    leak_share: float = 0.2
    blur: tuple[float, float] = (0.003, 0.012)
    neighbour: tuple[float, float] = (0.0, 0.45)

    def __post_init__(self) -> None:
        share(self, *(name for name in vars(self) if name.endswith("_share")))
        not_negative(self, "closing", "outline_std", "wave_std")
        radii = ("cut_radius", "doubt_radius", "blur", "neighbour")
        numbers_of(self, *radii, count=2, at_least=0, at_most=1, ascending=True)


def dressed(
    labels: UInt8[np.ndarray, "rows columns"],
    height_cells: float,
    config: ClothingConfig,
    rng: np.random.Generator,
) -> Bool[np.ndarray, "rows columns"]:
    """Cells that show the person with clothes on; the body's own are always among them."""
    shown = labels > 0
    wave = 1 + 0.6 * smooth_noise(labels.shape, rng)
    upper, lower = (
        rng.uniform(*(config.loose if rng.random() < config.loose_share else config.tight))
        for _ in range(2)
    )
    head = _shows(labels, _HEAD)
    head_cells = float(np.sqrt(np.count_nonzero(head) / np.pi))
    garments = [
        (_SLEEVES if rng.random() < 0.6 else _SHIRT, upper * height_cells),
        (_TROUSERS if rng.random() < 0.7 else _SHORTS, lower * height_cells),
        (_HEAD, rng.uniform(*config.hair) * head_cells),
        (_SHOES, rng.uniform(*config.shoes) * height_cells),
    ]
    for parts, margin_cells in garments:
        shown |= _grown(_shows(labels, parts), margin_cells * wave)
    if rng.random() < config.skirt_share:
        parts = (_SHORTS, _TROUSERS, _COAT)[rng.integers(3)]
        shown |= _grown(_hull(_shows(labels, parts)), lower * height_cells * wave)
    if rng.random() < config.long_hair_share:
        below = np.roll(head, round(rng.uniform(0.3, 1.2) * head_cells), axis=0)
        shown |= _grown(_hull(head | below), rng.uniform(0, 0.22) * head_cells * wave)
    if rng.random() < config.bag_share and shown.any():
        shown |= _blob(shown, rng.uniform(0.03, 0.09) * height_cells, rng)
    return shown


def segmented(
    shown: Bool[np.ndarray, "rows columns"],
    labels: UInt8[np.ndarray, "rows columns"],
    neighbour: Bool[np.ndarray, "rows columns"],
    height_cells: float,
    config: SegmenterConfig,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "rows columns"]:
    """Probability in [0, 1] that a segmenter gives to each cell.

    Args:
        shown: cells that show the person, clothes included, whatever hides them left out.
        labels: the body's parts, which say where hands and feet are.
        neighbour: cells that show somebody else.
        height_cells: the person's height.
        config: how large the errors are.
        rng: source of randomness.
    """
    mask = shown.astype(np.uint8)
    if rng.random() < config.closing_share:
        width = 1 + 2 * round(rng.uniform(0, config.closing) * height_cells / 2)
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel)
    mask = _shifted(mask, height_cells, config, rng)
    soft = mask.astype(np.float32) * np.float32(rng.uniform(0.9, 1.0))
    if rng.random() < config.leak_share and mask.any():
        piece = _blob(mask > 0, rng.uniform(*config.cut_radius) * height_cells, rng)
        soft = np.maximum(soft, piece * np.float32(rng.uniform(0.3, 1.0)))
    if rng.random() < config.doubt_share and mask.any():
        piece = _blob(mask > 0, rng.uniform(*config.doubt_radius) * height_cells, rng)
        soft = np.where(piece, soft * np.float32(rng.uniform(0.4, 0.85)), soft)
    if rng.random() < config.cut_share:
        soft = _with_cuts(soft, labels, height_cells, config, rng)
    soft = np.where(neighbour & ~shown, rng.uniform(*config.neighbour), soft).astype(np.float32)
    sigma = max(0.4, rng.uniform(*config.blur) * height_cells)
    return np.clip(cv2.GaussianBlur(soft, (0, 0), sigma), 0, 1)


def smooth_noise(
    shape: tuple[int, ...], rng: np.random.Generator, knots: int = 7
) -> Float32[np.ndarray, "rows columns"]:
    """A field of about unit variance that varies over a seventh of the map."""
    coarse = rng.standard_normal((knots, knots)).astype(np.float32)
    return cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)


def _shows(labels: np.ndarray, parts: tuple[int, ...]) -> np.ndarray:
    """Cells of any of these parts (a table is several times faster than `np.isin`)."""
    chosen = np.zeros(len(PART_INDEX), bool)
    chosen[list(parts)] = True
    return chosen[labels]


def _grown(region: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """The region and all cells nearer to it than their own margin."""
    if not region.any():
        return region
    away = cv2.distanceTransform((~region).astype(np.uint8), cv2.DIST_L2, 3)
    return region | (away < margin)


def _hull(region: np.ndarray) -> np.ndarray:
    """Convex hull of a region."""
    points = cv2.findNonZero(region.astype(np.uint8))
    filled = np.zeros(region.shape, np.uint8)
    if points is not None:
        cv2.fillConvexPoly(filled, cv2.convexHull(points), 1)
    return filled > 0


def _blob(region: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    """An ellipse centred anywhere on the region."""
    rows, columns = np.nonzero(region)
    pick = rng.integers(len(rows))
    axes = np.maximum(1, np.round(radius * rng.uniform(0.5, 1.4, 2))).astype(int)
    canvas = np.zeros(region.shape, np.uint8)
    centre = (int(columns[pick]), int(rows[pick]))
    cv2.ellipse(canvas, centre, axes.tolist(), float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return canvas > 0


def _shifted(
    mask: np.ndarray, height_cells: float, config: SegmenterConfig, rng: np.random.Generator
) -> np.ndarray:
    """The mask with its outline moved by a smooth field."""
    signed = cv2.distanceTransform(mask, cv2.DIST_L2, 3) - cv2.distanceTransform(
        1 - mask, cv2.DIST_L2, 3
    )
    wave = config.wave_std * smooth_noise(mask.shape, rng, 14)
    return signed + (wave + rng.normal(0, config.outline_std)) * height_cells > 0


def _with_cuts(
    soft: np.ndarray,
    labels: np.ndarray,
    height_cells: float,
    config: SegmenterConfig,
    rng: np.random.Generator,
) -> np.ndarray:
    """The mask with one or two pieces faded out."""
    for _ in range(rng.integers(1, 3)):
        ends = _shows(labels, _ENDS)
        region = ends if ends.any() and rng.random() < 0.7 else labels > 0
        if region.any():
            piece = _blob(region, rng.uniform(*config.cut_radius) * height_cells, rng)
            soft = np.where(piece, soft * np.float32(rng.uniform(0, 0.5)), soft)
    return soft
