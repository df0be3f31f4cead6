"""The few formulas on SO(3) that the main job needs in batched form; everything else is roma's.

(roma pulls in torch's compiler when it is imported, which takes two seconds; tools and metrics can
afford that, a command that reconstructs a photo cannot.)
"""

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


def nearest_rotation(
    source: Float[Tensor, "*batch points 3"], target: Float[Tensor, "*batch points 3"]
) -> Float[Tensor, "*batch 3 3"]:
    """Rotation that best turns centred `source` points into `target` points (Kabsch 1976)."""
    a = source - source.mean(-2, keepdim=True)
    b = target - target.mean(-2, keepdim=True)
    U, _, Vh = torch.linalg.svd(b.mT @ a)
    flip = torch.ones_like(U[..., 0])
    flip[..., 2] = torch.linalg.det(U @ Vh).sign()
    return U @ (flip[..., None] * Vh)
