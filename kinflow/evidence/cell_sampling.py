"""The detector's features at points: its maps of activations, read between their cells."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def joint_features(
    map32: Float[Tensor, "batch 32 32 96"],
    map16: Float[Tensor, "batch 16 16 192"],
    points: Float[Tensor, "batch points 2"],
) -> Float[Tensor, "batch points 288"]:
    """What the detector's network holds at some points (x, y) of its crops.

    The points are given as shares of the crop's sides, (0, 0) in its top-left corner.
    """
    return torch.cat([sample_cells(map32, points), sample_cells(map16, points)], -1)


def sample_cells(
    cells: Float[Tensor, "batch rows columns channels"], points: Float[Tensor, "batch points 2"]
) -> Float[Tensor, "batch points channels"]:
    """Bilinear samples at points (x, y) given as shares of the grid's sides.

    The cells' centres lie at +0.5; outside of the outermost centres the nearest cell holds on.
    """
    at = (2 * points - 1)[:, None].to(cells)  # across the grid from -1 to 1, as torch wants it
    samples = F.grid_sample(
        cells.movedim(-1, 1), at, mode="bilinear", padding_mode="border", align_corners=False
    )
    return samples[:, :, 0].transpose(1, 2)
