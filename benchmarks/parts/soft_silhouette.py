"""The usual alternative to matching: a soft rasterizer and gradient descent (Liu et al. 2019).

Triangle j covers pixel p by D_j = sigmoid(sign d^2 / sigma), d being the distance to its rim and
the sign positive inside; the silhouette is 1 - prod_j (1 - D_j), and the energy is its squared
difference from the mask. Nothing of it is used by the product.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def soft_silhouette(
    points: Float[Tensor, "vertices 2"],
    faces: Int[Tensor, "faces 3"],
    size: tuple[int, int],
    sigma: float,
) -> Float[Tensor, "rows columns"]:
    """Soft coverage of a grid of (columns, rows) cells by projected triangles, in cells."""
    columns, rows = size
    y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
    pixels = torch.stack([x, y], -1).reshape(-1, 1, 2)
    a, b, c = (points[faces[:, i]][None] for i in range(3))
    squared = torch.stack([_to_edge(pixels, *edge) for edge in ((a, b), (b, c), (c, a))]).amin(0)
    turns = torch.stack([_cross(v - u, pixels - u) for u, v in ((a, b), (b, c), (c, a))])
    inside = (turns > 0).all(0) | (turns < 0).all(0)
    signed = torch.where(inside, squared, -squared)
    log_empty = torch.nn.functional.logsigmoid(-signed / sigma).sum(1)
    return (1 - log_empty.exp()).reshape(rows, columns)


def _to_edge(pixels: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Squared distances of pixels to segments."""
    along = end - start
    share = ((pixels - start) * along).sum(-1) / (along * along).sum(-1).clamp_min(1e-9)
    nearest = start + share.clamp(0, 1)[..., None] * along
    return ((pixels - nearest) ** 2).sum(-1)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
