"""The few formulas on SO(3) that kinflow needs, in batched form.

(roma has them too, and tests compare with it; but importing it compiles code and imports torch's
compiler, which takes seconds of every command.)
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

_EYE = torch.eye(3, dtype=torch.float32)
# Row i holds, flattened, the matrix of the cross product with the i-th unit vector.
_SKEW = torch.tensor(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0],
        [0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ],
    dtype=torch.float32,
)

# The matrix 4 q qᵀ - 1 of a rotation's quaternion q = (x, y, z, w), flattened, of its flattened
# matrix: row 3 i + j holds in which entries R_ij is, and with which sign.
_QUATERNIONS = torch.tensor(
    [
        [1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1],
        [0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, -1, 0, 0, -1, 0],
        [0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0],
        [0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0],
        [-1, 0, 0, 0, 0, 1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1],
        [0, 0, 0, -1, 0, 0, 1, 0, 0, 1, 0, 0, -1, 0, 0, 0],
        [0, 0, 1, 0, 0, 0, 0, -1, 1, 0, 0, 0, 0, -1, 0, 0],
        [0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0],
        [-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
    ],
    dtype=torch.float32,
)
_EYE_4 = torch.eye(4, dtype=torch.float32)


def skew(v: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The matrix [v]ₓ with [v]ₓ u = v × u."""
    return (v @ _SKEW.to(v)).unflatten(-1, (3, 3))


def exponential_parts(rotvec: Tensor) -> tuple[Tensor, ...]:
    """Angle-dependent coefficients, [v]ₓ and v vᵀ, of which R and its left Jacobian are sums.

    With a = sin θ / θ, b = (1 − cos θ) / θ² and c = (1 − a) / θ²:
    R = cos θ I + a [v]ₓ + b v vᵀ and J = a I + b [v]ₓ + c v vᵀ. Cancellation in b and c near θ = 0
    is harmless, because they multiply terms of the size of θ and θ².
    """
    theta2 = (rotvec * rotvec).sum(-1, keepdim=True).clamp_min(1e-16).unsqueeze(-1)
    theta = theta2.sqrt()
    a = theta.sin() / theta
    b = 2.0 * (0.5 * theta).sin().square() / theta2
    c = (1.0 - a) / theta2
    cos = 1.0 - b * theta2
    K = skew(rotvec)
    outer = rotvec[..., :, None] * rotvec[..., None, :]
    eye = _EYE.to(rotvec)
    return a, b, c, cos, K, outer, eye


def rotvec_to_matrix(rotvec: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rodrigues' formula."""
    a, b, _, cos, K, outer, eye = exponential_parts(rotvec)
    return cos * eye + a * K + b * outer


def about_axis(axis: str, angle_rad: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotations about a coordinate axis, `x`, `y` or `z`."""
    rotvec = angle_rad.new_zeros(*angle_rad.shape, 3)
    rotvec[..., "xyz".index(axis)] = angle_rad
    return rotvec_to_matrix(rotvec)


def rotvec_to_matrix_and_jacobian(
    rotvec: Float[Tensor, "*batch 3"],
) -> tuple[Float[Tensor, "*batch 3 3"], Float[Tensor, "*batch 3 3"]]:
    """Rotation matrix R and left Jacobian J of SO(3): dR Rᵀ = [J d(rotvec)]ₓ."""
    a, b, c, cos, K, outer, eye = exponential_parts(rotvec)
    return cos * eye + a * K + b * outer, a * eye + b * K + c * outer


def matrix_to_rotvec(R: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Rotation vector with an angle of at most π; accurate at 0 and at π.

    By way of the quaternion q, whose outer product 4 q qᵀ is linear in R: any of its rows is a
    multiple of q, and the one with the largest diagonal entry is well conditioned.
    """
    rows = (R.flatten(-2) @ _QUATERNIONS.to(R)).unflatten(-1, (4, 4)) + _EYE_4.to(R)
    best = rows.diagonal(dim1=-2, dim2=-1).argmax(-1, keepdim=True)
    q = rows.gather(-2, best[..., None].expand(*best.shape, 4))[..., 0, :]
    q = torch.nn.functional.normalize(q, dim=-1)
    q = torch.where(q[..., 3:] < 0, -q, q)
    n2 = q[..., :3].square().sum(-1, keepdim=True)
    small = n2 < 1e-20
    n = torch.where(small, torch.ones_like(n2), n2).sqrt()
    scale = torch.where(small, torch.full_like(n, 2.0), 2.0 * torch.atan2(n, q[..., 3:]) / n)
    return q[..., :3] * scale


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
