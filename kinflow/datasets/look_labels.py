"""Labels of a picture in the axes of a detector's crop, as `Samples` keeps them."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int16
from torch import Tensor

from kinflow.body.part_maps import part_map
from kinflow.body.parts import ANY_PART, BACKGROUND, UNKNOWN
from kinflow.datasets.masks import Mask
from kinflow.datasets.sample_parts import PartMapLabel
from kinflow.datasets.samples import PART_CELLS
from kinflow.evidence.region import Region, transform_points

_CENTRES = (np.arange(PART_CELLS) + 0.5) / PART_CELLS


def keypoints_in_crop(
    px: Float[np.ndarray, "33 2"], weight: Float[np.ndarray, " 33"], region: Region
) -> Float[Tensor, "33 3"]:
    """Labelled keypoints of an image as (x, y, weight) in a crop; zero where the weight is.

    Args:
        px: in the order of BlazePose, in pixels of the image.
        weight: from 0 to 1; 0 is not labelled.
        region: the crop.
    """
    points = np.column_stack((transform_points(region.to_crop(1), px) - 0.5, weight))
    return torch.from_numpy(np.where(weight[:, None] > 0, points, 0).astype(np.float32))


def parts_in_crop(
    sets: Int16[np.ndarray, "height width"], region: Region
) -> Int16[Tensor, "cells cells"]:
    """Bit sets of parts of an image in the cells of a crop; nothing is known beyond the image."""
    x, y = _cell_centres_px(region)
    return torch.from_numpy(_looked_up(sets, x, y))


def labelled_parts_in_crop(
    parts: PartMapLabel | None, mask: Mask | None, region: Region
) -> Int16[Tensor, "cells cells"] | None:
    """What part labels, or else a mask, say of the cells of a crop; None where there is neither.

    Outside of the box of part labels nothing is known.
    """
    x, y = _cell_centres_px(region)
    if parts is not None:
        left, top, width, height = parts.box_px
        rows, columns = parts.labels.shape
        meaning = np.array(part_map(parts.palette).sets, np.int16)
        at = (x - left) / width * columns, (y - top) / height * rows
        # what a palette gives no meaning says nothing
        sets = np.where(meaning == 0, UNKNOWN, meaning).astype(np.int16)[parts.labels]
        return torch.from_numpy(_looked_up(sets, *at))
    if mask is not None:
        sets = np.where(mask.array(), ANY_PART, BACKGROUND).astype(np.int16)
        return torch.from_numpy(_looked_up(sets, x, y))
    return None


def shows_parts(parts: Int16[Tensor, "*batch cells cells"]) -> Bool[Tensor, "*batch"]:
    """Whether some cell shows the person for certain."""
    return ((parts != 0) & (parts & BACKGROUND == 0)).flatten(-2).any(-1)


def _cell_centres_px(region: Region) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) in the image of the middles of the cells, rows of the crop first."""
    x, y = np.meshgrid(_CENTRES, _CENTRES)
    px = transform_points(region.to_image(1), np.stack([x, y], -1))
    return px[..., 0], px[..., 1]


def _looked_up(sets: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    rows, columns = sets.shape
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    column, row = (np.where(inside, at, 0).astype(int) for at in (x, y))
    return np.where(inside, sets[row, column], UNKNOWN).astype(np.int16)
