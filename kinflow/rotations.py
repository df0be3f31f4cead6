"""The few formulas on SO(3) that inner loops need in batched form; everything else is roma's."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def skew(v: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The matrix [v]_x with [v]_x u = v x u."""
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).unflatten(-1, (3, 3))


def exp(v: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrix of a rotation vector (Rodrigues' formula), smooth through zero."""
    angle2 = (v * v).sum(-1)[..., None, None] + 1e-12
    angle = angle2.sqrt()
    k = skew(v)
    eye = torch.eye(3, dtype=v.dtype, device=v.device)
    return eye + torch.sin(angle) / angle * k + (1 - torch.cos(angle)) / angle2 * (k @ k)
