"""The detector's features at points: its maps of activations, read between their cells."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def joint_features(
    map32: Float[Tensor, "batch 32 32 96"],
    map16: Float[Tensor, "batch 16 16 192"],
    points: Float[Tensor, "batch points 2"],
) -> Float[Tensor, "batch points 288"]:
    """What the detector's network holds at some points (x, y) of its crops, float32.

    The points are given as shares of the crop's sides, (0, 0) in its top-left corner.
    """
    return torch.cat([sample_cells(map32, points), sample_cells(map16, points)], -1)


def sample_cells(
    cells: Float[Tensor, "batch rows columns channels"], points: Float[Tensor, "batch points 2"]
) -> Float[Tensor, "batch points channels"]:
    """Bilinear samples at points (x, y) given as shares of the grid's sides, float32.

    The cells' centres lie at +0.5; outside of the outermost centres the nearest cell holds on.
    """
    rows, columns = cells.shape[1:3]
    last = torch.tensor([columns - 1, rows - 1], device=points.device)
    at = torch.minimum((points.float() * (last + 1) - 0.5).clamp_min(0), last)
    low = at.long()
    high = torch.minimum(low + 1, last)
    x, y = torch.stack([low, high], -1).unbind(-2)  # each (batch, points, 2)
    weight_x, weight_y = torch.stack([1 - (at - low), at - low], -1).unbind(-2)
    index = (y[..., :, None] * columns + x[..., None, :]).flatten(2)
    weight = (weight_y[..., :, None] * weight_x[..., None, :]).flatten(2)
    batch = torch.arange(len(cells), device=cells.device)[:, None, None]
    corners = cells.flatten(1, 2)[batch, index].float()
    return (weight[..., None] * corners).sum(2)
