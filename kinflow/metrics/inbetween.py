"""Errors of frames filled in between known ones, as the benchmark of LAFAN1 defines them.

L2Q is the distance of all joints' global rotations, as quaternions, taken together; L2P that of
their positions, each coordinate by its spread in training; both are means over frames (Harvey et
al. 2020). NPSS compares the power spectra of the quaternions over time (Gopalakrishnan et al.
2019), by the real parts of their Fourier coefficients, as LAFAN1's code does. Lower is better.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.errors import InputError


def alike(
    quaternions: Float[Tensor, "batch frames joints 4"],
    truth: Float[Tensor, "batch frames joints 4"],
) -> Float[Tensor, "batch frames joints 4"]:
    """The same rotations with those signs by which they come nearest to the true quaternions."""
    _check(quaternions, truth)
    dot = (quaternions * truth).sum(-1, keepdim=True)
    return torch.where(dot < 0, -quaternions, quaternions)


def continuous(
    quaternions: Float[Tensor, "batch frames joints 4"],
) -> Float[Tensor, "batch frames joints 4"]:
    """The same rotations without jumps of sign from a frame to the next."""
    dot = (quaternions[:, 1:] * quaternions[:, :-1]).sum(-1, keepdim=True)
    flips = torch.cumprod(torch.where(dot < 0, -1.0, 1.0), 1)
    return torch.cat([quaternions[:, :1], quaternions[:, 1:] * flips], 1)


def l2q(
    quaternions: Float[Tensor, "batch frames joints 4"],
    truth: Float[Tensor, "batch frames joints 4"],
) -> Float[Tensor, ""]:
    """Mean over frames of the distance of all joints' quaternions.

    Raises:
        InputError: shapes differ.
    """
    _check(quaternions, truth)
    return (quaternions - truth).square().sum((-1, -2)).sqrt().mean()


def l2p(
    points_m: Float[Tensor, "batch frames joints 3"],
    truth_m: Float[Tensor, "batch frames joints 3"],
    std_m: Float[Tensor, "joints 3"],
) -> Float[Tensor, ""]:
    """Mean over frames of the distance of all joints, in spreads of training.

    Raises:
        InputError: shapes differ.
    """
    _check(points_m, truth_m)
    return ((points_m - truth_m) / std_m).square().sum((-1, -2)).sqrt().mean()


def npss(
    series: Float[Tensor, "batch frames dim"], truth: Float[Tensor, "batch frames dim"]
) -> Float[Tensor, ""]:
    """Distance of normalised power spectra, weighted by the true power.

    Raises:
        InputError: shapes differ.
    """
    _check(series, truth)
    power, true_power = (torch.fft.fft(x.double(), dim=1).real.square() for x in (series, truth))
    total, true_total = power.sum(1), true_power.sum(1)
    tiny = 1e-12
    cdf = (power / total.clamp_min(tiny)[:, None]).cumsum(1)
    true_cdf = (true_power / true_total.clamp_min(tiny)[:, None]).cumsum(1)
    distance = (cdf - true_cdf).abs().sum(1)
    return ((distance * true_total).sum() / true_total.sum()).float()


def _check(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise InputError(f"shapes {tuple(a.shape)} and {tuple(b.shape)} differ")
