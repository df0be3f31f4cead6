"""The 6D representation of rotations (Zhou et al. 2019): two columns made orthonormal."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize


def matrix_from_6d(columns: Float[Tensor, "*batch 3 2"]) -> Float[Tensor, "*batch 3 3"]:
    """Gram–Schmidt on two columns; the third is their cross product."""
    b1 = normalize(columns[..., 0], dim=-1)
    rest = columns[..., 1]
    b2 = normalize(rest - (b1 * rest).sum(-1, keepdim=True) * b1, dim=-1)
    return torch.stack([b1, b2, torch.linalg.cross(b1, b2)], -1)


def _normalised_with_jacobian(v: Tensor, d_v: Tensor) -> tuple[Tensor, Tensor]:
    norm = v.norm(dim=-1, keepdim=True)
    u = v / norm
    d_u = (d_v - u[..., None] * (u[..., None] * d_v).sum(-2, keepdim=True)) / norm[..., None]
    return u, d_u


def angular_velocity_of_6d(
    columns: Float[Tensor, "*batch 3 2"], d_columns: Float[Tensor, "*batch 3 2 latent"]
) -> tuple[Float[Tensor, "*batch 3 3"], Float[Tensor, "*batch 3 latent"]]:
    """Gram–Schmidt matrix R and its left angular velocity ω per unit of each latent.

    Each column turns as db = ω × b, and Σ b × db = 2 ω over an orthonormal triple.
    """
    b1, d_b1 = _normalised_with_jacobian(columns[..., 0], d_columns[..., 0, :])
    a2, d_a2 = columns[..., 1], d_columns[..., 1, :]
    overlap = (b1 * a2).sum(-1)[..., None]
    d_overlap = (d_b1 * a2[..., None] + b1[..., None] * d_a2).sum(-2, keepdim=True)
    d_rest = d_a2 - d_overlap * b1[..., None] - overlap[..., None] * d_b1
    b2, d_b2 = _normalised_with_jacobian(a2 - overlap * b1, d_rest)
    b3 = torch.linalg.cross(b1, b2)
    d_b3 = torch.linalg.cross(d_b1, b2[..., None].expand_as(d_b1), dim=-2)
    d_b3 = d_b3 + torch.linalg.cross(b1[..., None].expand_as(d_b2), d_b2, dim=-2)
    spins = [
        torch.linalg.cross(b[..., None].expand_as(d_b), d_b, dim=-2)
        for b, d_b in ((b1, d_b1), (b2, d_b2), (b3, d_b3))
    ]
    return torch.stack([b1, b2, b3], -1), 0.5 * (spins[0] + spins[1] + spins[2])
