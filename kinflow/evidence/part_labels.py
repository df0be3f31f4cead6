"""Part labels to align a body with, and what one person's labels can say at all.

Wherever they come from, nothing is known of a person beyond the edge of the image, nor where
somebody else was seen. Nor does the parser's background say that a hidden limb is not there.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.body.bones import BONE_OF_PART, STICK_FIGURE_ROWS
from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.parts import BACKGROUND, PART_INDEX, UNKNOWN
from kinflow.body.sides import SIDES
from kinflow.evidence.silhouette import BONE_CONFIDENCE
from kinflow.evidence.types import PartLabels, PersonMask
from kinflow.geometry.image_grid import ImageGrid

MIN_OTHER = 0.3
"""Probability from which a cell counts as somebody else's."""

FINER = 2
"""Cells of labels along a side of a cell of the parser."""
MIN_PROBABILITY = 0.6
"""Cells whose likeliest label has less are left open."""
PARSER_CONFIDENCE = 0.1
"""Of a label that the parser does not doubt; exact labels have 1. Chosen on validation subjects
(`benchmarks/parts accuracy --split validation`)."""

LIMB_RADIUS = 0.08
"""How far from its bones a hidden limb reaches, as a share of the person's size."""
MAX_THICKNESS = 255
"""Of lines that OpenCV draws."""

_FAR_END = {
    PART_INDEX[f"{side}_{part}"]: KEYPOINT_INDEX[f"{side}_{far}"]
    for part, (_, far) in BONE_OF_PART.items()
    for side in SIDES
}

NEAR_CELLS = 3
"""A keypoint of a person may lie so many cells outside of the outline."""


def labels_of_probabilities(
    probability: Float[Tensor, "labels rows columns"],
    inside: Bool[Tensor, "rows columns"],
    grid: ImageGrid,
) -> PartLabels:
    """A part parser's answer as labels to align with: the likeliest label of every finer cell.

    Outlines run where two labels are equally likely, so hesitation there is no reason to leave
    cells open; where the likeliest label stays below `MIN_PROBABILITY` they are. Confidence falls
    with hesitation, from `PARSER_CONFIDENCE` to nothing where the label is as likely as not: the
    parser infers skin under clothes, and errs much more than labels drawn by hand.
    """
    fine = F.interpolate(
        probability[None], scale_factor=FINER, mode="bilinear", align_corners=False
    )[0]
    inside = F.interpolate(inside[None, None].float(), scale_factor=FINER)[0, 0] > 0.5
    values, labels = fine.max(0)
    told = inside & (values >= MIN_PROBABILITY)
    allowed = torch.where(told, torch.ones_like(labels) << labels, UNKNOWN).int()
    confidence = PARSER_CONFIDENCE * (2 * values - 1).clamp_min(0).square() * told
    return PartLabels(allowed, confidence, grid.finer(FINER))


def without_strangers(
    labels: PartLabels, others: list[PersonMask], image_size: tuple[int, int]
) -> PartLabels:
    """The same labels, unknown outside the image and where background may be another person."""
    centres = labels.grid.centres_px(labels.allowed.device)
    size = centres.new_tensor(image_size)
    unknown = ((centres < 0) | (centres >= size)).any(-1)
    background = labels.allowed == BACKGROUND
    for other in others:
        unknown |= background & (other.sample(centres) > MIN_OTHER)
    return replace(labels, allowed=labels.allowed.masked_fill(unknown, UNKNOWN))


def without_hidden_limbs(
    labels: PartLabels, keypoints_px: Float[Tensor, "33 3"], image_size: tuple[int, int]
) -> PartLabels:
    """The same labels, as far as they can be about limbs that do not show.

    Legs under a table are where they are although the table is what shows, so background is unknown
    along bones to keypoints in the image that are not seen for certain. And a parser that is told
    of legs finds some, squeezed in above the table: what it takes for such a limb is unknown too.

    Args:
        labels: of one person.
        keypoints_px: theirs (x, y, confidence).
        image_size: (width, height).
    """
    keypoints, allowed = keypoints_px.detach().cpu().numpy(), labels.allowed.cpu().numpy()
    points = labels.grid.to_cells(keypoints[:, :2])
    rows, columns = allowed.shape
    column, row = np.floor(points).astype(int).T
    on_grid = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    below = allowed[row.clip(0, rows - 1), column.clip(0, columns - 1)]
    in_image = ((keypoints[:, :2] >= 0) & (keypoints[:, :2] < image_size)).all(1)
    hidden = (keypoints[:, 2] < BONE_CONFIDENCE) & in_image & (~on_grid | (below == BACKGROUND))
    limb = np.zeros(allowed.shape, np.uint8)
    thickness = round(2 * LIMB_RADIUS * float(np.ptp(points, axis=0).max()))
    for a, b in STICK_FIGURE_ROWS:
        if hidden[a] or hidden[b]:
            ends = [tuple(int(v) for v in np.clip(points[k], -10000, 10000)) for k in (a, b)]
            cv2.line(limb, ends[0], ends[1], 1, min(max(thickness, 1), MAX_THICKNESS))
    unknown = (limb > 0) & (allowed == BACKGROUND)
    for part, far_end in _FAR_END.items():
        if hidden[far_end]:
            unknown |= allowed == 1 << part
    return _unknown_at(labels, torch.from_numpy(unknown).to(labels.allowed.device))


def _unknown_at(labels: PartLabels, cells: Bool[Tensor, "rows columns"]) -> PartLabels:
    return replace(
        labels,
        allowed=labels.allowed.masked_fill(cells, UNKNOWN),
        confidence=labels.confidence.masked_fill(cells, 0.0),
    )


def usable(labels: PartLabels, keypoints_px: Float[Tensor, "keypoints 3"]) -> bool:
    """Whether labels show this person: at least half of the certain keypoints that lie on known
    cells lie on or next to cells of a person. With no such keypoint, whether they show anybody.
    """
    shows = labels.shows()
    if not bool(shows.any()):
        return False
    near = F.max_pool2d(shows[None].float(), 2 * NEAR_CELLS + 1, 1, NEAR_CELLS)[0]
    certain = keypoints_px[keypoints_px[:, 2] > 0.5, :2]
    rows, columns = shows.shape
    cells = labels.grid.to_cells(certain).long()
    inside = ((cells >= 0) & (cells < cells.new_tensor([columns, rows]))).all(-1)
    column, row = cells[inside].T
    known = labels.allowed[row, column] != UNKNOWN
    return not len(row) or not bool(known.any()) or float(near[row, column][known].mean()) >= 0.5
