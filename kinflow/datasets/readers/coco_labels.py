"""Labels of one person out of the fields of a COCO annotation.

Boxes and outlines are continuous, (0, 0) the corner of the image. Keypoints are numbers of pixels,
counted from 0 (detectron2's reader of COCO says so too), so their place is the pixel's centre, half
a pixel on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64

from kinflow.body.keypoints import COCO17
from kinflow.body.part_maps import part_map
from kinflow.datasets.masks import Mask
from kinflow.datasets.run_lengths import mask_of_runs, runs_of_text
from kinflow.datasets.sample_parts import Keypoints2D, PartMapLabel
from kinflow.errors import InputError

PALETTE = "coco-densepose"
_PARTS = len(part_map(PALETTE).classes) - 1
_PART_CELLS = 256
_FAR_PX = 1e6
_MAX_RUNS = 1 << 22


def box_of(fields: dict[str, Any]) -> tuple[float, float, float, float] | None:
    """The box; None where there is none, or one of no area, of which COCO has a few.

    Raises:
        InputError: it is not four numbers of a picture.
    """
    value = fields.get("bbox")
    if value is None:
        return None
    box = table(value, "bbox", 4)[0]
    if min(box[2:]) < 0:
        raise InputError(f"'bbox' is {box[2]:g} by {box[3]:g} pixels")
    return tuple(box.tolist()) if min(box[2:]) > 0 else None  # pyright: ignore[reportReturnType]


def body_keypoints(fields: dict[str, Any], size: tuple[int, int]) -> Keypoints2D | None:
    """COCO's 17 points; None where nobody labelled any.

    Raises:
        InputError: they are not 17 points with flags, or one is far outside of the picture.
    """
    value = fields.get("keypoints")
    if value is None or not any(value if isinstance(value, list) else [1]):
        return None
    points = flagged(value, "keypoints", len(COCO17), size)
    flags = points[:, 2]
    px = (points[:, :2] + 0.5).astype(np.float32)
    return Keypoints2D(COCO17, px, (flags > 0).astype(np.float32), flags == 2)


def flagged(
    value: Any, name: str, count: int, size: tuple[int, int]
) -> Float64[np.ndarray, "points 3"]:
    """(x, y, flag) of points as numbers of pixels.

    Points a little outside of the picture are estimates; what is further outside than the picture
    is long is a label of something else.

    Args:
        value: of the field.
        name: of the field.
        count: of points.
        size: (width, height) of the picture.

    Raises:
        InputError: there are not so many, flags are not 0, 1 and 2, or a labelled point is far
            outside of the picture.
    """
    points = table(value, name, 3)
    if len(points) != count:
        raise InputError(f"'{name}' has {len(points)} points, not {count}")
    flags = points[:, 2]
    if not ((flags == 0) | (flags == 1) | (flags == 2)).all():
        raise InputError(f"'{name}' has flags other than 0, 1 and 2, as results of a detector have")
    at, room = points[flags > 0, :2], max(size)
    far = ((at < -room) | (at > np.add(size, room))).any(1)
    if far.any():
        x, y = at[far][0]
        raise InputError(
            f"'{name}' has {far.sum()} points far outside of the picture of {size[0]} by {size[1]} "
            f"pixels, such as ({x:g}, {y:g})"
        )
    return points


def mask_of(fields: dict[str, Any], size: tuple[int, int]) -> Mask | None:
    """The mask, whichever of COCO's three forms it has; None where there is none.

    Raises:
        InputError: it is none of them, or not of the picture's size.
    """
    value = fields.get("segmentation")
    if not value:
        return None
    if isinstance(value, dict):
        width, height = size
        if value.get("size") != [height, width]:
            raise InputError("'segmentation' has another size than its image")
        return Mask(size, runs=tuple(_runs(value, "segmentation").tolist()))
    if not isinstance(value, list):
        raise InputError("'segmentation' is neither outlines nor run lengths")
    # COCO has a few outlines of two corners, which enclose nothing
    rings = [table(ring, "segmentation", 2) for ring in value]
    outlines = [ring.astype(np.float32) for ring in rings if len(ring) >= 3]
    return Mask.of_outlines(size, outlines) if outlines else None


def parts_of(
    fields: dict[str, Any], box_px: tuple[float, float, float, float] | None
) -> PartMapLabel | None:
    """DensePose's parts; None where they were not drawn.

    Raises:
        InputError: they are not 14 masks of 256 by 256 cells.
    """
    value = fields.get("dp_masks")
    if value is None or box_px is None:
        return None
    if not isinstance(value, list) or len(value) != _PARTS:
        raise InputError(f"'dp_masks' is not a list of {_PARTS} masks")
    labels = np.zeros((_PART_CELLS, _PART_CELLS), np.uint8)
    for part, mask in enumerate(value, start=1):
        if not mask:
            continue
        if not isinstance(mask, dict) or mask.get("size") != [_PART_CELLS, _PART_CELLS]:
            raise InputError(f"'dp_masks' has a mask that is not {_PART_CELLS} by {_PART_CELLS}")
        labels[mask_of_runs(_runs(mask, "dp_masks"), _PART_CELLS, _PART_CELLS)] = part
    return PartMapLabel(PALETTE, labels, box_px)


def table(value: Any, name: str, columns: int) -> Float64[np.ndarray, "rows columns"]:
    """A flat list of numbers as rows; InputError if it is not, or of no picture's."""
    if not isinstance(value, list) or len(value) % columns or not value:
        raise InputError(f"'{name}' is not a list of rows of {columns} numbers")
    try:
        numbers = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"'{name}' holds something that is no number") from error
    # NaN is not below
    if numbers.ndim != 1 or not (np.abs(numbers) < _FAR_PX).all():
        raise InputError(f"'{name}' holds a number that is no place in a picture")
    return numbers.reshape(-1, columns)


def _runs(value: dict[str, Any], name: str) -> np.ndarray:
    counts = value.get("counts")
    if isinstance(counts, str):
        return runs_of_text(counts)
    if not isinstance(counts, list) or len(counts) > _MAX_RUNS:
        raise InputError(f"'{name}' has no run lengths")
    try:
        runs = np.array(counts)
    except (ValueError, OverflowError) as error:
        raise InputError(f"'{name}' has run lengths that are no whole numbers") from error
    if runs.ndim != 1 or runs.dtype.kind not in "iu":
        raise InputError(f"'{name}' has run lengths that are no whole numbers")
    return runs.astype(np.int64)
