"""Random colours, fabrics and backgrounds for pictures of synthetic scenes.

Nothing here looks like a particular thing: what a network learns from it should be where outlines
and folds run and that a limb looks the same along its length, whatever it looks like.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32

from kinflow.synth.silhouettes import smooth_noise

_SKIN_LIGHT, _SKIN_DARK = np.array((242.0, 208, 184)), np.array((70.0, 45, 33))
_DENIM, _WOOD = np.array((70.0, 90, 130)), np.array((150.0, 110, 70))


def skin_color(rng: np.random.Generator) -> Float32[np.ndarray, " 3"]:
    """Some colour of skin, sRGB."""
    color = _SKIN_DARK + rng.uniform(0, 1) ** 0.7 * (_SKIN_LIGHT - _SKIN_DARK)
    return (color + rng.normal(0, 6, 3)).clip(5, 250).astype(np.float32)


def any_color(rng: np.random.Generator) -> Float32[np.ndarray, " 3"]:
    """Some colour, sRGB: any at all, or greys and earthy ones, as most things have."""
    kind = rng.random()
    if kind < 0.45:
        color = rng.uniform(10, 245, 3)
    elif kind < 0.8:
        color = rng.uniform(12, 245) + rng.normal(0, 8, 3)
    elif kind < 0.9:
        color = rng.uniform(0.4, 1.5) * _DENIM + rng.normal(0, 8, 3)
    else:
        color = rng.uniform(0.3, 1.5) * _WOOD + rng.normal(0, 12, 3)
    return color.clip(5, 250).astype(np.float32)


def fabric(
    size: tuple[int, int], scale: float, color: Float32[np.ndarray, " 3"], rng: np.random.Generator
) -> Float32[np.ndarray, "height width 3"]:
    """A cloth of a colour: plain, striped, checked, blotched or printed.

    Args:
        size: (height, width).
        scale: height of a person in pixels.
        color: its main colour.
        rng: source of randomness.
    """
    cloth = np.broadcast_to(color, (*size, 3))
    kind = rng.random()
    if kind < 0.55:
        return cloth
    second = any_color(rng)
    if kind < 0.75:
        share = _stripes(size, scale, rng)
    elif kind < 0.85:
        share = 0.5 * (_stripes(size, scale, rng) + _stripes(size, scale, rng))
    else:
        period = rng.uniform(0.02, 0.12) * scale
        share = (smooth_noise(size, rng, _knots(size, period)) > rng.uniform(-0.3, 1.0)).astype(
            np.float32
        )
    share = rng.uniform(0.2, 1.0) * share[..., None]
    return (cloth + share * (second - cloth)).astype(np.float32)


def clutter(
    size: tuple[int, int], rng: np.random.Generator
) -> Float32[np.ndarray, "height width 3"]:
    """A background: a gradient with shapes and lines of many sizes, textured, sharp or blurred."""
    height, width = size
    ends = np.stack([any_color(rng), any_color(rng)])
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    canvas = np.broadcast_to(ends[0] * (1 - ramp) + ends[1] * ramp, (height, width, 3)).copy()
    for _ in range(rng.integers(0, 25) if rng.random() < 0.85 else 0):
        color = (skin_color(rng) if rng.random() < 0.12 else any_color(rng)).tolist()
        _shape(canvas, color, rng)
    if rng.random() < 0.7:
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 4) * height / 192)
    texture = np.zeros(size, np.float32)
    for knots in (6, 24, 70):
        texture += rng.uniform(0, 0.12) * smooth_noise(size, rng, knots)
    return canvas * (1 + texture[..., None])


def folds(size: tuple[int, int], scale: float, rng: np.random.Generator) -> np.ndarray:
    """Brightness of folds and cast shadows, about 1."""
    light = np.ones(size, np.float32)
    for period, strength in ((0.25, 0.15), (0.07, 0.15), (0.025, 0.1)):
        noise = smooth_noise(size, rng, _knots(size, period * scale))
        light += rng.uniform(0, strength) * noise
    return light.clip(0.25, 1.9)


def _knots(size: tuple[int, int], period: float) -> int:
    return int(np.clip(max(size) / max(period, 1.0), 2, 96))


def _stripes(size: tuple[int, int], scale: float, rng: np.random.Generator) -> np.ndarray:
    """Soft or hard stripes in any direction, between 0 and 1."""
    angle, period = rng.uniform(0, np.pi), rng.uniform(0.015, 0.1) * scale
    step = np.float32(2 * np.pi / max(period, 2.0))
    x, y = (np.arange(side, dtype=np.float32) * step for side in size[::-1])
    first = np.float32(rng.uniform(0, 2 * np.pi))
    wave = np.sin(np.float32(np.cos(angle)) * x + (np.float32(np.sin(angle)) * y + first)[:, None])
    return (rng.uniform(0.8, 6) * wave + rng.uniform(-1, 1)).clip(-1, 1) / 2 + 0.5


def _shape(canvas: np.ndarray, color: list[float], rng: np.random.Generator) -> None:
    """Draw a polygon, an ellipse, a rectangle or a line."""
    height, width = canvas.shape[:2]
    side = max(height, width)
    kind, centre = rng.random(), rng.random(2) * (width, height)
    reach = side * 0.5 * rng.random() ** 2 + 1
    if kind < 0.3:
        corners = centre + reach * rng.uniform(-1, 1, (rng.integers(3, 7), 2))
        cv2.fillPoly(canvas, [corners.astype(np.int32)], color)
    elif kind < 0.55:
        axes = (reach * rng.uniform(0.2, 1, 2)).astype(int).tolist()
        angle = float(rng.uniform(0, 180))
        cv2.ellipse(canvas, centre.astype(int).tolist(), axes, angle, 0, 360, color, -1)
    elif kind < 0.75:
        first, last = (centre + sign * reach * rng.uniform(0.2, 1, 2) for sign in (-1, 1))
        cv2.rectangle(canvas, first.astype(int).tolist(), last.astype(int).tolist(), color, -1)
    else:
        ends = (rng.random((2, 2)) * (width, height)).astype(int).tolist()
        thick = int(1 + side * rng.uniform(0, 0.06) ** 1.5)
        cv2.line(canvas, ends[0], ends[1], color, thick, cv2.LINE_AA)
