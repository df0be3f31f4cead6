"""Semantic part alignment as a loss that networks train on, for any batch.

The differentiable sibling of `part_matching`, after Zanfir et al. 2020, section 3.3: with pi(v)
the projected visible vertices of part k, P_k the pixels that show it and D_k the distance to the
nearest pixel that may show it,

    L = mean over parts k seen of  sum_{p in P_k} w_p rho(min_{v in k} |p - pi(v)|) / sum w_p
                                 + mean_{v in k} rho(D_k(pi(v)))

with rho(d) = d^2 / (1 + d^2 / c^2). A pixel whose label is a set of parts takes the nearest vertex
of any of them. Distances have a gradient where nothing overlaps, which rasters do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinflow.body.parts import NUM_PARTS
from kinflow.errors import InputError
from kinflow.evidence.types import PartLabels
from kinflow.tensors import check_axes


@dataclass(frozen=True)
class PartLossTarget:
    """What a batch of images shows, prepared once. Coordinates are image pixels."""

    pixels_px: Float[Tensor, "batch pixels 2"]
    pixel_parts: Int[Tensor, "batch pixels"]
    """Bit sets; 0 for padding."""
    pixel_weight: Float[Tensor, "batch pixels"]
    distance_px: Float[Tensor, "batch 14 rows columns"]
    """Distance to the nearest cell that may show a part; zero where no cell may."""
    origin_px: Float[Tensor, "batch 2"]
    cell_px: Float[Tensor, " batch"]

    @staticmethod
    def of(
        labels: list[PartLabels], pixels: int, generator: torch.Generator | None = None
    ) -> PartLossTarget:
        """Sample pixels and compute distances; the grids must have the same size.

        Args:
            labels: one per image.
            pixels: how many cells to sample from each; fewer where fewer show a person.
            generator: of the sampling.

        Raises:
            InputError: there are no labels, or their grids differ.
        """
        if not labels or len({tuple(one.allowed.shape) for one in labels}) > 1:
            raise InputError("The labels of a batch have to be on grids of the same size.")
        if pixels < 1:
            raise InputError(f"At least one pixel has to be sampled, not {pixels}.")
        samples = [_sample(one, pixels, generator) for one in labels]
        points, parts, weights = (torch.stack(column) for column in zip(*samples, strict=True))
        return PartLossTarget(
            points,
            parts,
            weights,
            torch.stack([_distances(one) for one in labels]),
            torch.tensor([one.grid.origin_px for one in labels], dtype=torch.float32),
            torch.tensor([one.grid.cell_px for one in labels], dtype=torch.float32),
        )


def part_alignment_loss(
    vertices_px: Float[Tensor, "batch vertices 2"],
    vertex_parts: Int[Tensor, " vertices"],
    visible: Bool[Tensor, "batch vertices"],
    target: PartLossTarget,
    scale_px: Float[Tensor, " batch"],
    cutoff: float = 0.1,
) -> Float[Tensor, " batch"]:
    """Loss of each body of a batch, in units of the squared scale.

    Args:
        vertices_px: projected vertices.
        vertex_parts: part of each, 1 to 14.
        visible: whether it faces the camera unhidden (`geometry.rasterizer.visible_points`).
        target: what the images show.
        scale_px: size of each person, so that the loss does not depend on the image's resolution.
        cutoff: distance at which the robust kernel turns, in units of the scale.

    Raises:
        InputError: the batches or the numbers of vertices differ.
    """
    batch, vertices = len(target.cell_px), len(vertex_parts)
    check_axes(vertices_px, "vertices_px", (batch, vertices, 2))
    if visible.shape != (batch, vertices) or scale_px.shape != (batch,):
        raise InputError(
            f"visible has to be ({batch}, {vertices}) and scale_px ({batch},), "
            f"not {tuple(visible.shape)} and {tuple(scale_px.shape)}."
        )
    vertices_px, scale_px = (x.to(target.pixels_px.dtype) for x in (vertices_px, scale_px))
    scale = scale_px[:, None]
    belongs = (target.pixel_parts[:, :, None] >> vertex_parts & 1).bool() & visible[:, None]
    gap = torch.cdist(target.pixels_px, vertices_px).masked_fill(~belongs, torch.inf).amin(-1)
    reached = gap.isfinite()
    pull = _robust(torch.where(reached, gap, 0) / scale, cutoff)
    outside = _robust(_sampled_distance(vertices_px, vertex_parts, target) / scale, cutoff)
    parts = torch.arange(1, NUM_PARTS + 1, device=vertices_px.device)
    shows = (target.pixel_parts[..., None] >> parts & 1).float()
    # a pixel of several parts counts for each of them in equal shares
    shows = shows / shows.sum(-1, keepdim=True).clamp_min(1)
    pixel_share = shows * (target.pixel_weight * reached)[..., None]
    vertex_share = (vertex_parts[:, None] == parts) & visible[..., None]
    total = _mean_by_part(pull, pixel_share) + _mean_by_part(outside, vertex_share.float())
    seen = (shows.sum(1) > 0).float()
    return (total * seen).sum(-1) / seen.sum(-1).clamp_min(1)


def _mean_by_part(values: Tensor, share: Tensor) -> Tensor:
    """(batch, 14) weighted means of (batch, items) by their (batch, items, 14) shares."""
    weight = share.sum(1)
    return (values[..., None] * share).sum(1) / weight.clamp_min(1e-6)


def _robust(distance: Tensor, cutoff: float) -> Tensor:
    squared = distance * distance
    return squared / (1 + squared / cutoff**2)


def _sampled_distance(vertices_px: Tensor, vertex_parts: Tensor, target: PartLossTarget) -> Tensor:
    """Distance field of each vertex's own part there; beyond the grid it goes on growing."""
    rows, columns = target.distance_px.shape[-2:]
    size = vertices_px.new_tensor([columns, rows])
    cells = (vertices_px - target.origin_px[:, None]) / target.cell_px[:, None, None]
    within = torch.minimum(cells.clamp_min(0.5), size - 0.5)
    beyond = (cells - within).norm(dim=-1) * target.cell_px[:, None]
    x, y = within.unbind(-1)
    depth = (vertex_parts - 1 + 0.5).to(x).expand_as(x)
    grid = torch.stack([x / columns, y / rows, depth / NUM_PARTS], -1) * 2 - 1
    field = F.grid_sample(
        target.distance_px[:, None], grid[:, None, None], align_corners=False, mode="bilinear"
    )
    return field[:, 0, 0, 0] + beyond


def _sample(
    labels: PartLabels, pixels: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor, Tensor]:
    shows = torch.nonzero(labels.shows())
    chosen = shows[torch.randperm(len(shows), generator=generator)[:pixels]]
    row, column = chosen.T
    points = labels.grid.to_px(chosen.flip(-1) + 0.5)
    missing = pixels - len(chosen)
    return (
        F.pad(points, (0, 0, 0, missing)),
        F.pad(labels.allowed[row, column], (0, missing)),
        F.pad(labels.confidence[row, column], (0, missing)),
    )


def _distances(labels: PartLabels) -> Tensor:
    fields = []
    for part in range(1, NUM_PARTS + 1):
        may = labels.may_be(part).cpu().numpy()
        away = cv2.distanceTransform((~may).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        # squares are whole numbers; OpenCV's last digits depend on where in memory the mask lies
        away = np.sqrt(np.rint(away * away))
        fields.append(away if may.any() else np.zeros_like(away))
    return torch.from_numpy(np.stack(fields)).float() * labels.grid.cell_px
