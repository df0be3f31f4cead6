"""Errors of motion: points of bodies over frames, in metres, in a world that does not move.

Definitions are those that the field reports: acceleration error (Kanazawa et al. 2019), jitter (Yi
et al. 2021), foot sliding, WA-MPJPE, W-MPJPE and the root's translation error (Shin et al. 2024,
WHAM; Ye et al. 2023, SLAHMR).
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.checks import is_number
from kinflow.errors import InputError
from kinflow.geometry.rotations import nearest_rotation
from kinflow.tensors import check_axes

STANDS_M = 0.01
"""A true foot that moves less than this from a frame to the next stands."""
CHUNK = 100
"""Frames that are aligned together for errors in the world."""


def acceleration_error_m_s2(
    predicted: Float[Tensor, "frames points 3"],
    truth: Float[Tensor, "frames points 3"],
    rate_hz: float,
) -> Float[Tensor, ""]:
    """Mean distance between accelerations, by second differences.

    Raises:
        InputError: shapes differ, or there are fewer than three frames.
    """
    _check(predicted, truth, 3)
    gap = torch.diff(predicted - truth, n=2, dim=0) * _rate(rate_hz) ** 2
    return torch.linalg.vector_norm(gap, dim=-1).mean()


def jitter(points: Float[Tensor, "frames points 3"], rate_hz: float) -> Float[Tensor, ""]:
    """Mean length of the third difference, times the rate cubed, over ten: 10 m/s³.

    Raises:
        InputError: there are fewer than four frames.
    """
    _check(points, points, 4)
    third = torch.diff(points, n=3, dim=0) * _rate(rate_hz) ** 3 / 10
    return torch.linalg.vector_norm(third, dim=-1).mean()


def foot_sliding_m_s(
    predicted: Float[Tensor, "frames points 3"],
    truth: Float[Tensor, "frames points 3"],
    rate_hz: float,
) -> Float[Tensor, ""]:
    """Mean speed of points of the feet while the true ones stand; NaN where they never do.

    Raises:
        InputError: shapes differ, or there are fewer than two frames.
    """
    _check(predicted, truth, 2)
    stands = torch.linalg.vector_norm(torch.diff(truth, dim=0), dim=-1) < STANDS_M
    speed = torch.linalg.vector_norm(torch.diff(predicted, dim=0), dim=-1) * _rate(rate_hz)
    return speed[stands].mean()


def world_mpjpe(
    predicted: Float[Tensor, "frames points 3"],
    truth: Float[Tensor, "frames points 3"],
    align: Literal["whole", "first"],
    chunk: int = CHUNK,
) -> Float[Tensor, ""]:
    """Mean distance of points after chunks of frames were aligned, each by one similarity.

    Args:
        predicted: points over frames.
        truth: the same points, as they were.
        align: by all frames of a chunk (WA-MPJPE) or by its first two (W-MPJPE).
        chunk: frames that are aligned together; the last chunk may be shorter, but not below two.

    Raises:
        InputError: shapes differ, or there are fewer than two frames.
    """
    _check(predicted, truth, 2)
    starts = list(range(0, len(truth), chunk))
    if len(truth) - starts[-1] < 2:
        starts.pop()
    errors = []
    for start in starts:
        stop = len(truth) if start == starts[-1] else start + chunk
        p, t = predicted[start:stop], truth[start:stop]
        by = slice(None) if align == "whole" else slice(0, 2)
        moved = _aligned(p, p[by].flatten(0, 1), t[by].flatten(0, 1))
        errors.append(torch.linalg.vector_norm(moved - t, dim=-1).mean(-1))
    return torch.cat(errors).mean()


def root_translation_error(
    predicted: Float[Tensor, "frames 3"], truth: Float[Tensor, "frames 3"]
) -> Float[Tensor, ""]:
    """Mean distance of roots over the length of the true path, after one rigid alignment.

    Raises:
        InputError: shapes differ, or there are fewer than two frames.
    """
    _check(predicted, truth, 2)
    moved = _aligned(predicted, predicted, truth, with_scale=False)
    path = torch.linalg.vector_norm(torch.diff(truth, dim=0), dim=-1).sum()
    return torch.linalg.vector_norm(moved - truth, dim=-1).mean() / path


def _aligned(points: Tensor, of: Tensor, onto: Tensor, with_scale: bool = True) -> Tensor:
    """Points after the similarity that brings some of them onto others (Umeyama 1991)."""
    R = nearest_rotation(of, onto)
    centre, goal = of.mean(-2, keepdim=True), onto.mean(-2, keepdim=True)
    turned = (of - centre) @ R.mT
    scale = (turned * (onto - goal)).sum() / turned.square().sum() if with_scale else 1.0
    return scale * (points - centre) @ R.mT + goal


def _rate(rate_hz: float) -> float:
    if not is_number(rate_hz) or not rate_hz > 0:
        raise InputError(f"A frame rate is a positive number, not {rate_hz!r}.")
    return rate_hz


def _check(predicted: Tensor, truth: Tensor, least: int) -> None:
    axes = (None,) * (predicted.ndim - 1)
    check_axes(predicted, "predicted", (*axes, 3))
    check_axes(truth, "truth", tuple(predicted.shape))
    if len(predicted) < least:
        raise InputError(f"At least {least} frames are needed, not {len(predicted)}.")
