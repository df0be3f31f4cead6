"""Curves through noisy values that say themselves how noisy they are (Garcia 2010).

The curve minimises the sum of squared residuals plus s times that of second differences, where s
is the one that predicts left-out values best (generalised cross-validation). Frames without a value
get one from the curve, and outliers lose their weight (Tukey's biweight) over a few rounds.
Everything is done with cosine transforms.

D. Garcia, Robust smoothing of gridded data in one and higher dimensions with missing values,
Computational Statistics & Data Analysis 54(4), 2010.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64
from scipy.fft import dct, idct

_COARSE = tuple(float(log_s) for log_s in range(-5, 5))
_FINE = tuple(0.2 * step for step in range(-4, 5))
"""Base-10 logarithms of s that are tried: first these, then around the best of them."""
_ROUNDS, _STEPS, _TOLERANCE = 3, 60, 1e-4
_TUKEY, _MAD = 4.685, 1.4826


def smoothed(
    values: Float64[np.ndarray, "frames n"],
    known: Bool[np.ndarray, " frames"],
    least_std: float,
    strength: float = 1.0,
) -> Float64[np.ndarray, "frames n"]:
    """The curve, in all frames.

    Args:
        values: at a constant rate.
        known: where they count; the others are filled in.
        least_std: residuals of this size are never outliers, in the unit of the values.
        strength: factor on the width of what is averaged, 1 for what cross-validation finds; 0.1
            at least.
    """
    frames = np.arange(len(values))
    if known.sum() < 3:
        return values.copy()
    curve = np.stack([np.interp(frames, frames[known], v[known]) for v in values.T], -1)
    weights = known.astype(float)
    roughness = np.square(2 - 2 * np.cos(np.pi * frames / len(frames)))
    for _ in range(_ROUNDS):
        curve, s = _curve(values, weights, curve, roughness, strength)
        off = np.linalg.norm(values - curve, axis=-1)
        scale = max(_MAD * float(np.median(off[known])), least_std)
        u = off / (_TUKEY * scale * np.sqrt(1 - _leverage(s)))
        weights = known * np.square(np.clip(1 - np.square(u), 0, None))
    return curve


def _curve(
    values: np.ndarray,
    weights: np.ndarray,
    start: np.ndarray,
    roughness: np.ndarray,
    strength: float,
) -> tuple[np.ndarray, float]:
    """The curve with these weights, and its s."""
    w, curve, s = weights[:, None], start, 1.0
    count = max(1, int((weights > 0).sum()))
    for step in range(_STEPS):
        spectrum = np.asarray(dct(w * (values - curve) + curve, axis=0, norm="ortho"))
        if step & (step - 1) == 0:  # at powers of two, as it hardly changes later
            s = _best_s(values, w, spectrum, roughness, count) * max(strength, 0.1) ** 4
        new = _back(spectrum / (1 + s * roughness)[:, None])
        change = np.linalg.norm(new - curve) / max(float(np.linalg.norm(new)), 1e-12)
        curve = new
        if change < _TOLERANCE * 1e-2:
            break
    return curve, s


def _best_s(
    values: np.ndarray, w: np.ndarray, spectrum: np.ndarray, roughness: np.ndarray, count: int
) -> float:
    def score(log_s: float) -> float:
        passed = 1 / (1 + 10**log_s * roughness)
        curve = _back(spectrum * passed[:, None])
        residual = float((w * np.square(values - curve)).sum())
        return residual / count / (1 - passed.mean()) ** 2

    best = min(_COARSE, key=score)
    return 10 ** min((best + fine for fine in _FINE), key=score)


def _back(spectrum: np.ndarray) -> np.ndarray:
    return np.asarray(idct(spectrum, axis=0, norm="ortho"))


def _leverage(s: float) -> float:
    """How much of a value's own noise is in the curve."""
    root = np.sqrt(1 + 16 * s)
    return float(np.sqrt(1 + root) / np.sqrt(2) / root)
