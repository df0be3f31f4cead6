"""Who is a child by the floor that people share.

A child who was taken for an adult is further away than it should be, and with it the ground under
its feet is further from the camera's height than that under others. How much likelier somebody is a
child follows from where the others' ground can be, whichever of them are children themselves. It
takes two others: a single one may be small as well, or nobody.
Heights are along up, above the camera (negative for a floor below it).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from kinflow.fitting.floor import FARTHEST_LOG_ODDS, FloorConfig
from kinflow.fitting.size_signs import SizeSigns
from kinflow.fitting.sizes import child_log_odds_of
from kinflow.fitting.stances import Stances
from kinflow.results import Gravity

BODY_STD_M = 0.12
"""Of the ground under somebody whose pose and size are known: twice `FloorConfig.std_m`."""
ADULT_SIZE_STD = 0.08
"""Of adults' sizes, relative to those that they were fitted with, which hardly differ."""
CHILD_SIZES, CHILD_SIZE_STD = (0.45, 0.92), 0.04
"""Children's sizes by these of adults, and how far a child of one size was fitted otherwise."""
ELSEWHERE_SHARE = 0.2
"""People on stairs, in the air or badly fitted, by whom nobody is to become a child."""
LEAST_PEOPLE = 3
"""In a photo, for the floor to tell anything."""

_HEIGHTS_M = (-6.0, 1.0, 351)
"""Floors that are tried: the lowest, the highest and how many."""
_SIZES = 24


def with_floors(
    signs: Sequence[SizeSigns | None],
    stances: Sequence[Stances],
    gravity: Sequence[Gravity],
    config: FloorConfig,
) -> list[SizeSigns | None]:
    """Signs of everybody in some photos, with those of the floors.

    Args:
        signs: of all people, photo by photo.
        stances: of the adults that explain them, photo by photo.
        gravity: of each photo.
        config: how closely people keep to floors.
    """
    odds = child_log_odds_of(signs)
    nats: list[float] = []
    for some, up in zip(stances, gravity, strict=True):
        mine = odds[len(nats) : len(nats) + len(some)]
        nats += child_nats_by_floor(some, up, mine, config).tolist()
    return [
        None if one is None else replace(one, floor=floor)
        for one, floor in zip(signs, nats, strict=True)
    ]


def child_nats_by_floor(
    stances: Stances, gravity: Gravity, log_odds: Float[Tensor, " people"], config: FloorConfig
) -> Float64[Tensor, " people"]:
    """How much likelier the ground under each person is if they are a child than if they are not
    (log likelihood ratio); 0 where there are fewer than `LEAST_PEOPLE`.

    Args:
        stances: of the adults that explain everybody's keypoints.
        gravity: of the photo.
        log_odds: of everybody being a child by all else, NaN where nothing is known.
        config: how closely people keep to floors.
    """
    if len(stances) < LEAST_PEOPLE:
        return torch.zeros(len(stances), dtype=torch.float64)
    floor_m = torch.linspace(*_HEIGHTS_M, dtype=torch.float64)
    ground_m, std_m = _ground(stances, gravity, config)
    adult = _of_floors(floor_m, ground_m, torch.hypot(std_m, ADULT_SIZE_STD * ground_m))
    sizes = torch.linspace(*CHILD_SIZES, _SIZES, dtype=torch.float64)[:, None, None]
    sized_m = torch.hypot(sizes * std_m, CHILD_SIZE_STD * ground_m)
    child = _of_floors(floor_m, sizes * ground_m, sized_m).mean(0)
    adult, child = (
        (1 - ELSEWHERE_SHARE) * on_it + ELSEWHERE_SHARE / config.elsewhere_m
        for on_it in (adult, child)
    )
    before = log_odds.double().cpu().nan_to_num(-FARTHEST_LOG_ODDS)
    share = before.clamp(-FARTHEST_LOG_ODDS, FARTHEST_LOG_ODDS).sigmoid()[:, None]
    either = ((1 - share) * adult + share * child).log()
    others = either.sum(0) - either  # how likely each floor is by everybody else
    child, adult = ((others + own.log()).logsumexp(1) for own in (child, adult))
    return child - adult


def _ground(
    stances: Stances, gravity: Gravity, config: FloorConfig
) -> tuple[Float64[Tensor, "people 1"], Float64[Tensor, "people 1"]]:
    """The height of the ground under each person, and how far that could be otherwise."""
    up = torch.tensor([gravity.up_cam], dtype=torch.float64)
    ground_m, variance = stances.ground_m(up)
    places = stances.points_cam_m.mean(1)
    # what tilts by some degrees rises or falls the more the further away it is
    away_m = (places - places.median(0).values).norm(dim=1, keepdim=True)
    tilt_m = math.radians(gravity.std_deg) * away_m
    hidden_m = config.hidden_std_m * (1 - stances.legs[:, None])
    variance = config.body_std_scale**2 * variance + BODY_STD_M**2 + hidden_m**2 + tilt_m**2
    return ground_m, variance.sqrt()


def _of_floors(
    floor_m: Float64[Tensor, " floors"],
    ground_m: Float64[Tensor, "*sizes people 1"],
    std_m: Float64[Tensor, "*sizes people 1"],
) -> Float64[Tensor, "*sizes people floors"]:
    """Density of the floors by the ground under each person."""
    off = (floor_m - ground_m) / std_m
    return (-0.5 * off.square()).exp() / (math.sqrt(2 * math.pi) * std_m)
