"""One soft silhouette per person from two segmenters, with the neighbours left out.

BlazePose's mask knows which person is meant; the selfie segmenter's has the sharper outline but
shows everybody. Where the two agree on the whole they are averaged, else BlazePose's stands alone,
as it does for small people, whose outline has nothing to sharpen.
A pixel that several people claim is shared in proportion to their claims, each weighted by how
near the pixel is to that person's skeleton.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8

from kinflow.body.bones import STICK_FIGURE_ROWS
from kinflow.evidence import blazepose, selfie
from kinflow.evidence.blazepose import Pose
from kinflow.evidence.people import person_size
from kinflow.evidence.region import warp
from kinflow.evidence.selfie import SelfieSegmenter
from kinflow.evidence.types import PersonMask
from kinflow.geometry.image_grid import ImageGrid

GRID_CELLS = 256
BOX_MARGIN = 0.15
MIN_AGREEMENT = 0.5
MIN_SHARPENED_PX = 80.0
BONE_CONFIDENCE = 0.3
# A claim halves with every such fraction of the person's size away from the skeleton.
CLAIM_FRACTION = 0.06


def grid_around(box_px: Float[np.ndarray, " 4"]) -> ImageGrid:
    """At most `GRID_CELLS` cells a side, none smaller than a pixel, over a box with a margin."""
    return ImageGrid.around(box_px, BOX_MARGIN, GRID_CELLS, min_cell_px=1.0)


def _resampled(
    mask: Float[np.ndarray, "mask_rows mask_columns"],
    to_mask: Float[np.ndarray, "2 3"],
    grid: ImageGrid,
) -> Float[np.ndarray, "rows columns"]:
    """Sample a mask that lies in the image by the affine map `to_mask` of image points."""
    to_cells = np.vstack((grid.to_cells_affine(), (0, 0, 1)))
    to_image = np.linalg.inv(np.vstack((to_mask, (0, 0, 1))))
    return warp(mask.astype(np.float32), (to_cells @ to_image)[:2], grid.size)


@dataclass(frozen=True)
class Subject:
    """A person whose silhouette is wanted."""

    pose: Pose
    box_px: Float[np.ndarray, " 4"]


def silhouettes(
    image_rgb: UInt8[np.ndarray, "height width 3"],
    subjects: list[Subject],
    segmenter: SelfieSegmenter,
) -> list[PersonMask]:
    """The silhouette of every person, each on its own grid."""
    grids = [grid_around(subject.box_px) for subject in subjects]
    combined = [
        _combined(image_rgb, subject, grid, segmenter)
        for subject, grid in zip(subjects, grids, strict=True)
    ]
    masks = []
    for i, grid in enumerate(grids):
        claims = []
        for subject, other_grid, mask in zip(subjects, grids, combined, strict=True):
            shared = _resampled(mask, other_grid.to_cells_affine(), grid)
            # Most people are far apart: no need to look for a skeleton that cannot matter.
            matters = subject is subjects[i] or bool(shared.max(initial=0) > 0.1)
            claims.append(shared * _nearness(subject.pose, grid) if matters else 0 * shared)
        total = np.sum(claims, axis=0)
        share = np.divide(claims[i], total, out=np.ones_like(total), where=total > 1e-6)
        masks.append(_person_mask(combined[i] * share, grid))
    return masks


def _combined(
    image_rgb: np.ndarray, subject: Subject, grid: ImageGrid, segmenter: SelfieSegmenter
) -> Float[np.ndarray, "rows columns"]:
    """Mean of the two segmenters where they agree on the whole, else BlazePose's."""
    own = _resampled(subject.pose.mask, subject.pose.region.to_crop(blazepose.CROP_PX), grid)
    if person_size(subject.box_px) < MIN_SHARPENED_PX:
        return own
    region = selfie.region_from_box(subject.box_px)
    anyone = _resampled(segmenter(image_rgb, region), region.to_crop(selfie.CROP_PX), grid)
    near = cv2.dilate(own, np.ones((9, 9), np.uint8)) > 0.3
    anyone = np.where(near, anyone, 0)
    both = np.count_nonzero((own > 0.5) & (anyone > 0.5))
    either = np.count_nonzero((own > 0.5) | (anyone > 0.5))
    return (own + anyone) / 2 if both > MIN_AGREEMENT * max(either, 1) else own


def skeleton_distance_px(
    keypoints_px: Float[np.ndarray, "33 2"], confidence: Float[np.ndarray, " 33"], grid: ImageGrid
) -> Float[np.ndarray, "rows columns"] | None:
    """Distance of each cell to the visible bones in the grid, in image pixels; None without any."""
    away = np.ones(grid.shape, np.uint8)
    points = grid.to_cells(keypoints_px)
    for a, b in STICK_FIGURE_ROWS:
        if min(confidence[a], confidence[b]) > BONE_CONFIDENCE:
            ends = [tuple(int(v) for v in np.clip(points[k], -30000, 30000)) for k in (a, b)]
            cv2.line(away, ends[0], ends[1], 0, thickness=1)
    if away.all():
        return None
    return cv2.distanceTransform(away, cv2.DIST_L2, 3) * grid.cell_px


def _nearness(pose: Pose, grid: ImageGrid) -> Float[np.ndarray, "rows columns"]:
    """Weight in (0, 1] that falls with the distance to the visible skeleton."""
    distance_px = skeleton_distance_px(pose.keypoints_px, pose.confidence, grid)
    if distance_px is None:
        return np.ones(grid.shape, np.float32)
    return np.exp2(-distance_px / (CLAIM_FRACTION * pose.region.size_px)).astype(np.float32)


def _person_mask(probability: np.ndarray, grid: ImageGrid) -> PersonMask:
    values = torch.from_numpy(np.ascontiguousarray(probability, np.float32)).clamp(0, 1)
    return PersonMask(values, grid)
