"""The floor that people of a photo share: how high it is, and what it says of up.

How high the ground is under each person follows from their body, for any direction that may be up.
Most people of a photo are on one floor, so that directions by which these heights agree are
likelier; whoever is on stairs, in the air or badly fitted is an outlier. Heights are along up,
above the camera (negative for a floor below it).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from kinflow.checks import positive, share, whole
from kinflow.fitting.stances import Stances


@dataclass(frozen=True)
class FloorConfig:
    """How closely people keep to the floor, and how many of them are on it."""

    std_m: float = 0.06
    """Of the ground under a body whose pose and size are known."""
    body_std_scale: float = 1.7
    """Factor on what the spread of the fitted body adds to that, which the fit states too small."""
    elsewhere_share: float = 0.05
    """Of people who are not on it."""
    elsewhere_m: float = 3.0
    """The range of heights at which these are."""
    rounds: int = 4
    """Of finding out who is on the floor, and how high it is by them."""

    def __post_init__(self) -> None:
        positive(self, "std_m", "body_std_scale", "elsewhere_share", "elsewhere_m")
        share(self, "elsewhere_share")
        whole(self, "rounds", at_least=1, at_most=100)


@dataclass(frozen=True)
class FloorGuess:
    """The likeliest floor for each of some directions that may be up."""

    log_likelihood: Float64[Tensor, " directions"]
    """Of the direction, up to a constant."""
    height_m: Float64[Tensor, " directions"]
    std_m: Float64[Tensor, " directions"]
    on_it: Float64[Tensor, "people directions"]
    """How likely each person is on it."""


def guess_floor(
    stances: Stances, up_cam: Float64[Tensor, "directions 3"], config: FloorConfig
) -> FloorGuess:
    """The floor by all people together, for each direction."""
    ground_m, variance = stances.ground_m(up_cam)
    variance = config.body_std_scale**2 * variance + config.std_m**2
    # one start at the ground of each person, on the first axis; the people are on the second
    height = ground_m[:, None]
    for _ in range(config.rounds):
        _, on_it = _membership(ground_m, variance, height, config)
        weight = on_it / variance
        height = ((weight * ground_m).sum(1) / weight.sum(1))[:, None]
    fit, on_it = _membership(ground_m, variance, height, config)
    precision = (on_it / variance).sum(1)
    # the height is integrated out, by Laplace, or those who know it best would count for most
    total = fit.sum(1) + 0.5 * (2 * math.pi / precision).log()
    best = total.argmax(0)
    column = torch.arange(len(up_cam))
    return FloorGuess(
        log_likelihood=total[best, column],
        height_m=height[best, 0, column],
        std_m=precision[best, column].rsqrt(),
        on_it=on_it[best, :, column].T,
    )


def _membership(
    ground_m: Float[Tensor, "people directions"],
    variance: Float[Tensor, "people directions"],
    height: Float[Tensor, "starts 1 directions"],
    config: FloorConfig,
) -> tuple[Float[Tensor, "starts people directions"], Float[Tensor, "starts people directions"]]:
    """Log likelihood of each person's ground, and how likely the person is on this floor."""
    q = (ground_m - height).square() / variance
    here = (1 - config.elsewhere_share) * (-0.5 * q).exp() / (2 * math.pi * variance).sqrt()
    either = here + config.elsewhere_share / config.elsewhere_m
    return either.log(), here / either
