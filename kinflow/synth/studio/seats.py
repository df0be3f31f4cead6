"""Who sits: on chairs, on the floor, in saddles and on bicycles, and who squats.

Motion capture has few of them, so legs of recorded poses are bent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kinflow.body.sides import SIDES
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.geometry.rotations import about_axis
from kinflow.synth.studio.dice import Dice

_DEGREE = math.pi / 180
_SPIN_STD_DEG, _ASIDE_STD_DEG, _ANKLE_STD_DEG = 12.0, 8.0, 8.0
"""Spreads of how thighs turn about themselves, of how far trunks lean aside and toes point down."""


@dataclass(frozen=True)
class Seat:
    """How somebody sits; ranges and, of the trunk's lean, mean and standard deviation, in degrees.

    Thighs are raised from where a standing person has them, not by what the trunk leans.
    """

    share: float
    """Of all who sit."""
    thigh_deg: tuple[float, float]
    knee_deg: tuple[float, float]
    apart_deg: tuple[float, float]
    """How far raised thighs point outwards."""
    spread_deg: tuple[float, float] = (0.0, 0.0)
    """How far they are spread besides, as by what is between them."""
    lean_deg: tuple[float, float] = (4.0, 10.0)
    knee_with_thigh: float = 0.0
    """Knees are bent by this multiple of the thigh's angle besides, as those of who pedals."""


CHAIR = Seat(0.5, (60.0, 110.0), (50.0, 115.0), (-5.0, 25.0))
FLOOR = Seat(0.2, (60.0, 110.0), (5.0, 125.0), (0.0, 45.0))
SADDLE = Seat(0.12, (25.0, 80.0), (20.0, 95.0), (0.0, 25.0), (5.0, 25.0))
BICYCLE = Seat(
    0.12, (5.0, 80.0), (10.0, 35.0), (-5.0, 10.0), (0.0, 4.0), (25.0, 15.0), knee_with_thigh=0.9
)
SQUAT = Seat(0.06, (75.0, 115.0), (90.0, 145.0), (0.0, 35.0), (0.0, 10.0), (18.0, 14.0))
SEATS: tuple[Seat, ...] = (CHAIR, FLOOR, SADDLE, BICYCLE, SQUAT)
_CHAIR, _RIDDEN = SEATS.index(CHAIR), (SEATS.index(SADDLE), SEATS.index(BICYCLE))


@dataclass(frozen=True)
class Seated:
    """People who sit."""

    pose: Float[Tensor, "count 22 3 3"]
    seat: Int64[Tensor, " count"]
    """Row of `SEATS`."""

    @property
    def on_chair(self) -> Bool[Tensor, " count"]:
        """Who may sit at a table."""
        return self.seat == _CHAIR

    @property
    def rides(self) -> Bool[Tensor, " count"]:
        """Who holds on to something."""
        return torch.isin(self.seat, self.seat.new_tensor(_RIDDEN))


def seated(pose: Float[Tensor, "count 22 3 3"], dice: Dice) -> Seated:
    """Poses of people who sit, with the upper bodies of others; they face along z.

    Args:
        pose: local rotations; entry 0 is replaced.
        dice: draws how.
    """
    count, pose = len(pose), pose.clone()
    seat = dice.kinds(count, tuple(kind.share for kind in SEATS))

    def within(name: str) -> Tensor:
        low, high = _of_seats(name, seat).unbind(-1)
        return torch.lerp(low, high, dice.uniform(count))

    mean, std = _of_seats("lean_deg", seat).unbind(-1)
    lean = mean + std * dice.normal(count)
    with_thigh = _of_seats("knee_with_thigh", seat)
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        thigh = within("thigh_deg")
        knee = within("knee_deg") + with_thigh * thigh
        outwards = about_axis("y", sign * within("apart_deg") * _DEGREE)
        spread = about_axis("z", sign * within("spread_deg") * _DEGREE)
        raised = about_axis("x", -(thigh + lean.clamp_min(0)) * _DEGREE)
        spin = about_axis("y", dice.normal(count, std=_SPIN_STD_DEG * _DEGREE))
        pose[:, JOINT_INDEX[f"{side}_hip"]] = spread @ outwards @ raised @ spin
        pose[:, JOINT_INDEX[f"{side}_knee"]] = about_axis("x", knee.clamp(0, 150) * _DEGREE)
        ankle = dice.normal(count, std=_ANKLE_STD_DEG * _DEGREE)
        pose[:, JOINT_INDEX[f"{side}_ankle"]] = about_axis("x", ankle)
    aside = about_axis("z", dice.normal(count, std=_ASIDE_STD_DEG * _DEGREE))
    pose[:, 0] = aside @ about_axis("x", lean * _DEGREE)
    return Seated(pose, seat)


def _of_seats(name: str, seat: Int64[Tensor, " count"]) -> Tensor:
    return torch.tensor([getattr(kind, name) for kind in SEATS], device=seat.device)[seat]
