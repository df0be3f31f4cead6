"""Unit quaternions, x y z w as glTF has them, of rotations that follow each other in time."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

_BATCH = 512


def unit_quaternions(R: Float[np.ndarray, "n 3 3"]) -> Float[np.ndarray, "n 4"]:
    """Quaternions of rotation matrices (Bar-Itzhack 2000): the eigenvectors of the largest
    eigenvalue, which are the nearest for matrices with rounding too."""
    xx, xy, xz, yx, yy, yz, zx, zy, zz = R.reshape(-1, 9).T
    K = [
        [xx - yy - zz, xy + yx, xz + zx, zy - yz],
        [xy + yx, yy - xx - zz, yz + zy, xz - zx],
        [xz + zx, yz + zy, zz - xx - yy, yx - xy],
        [zy - yz, xz - zx, yx - xy, xx + yy + zz],
    ]
    return np.linalg.eigh(np.array(K).transpose(2, 0, 1))[1][..., -1]


def along_time(R: Float[np.ndarray, "frames *joints 3 3"]) -> Float[np.ndarray, "frames *joints 4"]:
    """Quaternions of which each is on the side of the one before, so that blending two neighbours,
    number by number or on the sphere, goes the short way round."""
    q = np.empty((*R.shape[:-2], 4))
    for first in range(0, len(R), _BATCH):  # all at once takes much memory
        some = R[first : first + _BATCH]
        q[first : first + _BATCH] = unit_quaternions(some.reshape(-1, 3, 3)).reshape(
            *some.shape[:-2], 4
        )
    turned_over = np.where((q[1:] * q[:-1]).sum(-1) < 0, -1.0, 1.0)
    q[1:] *= np.cumprod(turned_over, axis=0)[..., None]
    return q


def slerp(
    a: Float[np.ndarray, "n *joints 4"], b: Float[np.ndarray, "n *joints 4"], share: np.ndarray
) -> Float[np.ndarray, "n *joints 4"]:
    """From `a` (share 0) to `b` (share 1) at constant speed (Shoemake 1985).

    Args:
        a: quaternions.
        b: quaternions on the same side as `a`.
        share: how far, (n,).
    """
    share = share.reshape(-1, *(1,) * (a.ndim - 1))
    cos = np.clip((a * b).sum(-1, keepdims=True), -1, 1)
    angle = np.arccos(cos)
    sin = np.sin(angle)
    near = sin < 1e-6
    safe = np.where(near, 1.0, sin)
    from_a = np.where(near, 1 - share, np.sin((1 - share) * angle) / safe)
    from_b = np.where(near, share, np.sin(share * angle) / safe)
    mixed = from_a * a + from_b * b
    return mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)


def matrices(q: Float[np.ndarray, "*batch 4"]) -> Float[np.ndarray, "*batch 3 3"]:
    """Rotation matrices of unit quaternions."""
    x, y, z, w = np.moveaxis(q, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))
