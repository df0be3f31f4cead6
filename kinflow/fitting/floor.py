"""The floor that people of a photo share: how high it is, and what it says of up.

How high the ground is under each person follows from their body, for any direction that may be up.
Most people of a photo are on one floor, so that directions by which these heights agree are
likelier; whoever is on stairs, in the air or badly fitted is an outlier. Children are easily taken
for adults who are further away, and adults are no giants, so that of two people who disagree the
one with the ground further from the camera may be a child. Heights are along up, above the camera
(negative for a floor below it).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from kinflow.checks import numbers_of, positive, share, whole
from kinflow.fitting.stances import Stances

FARTHEST_LOG_ODDS = 4.0
"""Nobody is taken to be a child, or an adult, more surely than this before the floor is asked."""


@dataclass(frozen=True)
class FloorConfig:
    """How closely people keep to the floor, and how many of them are on it."""

    std_m: float = 0.06
    """Of the ground under a body whose pose and size are known."""
    body_std_scale: float = 1.7
    """Factor on what the spread of the fitted body adds to that, which the fit states too small."""
    hidden_std_m: float = 0.15
    """Of the ground under a body whose legs nobody saw, which may stand or sit."""
    child_share: float = 0.1
    """Of people who were taken for adults further away, where nothing else tells; of those whose
    legs nobody saw, none."""
    child_sizes: tuple[float, float] = (0.38, 0.95)
    """How tall they are, relative to what they were taken for."""
    elsewhere_share: float = 0.05
    """Of people who are not on it."""
    elsewhere_m: float = 3.0
    """The range of heights at which these are."""
    unknown_std_m: float = 0.5
    """A floor that is known no better than this is not told."""
    rounds: int = 4
    """Of finding out who is on the floor, and how high it is by them."""

    def __post_init__(self) -> None:
        positive(self, "std_m", "body_std_scale", "elsewhere_share", "elsewhere_m")
        positive(self, "unknown_std_m", "hidden_std_m")
        share(self, "elsewhere_share", "child_share")
        numbers_of(self, "child_sizes", count=2, above=0, at_most=1, ascending=True)
        whole(self, "rounds", at_least=1, at_most=100)


@dataclass(frozen=True)
class FloorGuess:
    """The likeliest floor for each of some directions that may be up."""

    log_likelihood: Float64[Tensor, " directions"]
    """Of the direction, up to a constant."""
    height_m: Float64[Tensor, " directions"]
    std_m: Float64[Tensor, " directions"]
    on_it: Float64[Tensor, "people directions"]
    """How likely each person is on it, at the distance where they were fitted."""
    nearer: Float64[Tensor, "people directions"]
    """How likely each person is a child on it, nearer than they were fitted."""
    distance: Float64[Tensor, "people directions"]
    """Of those, relative to where they were fitted."""


def guess_floor(
    stances: Stances,
    up_cam: Float64[Tensor, "directions 3"],
    config: FloorConfig,
    child_log_odds: Float[Tensor, " people"] | None = None,
    step_deg: float = 0.0,
) -> FloorGuess:
    """The floor by all people together, for each direction.

    Args:
        stances: of the people.
        up_cam: directions that may be up.
        config: how closely they keep to it.
        child_log_odds: of who was taken for an adult being a child, NaN where nothing tells.
        step_deg: between directions, each of which stands for all that are nearest to it: the
            farther people are from each other, the more these differ.
    """
    ground_m, variance = stances.ground_m(up_cam)
    places = stances.points_cam_m.mean(1)
    away_m = (places - places.mean(0)).norm(dim=1, keepdim=True)
    variance = variance + (math.radians(step_deg) / math.sqrt(12) * away_m) ** 2
    hidden_m = config.hidden_std_m * (1 - stances.legs[:, None])
    variance = config.body_std_scale**2 * variance + config.std_m**2 + hidden_m**2
    child = _child_share(stances, config, child_log_odds)
    # one start at the ground of each person, on the first axis; the people are on the second
    height = ground_m[:, None]
    for _ in range(config.rounds):
        weight = _membership(ground_m, variance, height, child, config).on_it / variance
        height = ((weight * ground_m).sum(1) / weight.sum(1))[:, None]
    members = _membership(ground_m, variance, height, child, config)
    precision = (members.on_it / variance).sum(1)
    # the height is integrated out, by Laplace, or those who know it best would count for most
    total = members.log_likelihood.sum(1) + 0.5 * (2 * math.pi / precision).log()
    best = total.argmax(0)
    column = torch.arange(len(up_cam))
    height_m = height[best, 0, column]
    return FloorGuess(
        log_likelihood=total[best, column],
        height_m=height_m,
        std_m=precision[best, column].rsqrt(),
        on_it=members.on_it[best, :, column].T,
        nearer=members.nearer[best, :, column].T,
        distance=height_m / ground_m,
    )


def _child_share(
    stances: Stances, config: FloorConfig, child_log_odds: Float[Tensor, " people"] | None
) -> Float64[Tensor, "people 1"]:
    """How likely each person is a child before any floor is looked at."""
    share = torch.full_like(stances.legs, config.child_share)
    if child_log_odds is not None:
        odds = child_log_odds.to(share).clamp(-FARTHEST_LOG_ODDS, FARTHEST_LOG_ODDS)
        share = torch.where(odds.isnan(), share, odds.sigmoid())
    return (share * stances.legs)[:, None]


class _Members(NamedTuple):
    """Of each person, by the height of the floor that each start came to."""

    log_likelihood: Float[Tensor, "starts people directions"]
    on_it: Float[Tensor, "starts people directions"]
    nearer: Float[Tensor, "starts people directions"]


def _membership(
    ground_m: Float[Tensor, "people directions"],
    variance: Float[Tensor, "people directions"],
    height: Float[Tensor, "starts 1 directions"],
    child: Float64[Tensor, "people 1"],
    config: FloorConfig,
) -> _Members:
    """Who is on a floor of this height."""
    std = variance.sqrt()
    on_it = (-0.5 * ((ground_m - height) / std).square()).exp() / (math.sqrt(2 * math.pi) * std)
    on_it = (1 - config.elsewhere_share) * (1 - child) * on_it
    # whoever is smaller and as much nearer has the ground as much nearer to the camera's height
    near, far = (size * ground_m for size in config.child_sizes)
    inside = torch.special.ndtr((far - height) / std) - torch.special.ndtr((near - height) / std)
    nearer = inside.abs() / (far - near).abs().clamp_min(1e-6)
    nearer = (1 - config.elsewhere_share) * child * nearer
    either = on_it + nearer + config.elsewhere_share / config.elsewhere_m
    return _Members(either.log(), on_it / either, nearer / either)
