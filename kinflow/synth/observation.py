"""One rendered body to one person's evidence: clothes, occluders, and the errors of detectors.

The same steps serve scenes (`kinflow.synth.scene`) and the training of networks, which draw new
observations of the same body again and again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from kinflow.checks import nested
from kinflow.synth import occlusion, silhouettes
from kinflow.synth.detections import Detections, KeypointNoiseConfig, detect
from kinflow.synth.occlusion import OcclusionConfig
from kinflow.synth.rendering import RenderedBody
from kinflow.synth.silhouettes import ClothingConfig, SegmenterConfig


@dataclass(frozen=True)
class ObservationConfig:
    """What lies between a body and what is measured of it."""

    clothing: ClothingConfig = ClothingConfig()
    occlusion: OcclusionConfig = OcclusionConfig()
    segmenter: SegmenterConfig = SegmenterConfig()
    keypoints: KeypointNoiseConfig = KeypointNoiseConfig()

    def __post_init__(self) -> None:
        nested(
            self,
            clothing=ClothingConfig,
            occlusion=OcclusionConfig,
            segmenter=SegmenterConfig,
            keypoints=KeypointNoiseConfig,
        )


@dataclass(frozen=True)
class Observation:
    """What is seen and measured of a body, on the grid it was rendered on."""

    dressed: Bool[np.ndarray, "rows columns"]
    """Cells of the person with clothes on, occluders disregarded."""
    known: Bool[np.ndarray, "rows columns"]
    """Cells inside the image that no occluder hides."""
    neighbour: Bool[np.ndarray, "rows columns"]
    """Cells inside the image that show somebody else."""
    keypoint_visible: Bool[np.ndarray, " 33"]
    """Points inside the image that neither occluders nor the body itself hide."""
    mask: Float32[np.ndarray, "rows columns"]
    """The segmenter's probability; zero outside of the image."""
    detections: Detections


def observe(
    body: RenderedBody,
    inside: Bool[np.ndarray, "rows columns"],
    other: UInt8[np.ndarray, "other_rows other_columns"],
    config: ObservationConfig,
    rng: np.random.Generator,
) -> Observation:
    """Dress, hide and measure a body.

    Args:
        body: the render.
        inside: cells that lie in the image.
        other: label map of somebody else who may stand near.
        config: what happens how often.
        rng: source of randomness.
    """
    labels, height_cells = body.labels, body.height_cells
    shown = silhouettes.dressed(labels, height_cells, config.clothing, rng)
    hidden = occlusion.shapes(shown, config.occlusion, rng)
    somebody, in_front = occlusion.neighbour(shown, other, config.occlusion, rng)
    hidden |= somebody & in_front
    known = inside & ~hidden
    somebody &= inside & ~(shown & known)
    mask = silhouettes.segmented(
        shown & known, labels, somebody, height_cells, config.segmenter, rng
    )
    in_image, not_hidden = _at(inside, body.keypoints_cells), _at(known, body.keypoints_cells)
    visible = body.keypoint_seen & not_hidden
    detections = detect(
        body.keypoints_cells,
        body.keypoint_depth_m,
        visible,
        in_image,
        visible_size(shown & inside),
        config.keypoints,
        rng,
    )
    return Observation(shown, known, somebody, visible, mask * inside, detections)


def visible_size(shown: Bool[np.ndarray, "rows columns"]) -> float:
    """Square root of the area of the box around the cells, at least one."""
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    if not len(rows):
        return 1.0
    return float(np.sqrt((rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)))


def _at(cells: np.ndarray, points: Float[np.ndarray, "33 2"]) -> Bool[np.ndarray, " 33"]:
    """The value of the cell under each point; False outside of the grid."""
    rows, columns = cells.shape
    index = np.floor(points).astype(int)
    on_grid = (index >= 0).all(1) & (index[:, 0] < columns) & (index[:, 1] < rows)
    x, y = np.where(on_grid[:, None], index, 0).T
    return on_grid & cells[y, x]
