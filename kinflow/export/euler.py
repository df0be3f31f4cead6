"""Euler angles of motions, without jumps."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

_LOCKED = 1e-5
"""Cosine of the middle angle below which the outer two turn about one axis."""


def euler_angles(
    R: Float[np.ndarray, "frames *joints 3 3"], order: str
) -> Float[np.ndarray, "frames *joints 3"]:
    """Angles in radians, R = R_order[0](a) R_order[1](b) R_order[2](c), that change little from
    frame to frame.

    A rotation has two triples of angles, (a, b, c) and (a + π, π - b, c + π), and each angle any
    number of whole turns. Of all these every frame has the ones nearest to the frame before, so
    nothing jumps where b passes 90 degrees or an angle 180; the first frame has b within 90 degrees
    and angles within 180.

    Args:
        R: rotations.
        order: three different axes, such as `ZXY`.
    """
    i, j, k = ("XYZ".index(axis) for axis in order)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    # more accurate near 90 degrees than an arcsine
    b = np.arctan2(sign * R[..., i, k], np.hypot(R[..., i, i], R[..., i, j]))
    a = np.arctan2(-sign * R[..., j, k], R[..., k, k])
    c = np.arctan2(-sign * R[..., i, j], R[..., i, i])
    locked = np.cos(b) < _LOCKED
    # there only c + a or c - a is known
    together = np.arctan2(sign * R[..., j, i], R[..., j, j])
    angles = np.stack([a, b, c], -1)
    direction = np.sign(b)
    for frame in range(len(angles)):
        before = angles[frame - 1] if frame else np.zeros_like(angles[0])
        now = angles[frame]
        now[..., 0] = np.where(locked[frame], before[..., 0], now[..., 0])
        rest = together[frame] - sign * direction[frame] * now[..., 0]
        now[..., 2] = np.where(locked[frame], rest, now[..., 2])
        angles[frame] = _nearest(now, before) if frame else now
    return angles


def _nearest(angles: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The spelling of rotations (*joints, 3) that is nearest to other angles."""
    a, b, c = np.moveaxis(angles, -1, 0)
    spellings = np.stack([angles, np.stack([a + np.pi, np.pi - b, c + np.pi], -1)])
    spellings += 2 * np.pi * np.rint((before - spellings) / (2 * np.pi))
    distance = np.square(spellings - before).sum(-1)
    return np.where((distance[0] <= distance[1])[..., None], spellings[0], spellings[1])
