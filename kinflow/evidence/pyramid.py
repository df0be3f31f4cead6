"""Searching a photo for people of all sizes with a detector that knows a limited range.

The whole photo is searched at a few scales. Small people show at the finest of these as a faint
warmth in the heatmap of person centres, long before they can be told from chairs; the warm places
are looked at again, enlarged, in tiles. So the time depends on how many places could be people, and
a person of 60 pixels in a 12-megapixel photo is found without going through all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from kinflow.checks import not_negative, number, numbers_of, share, whole
from kinflow.evidence.movenet import STRIDE, Detection, MoveNet

MAX_SIDE_PX = 8192


@dataclass(frozen=True)
class PyramidConfig:
    """The scales at which a photo is searched."""

    sides_px: tuple[int, ...] = (256, 512)
    """Long sides of the whole photo; every photo is searched at these."""
    large_side_px: int = 1408
    """One more for photos whose long side is at least `large_from_px`."""
    large_from_px: int = 1500
    fine_side_px: int = 1024
    """Long side for second looks at ordinary photos."""
    fine_scale: float = 1.0
    """Scale for second looks at large photos."""
    warm: float = 0.12
    """Least heat that deserves a second look in ordinary photos."""
    warm_large: float = 0.02
    """The same in large photos, where people are smaller still."""
    small_px: float = 56.0
    """Only what seems smaller than this, at the finest scale so far, is looked at again."""
    tile_px: int = 256
    """Side of a second look's tile, at its own scale."""
    margin_px: int = 48
    """A tile answers for the warm places that are at least this far inside."""
    max_tiles: int = 12
    """Most second looks at an ordinary photo; the warmest places come first."""
    max_tiles_large: int = 64
    """The same for large photos."""

    def __post_init__(self) -> None:
        numbers_of(self, "sides_px", at_least=32, at_most=MAX_SIDE_PX, kind=int)
        sides = ("large_side_px", "large_from_px", "fine_side_px", "tile_px")
        whole(self, *sides, at_least=32, at_most=MAX_SIDE_PX)
        number(self, "fine_scale", above=0, at_most=4)
        share(self, "warm", "warm_large")
        not_negative(self, "small_px")
        whole(self, "margin_px", at_most=self.tile_px // 2 - 1)
        whole(self, "max_tiles", "max_tiles_large", at_most=10_000)


def search(
    image_rgb: UInt8[np.ndarray, "height width 3"],
    movenet: MoveNet,
    config: PyramidConfig,
    min_score: float,
    sure_score: float | None = None,
) -> list[Detection]:
    """All candidates at all scales; the same person usually appears more than once.

    Where somebody was found with at least `sure_score` (`min_score` unless given), no second look
    is taken.
    """
    long_side = max(image_rgb.shape[:2])
    large = long_side >= config.large_from_px
    sides = (*config.sides_px, config.large_side_px) if large else config.sides_px
    found: list[Detection] = []
    heat, scale = np.zeros((1, 1), np.float32), 1.0
    for side in sides:
        scale = side / long_side
        look = movenet.look(resized(image_rgb, scale), min_score)
        found += [person.moved((0, 0), scale) for person in look.people]
        heat = np.where(look.center_side_px < config.small_px, look.center_heat, 0)
    sure = [person for person in found if person.score >= (sure_score or min_score)]
    heat = _without_people(heat, sure, scale / STRIDE)
    fine_scale = config.fine_scale if large else config.fine_side_px / long_side
    for x, y in _warm_tiles(heat, STRIDE * fine_scale / scale, large, config):
        # Only the tile is resized: a large photo has no enlarged copy.
        x0, y0 = max(0, round(x / fine_scale)), max(0, round(y / fine_scale))
        reach = round(config.tile_px / fine_scale)
        tile = resized(image_rgb[y0 : y0 + reach, x0 : x0 + reach], fine_scale)
        corner = (round(x0 * fine_scale), round(y0 * fine_scale))
        look = movenet.look(tile, min_score)
        found += [person.moved(corner, fine_scale) for person in look.people]
    return found


def _warm_tiles(
    heat: Float[np.ndarray, "rows columns"], cell_px: float, large: bool, config: PyramidConfig
) -> Iterator[tuple[int, int]]:
    """Corners (x, y) of tiles around the warm places, at a scale where a cell has `cell_px`.

    Each tile is centred on the warmest place that no tile answers for yet.
    """
    heat = heat.copy()
    half = config.tile_px // 2
    reach = (half - config.margin_px) / cell_px
    for _ in range(config.max_tiles_large if large else config.max_tiles):
        row, column = divmod(int(heat.argmax()), heat.shape[1])
        if heat[row, column] < (config.warm_large if large else config.warm):
            return
        top, left = max(0, int(row - reach)), max(0, int(column - reach))
        heat[top : int(row + reach) + 1, left : int(column + reach) + 1] = 0
        yield round((column + 0.5) * cell_px) - half, round((row + 0.5) * cell_px) - half


def _without_people(
    heat: np.ndarray, people: list[Detection], cells_per_px: float
) -> Float[np.ndarray, "rows columns"]:
    """The heat outside of the boxes of people that were found."""
    heat = heat.copy()
    for person in people:
        x0, y0, x1, y1 = (round(float(v) * cells_per_px) for v in person.box_px)
        heat[max(0, y0) : y1 + 1, max(0, x0) : x1 + 1] = 0
    return heat


def resized(
    image_rgb: UInt8[np.ndarray, "height width 3"], scale: float
) -> UInt8[np.ndarray, "rows columns 3"]:
    """A picture at a scale."""
    height, width = (max(1, round(side * scale)) for side in image_rgb.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image_rgb, (width, height), interpolation=interpolation)
