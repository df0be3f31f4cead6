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

GRID_CELLS = 256
BOX_MARGIN = 0.15
MIN_AGREEMENT = 0.5
MIN_SHARPENED_PX = 80.0
BONE_CONFIDENCE = 0.3
# A claim halves with every such fraction of the person's size away from the skeleton.
CLAIM_FRACTION = 0.06


@dataclass(frozen=True)
class Grid:
    """Axis-aligned cells over a box of the image."""

    origin_px: tuple[float, float]
    cell_px: float
    size: tuple[int, int]
    """(columns, rows)."""

    @classmethod
    def around(cls, box_px: Float[np.ndarray, " 4"]) -> Grid:
        """A grid of at most `GRID_CELLS` cells a side over a box with a margin."""
        extent = np.maximum(box_px[2:] - box_px[:2], 1.0)
        margin = BOX_MARGIN * float(extent.max())
        width, height = (float(v) for v in extent + 2 * margin)
        cell = max(1.0, max(width, height) / GRID_CELLS)
        origin = (float(box_px[0]) - margin, float(box_px[1]) - margin)
        return cls(origin, cell, (max(1, round(width / cell)), max(1, round(height / cell))))

    def to_cells(self) -> Float[np.ndarray, "2 3"]:
        """Affine map from image points to grid coordinates."""
        x, y = self.origin_px
        return np.array([[1, 0, -x], [0, 1, -y]]) / self.cell_px

    def resample(
        self, mask: Float[np.ndarray, "mask_rows mask_columns"], to_mask: Float[np.ndarray, "2 3"]
    ) -> Float[np.ndarray, "rows columns"]:
        """Sample a mask that lies in the image by the affine map `to_mask` of image points."""
        to_cells = np.vstack((self.to_cells(), (0, 0, 1)))
        to_image = np.linalg.inv(np.vstack((to_mask, (0, 0, 1))))
        return warp(mask.astype(np.float32), (to_cells @ to_image)[:2], self.size)


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
    grids = [Grid.around(subject.box_px) for subject in subjects]
    combined = [
        _combined(image_rgb, subject, grid, segmenter)
        for subject, grid in zip(subjects, grids, strict=True)
    ]
    masks = []
    for i, grid in enumerate(grids):
        claims = []
        for subject, other_grid, mask in zip(subjects, grids, combined, strict=True):
            shared = grid.resample(mask, other_grid.to_cells())
            # Most people are far apart: no need to look for a skeleton that cannot matter.
            matters = subject is subjects[i] or bool(shared.max(initial=0) > 0.1)
            claims.append(shared * _nearness(subject.pose, grid) if matters else 0 * shared)
        total = np.sum(claims, axis=0)
        share = np.divide(claims[i], total, out=np.ones_like(total), where=total > 1e-6)
        masks.append(_person_mask(combined[i] * share, grid))
    return masks


def _combined(
    image_rgb: np.ndarray, subject: Subject, grid: Grid, segmenter: SelfieSegmenter
) -> Float[np.ndarray, "rows columns"]:
    """Mean of the two segmenters where they agree on the whole, else BlazePose's."""
    own = grid.resample(subject.pose.mask, subject.pose.region.to_crop(blazepose.CROP_PX))
    if person_size(subject.box_px) < MIN_SHARPENED_PX:
        return own
    region = selfie.region_from_box(subject.box_px)
    anyone = grid.resample(segmenter(image_rgb, region), region.to_crop(selfie.CROP_PX))
    near = cv2.dilate(own, np.ones((9, 9), np.uint8)) > 0.3
    anyone = np.where(near, anyone, 0)
    both = np.count_nonzero((own > 0.5) & (anyone > 0.5))
    either = np.count_nonzero((own > 0.5) | (anyone > 0.5))
    return (own + anyone) / 2 if both > MIN_AGREEMENT * max(either, 1) else own


def skeleton_distance_px(
    keypoints_px: Float[np.ndarray, "33 2"], confidence: Float[np.ndarray, " 33"], grid: Grid
) -> Float[np.ndarray, "rows columns"] | None:
    """Distance of each cell to the visible bones in the grid, in image pixels; None without any."""
    away = np.ones(grid.size[::-1], np.uint8)
    points = keypoints_px @ grid.to_cells()[:, :2].T + grid.to_cells()[:, 2]
    for a, b in STICK_FIGURE_ROWS:
        if min(confidence[a], confidence[b]) > BONE_CONFIDENCE:
            ends = [tuple(int(v) for v in np.clip(points[k], -30000, 30000)) for k in (a, b)]
            cv2.line(away, ends[0], ends[1], 0, thickness=1)
    if away.all():
        return None
    return cv2.distanceTransform(away, cv2.DIST_L2, 3) * grid.cell_px


def _nearness(pose: Pose, grid: Grid) -> Float[np.ndarray, "rows columns"]:
    """Weight in (0, 1] that falls with the distance to the visible skeleton."""
    distance_px = skeleton_distance_px(pose.keypoints_px, pose.confidence, grid)
    if distance_px is None:
        return np.ones(grid.size[::-1], np.float32)
    return np.exp2(-distance_px / (CLAIM_FRACTION * pose.region.size_px)).astype(np.float32)


def _person_mask(probability: np.ndarray, grid: Grid) -> PersonMask:
    values = torch.from_numpy(np.ascontiguousarray(probability, np.float32)).clamp(0, 1)
    return PersonMask(values, grid.origin_px, grid.cell_px)
