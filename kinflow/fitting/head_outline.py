"""How much larger a head looks than that of the body which explains a person's keypoints.

Rays from the middle of that body's head end where its head ends, and where the person's silhouette
does. Towards the neck, or a hand before the face, they say nothing. Hair and hats make heads larger
as well; those of children look larger still.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from kinflow.body.part_mesh import PartMesh
from kinflow.body.parts import PART_INDEX
from kinflow.evidence.types import PersonMask
from kinflow.fitting.drawing import drawn_parts
from kinflow.geometry.image_grid import ImageGrid
from kinflow.geometry.pinhole import Camera

SHOWN = 0.25
"""Probability from which a silhouette counts: one of two segmenters often misses hair, and theirs
are averaged."""
LEAST_HEAD_PX = 6.0
"""A smaller head has no outline."""
LEAST_RAYS = 8
"""That say something."""
SHORTEST, LONGEST = -0.6, 0.8
"""Logarithms of lengths: beyond these it is no head that ends there."""

_HEAD = PART_INDEX["head"]
_RAYS, _CELLS = 48, 96
_SPAN = 3.2
"""Of the picture of the adult's head, in sizes of it."""
_ALONG = np.arange(0.0, 0.48 * _CELLS, 0.5)
_INSIDE = 0.3
"""Of a ray, on which gaps of the silhouette do not count."""
_CLEAR = 1.9
"""Lengths of a ray within which nothing but the head may be."""
_LEAST_CELLS = 2.0


def head_outline(
    vertices_m: Float[np.ndarray, "vertices 3"], mask: PersonMask, camera: Camera, mesh: PartMesh
) -> float | None:
    """Mean logarithm of how much longer rays are; None where too few say anything.

    Args:
        vertices_m: of the body that explains the keypoints, in the camera's frame.
        mask: the person's silhouette.
        camera: what they were seen with.
        mesh: the body's triangles.
    """
    rows = np.unique(mesh.faces[mesh.face_parts == _HEAD])
    points = camera.project(torch.from_numpy(vertices_m[rows])).numpy()
    low, high = points.min(0), points.max(0)
    size_px = float((high - low).max())
    if not LEAST_HEAD_PX <= size_px < np.inf:
        return None
    side_px = _SPAN * size_px
    x, y = ((low + high) / 2 - side_px / 2).tolist()
    grid = ImageGrid((x, y), side_px / _CELLS, (_CELLS, _CELLS))
    drawn = drawn_parts(vertices_m, grid.camera(camera), mesh)
    head = np.argwhere(drawn == _HEAD)
    if not len(head):
        return None
    angle = np.linspace(0, 2 * np.pi, _RAYS, endpoint=False)[:, None, None]
    steps = np.concatenate([np.cos(angle), np.sin(angle)], -1) * _ALONG[:, None]
    at = head.mean(0)[::-1] + 0.5 + steps
    own, clear = _own_length(drawn, at)
    points_px = grid.to_px(torch.from_numpy(at).float())
    shown = mask.sample(points_px).numpy() >= SHOWN
    found, ends = _seen_length(shown, own)
    end_px = points_px.numpy()[np.arange(_RAYS), found]
    ends &= ((end_px >= 0) & (end_px <= camera.image_size)).all(1)
    length = np.log(np.maximum(_ALONG[found], 1.0) / np.maximum(own, 1.0))
    says = clear & ends & (length > SHORTEST) & (length < LONGEST)
    return float(length[says].mean()) if np.count_nonzero(says) >= LEAST_RAYS else None


def _own_length(
    drawn: Int[np.ndarray, "rows columns"], at: Float[np.ndarray, "rays steps 2"]
) -> tuple[Float[np.ndarray, " rays"], Bool[np.ndarray, " rays"]]:
    """Where the drawn head ends, and whether nothing else is drawn there."""
    column, row = np.clip(np.floor(at).astype(int), 0, _CELLS - 1).transpose(2, 0, 1)
    parts = drawn[row, column]
    own = ((parts == _HEAD) * _ALONG).max(1)
    other = (parts > 0) & (parts != _HEAD)
    near = _CLEAR * np.maximum(own, 1.0)[:, None] > _ALONG
    return own, ~(other & near).any(1) & (own > _LEAST_CELLS)


def _seen_length(
    shown: Bool[np.ndarray, "rays steps"], own: Float[np.ndarray, " rays"]
) -> tuple[Int[np.ndarray, " rays"], Bool[np.ndarray, " rays"]]:
    """The step at which the silhouette ends, and whether it does."""
    beyond = ~shown & (_INSIDE * own[:, None] <= _ALONG)
    return beyond.argmax(1), np.asarray(beyond.any(1))
