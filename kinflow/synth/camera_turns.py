"""How a camera that stays at its place turns while it films: it follows people, and hands sway.

All rotations are R_cam_first, from the camera's frame at the first frame of a clip to that at each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.checks import numbers_of, positive, share
from kinflow.geometry.rotations import rotvec_to_matrix

_WAVES = 3
"""Sines that a sway is made of."""


@dataclass(frozen=True)
class CameraTurning:
    """How whoever holds a camera turns it.

    Attributes:
        follow: share of the way to the people that the camera turns; 0 looks one way.
        lag_s: how far behind them it is.
        sway_deg: spread of pan, tilt and roll about that.
        sway_s: range of the periods of the sway.
    """

    follow: float = 1.0
    lag_s: float = 0.3
    sway_deg: tuple[float, float, float] = (4.0, 2.0, 1.5)
    sway_s: tuple[float, float] = (0.7, 6.0)

    def __post_init__(self) -> None:
        share(self, "follow")
        positive(self, "lag_s")
        numbers_of(self, "sway_deg", count=3, at_least=0, at_most=90)
        numbers_of(self, "sway_s", count=2, above=0, ascending=True)


def turned(
    centres_m: Float[Tensor, "frames 3"],
    down: Float[Tensor, " 3"],
    rate_hz: float,
    config: CameraTurning,
    rng: np.random.Generator,
) -> Float[Tensor, "frames 3 3"]:
    """From the frame of a camera that does not turn to that of one which does.

    Args:
        centres_m: where people are on average, in the frame of the camera that does not turn.
        down: in that frame, of length 1; the camera pans about it.
        rate_hz: frames a second.
        config: how it turns.
        rng: source of randomness.
    """
    forward = torch.tensor([0.0, 0.0, 1.0])
    ahead = forward - (forward @ down) * down
    ahead = ahead / ahead.norm()
    right = torch.linalg.cross(down, ahead)
    pan = torch.atan2(centres_m @ right, centres_m @ ahead)
    level = torch.hypot(centres_m @ right, centres_m @ ahead)
    looks_down = math.atan2(float(forward @ down), float(forward @ ahead))
    tilt = looks_down - torch.atan2(centres_m @ down, level)
    swayed = _sway(len(centres_m), rate_hz, config, rng)
    pan = config.follow * _behind(pan, rate_hz, config.lag_s) + swayed[:, 0]
    tilt = config.follow * _behind(tilt, rate_hz, config.lag_s) + swayed[:, 1]
    zero = torch.zeros_like(tilt)
    R_still_turned = (
        rotvec_to_matrix(pan[:, None] * down)
        @ rotvec_to_matrix(torch.stack([tilt, zero, zero], -1))
        @ rotvec_to_matrix(torch.stack([zero, zero, swayed[:, 2]], -1))
    )
    return R_still_turned.mT


def _behind(angle: Float[Tensor, " frames"], rate_hz: float, lag_s: float) -> Tensor:
    """Somebody who follows an angle, a moment later and smoothly: two low-passes in a row."""
    a = 1 / (1 + 0.5 * lag_s * rate_hz)
    for _ in range(2):
        out = [angle[0]]
        for value in angle[1:]:
            out.append(out[-1] + a * (value - out[-1]))
        angle = torch.stack(out)
    return angle


def _sway(
    frames: int, rate_hz: float, config: CameraTurning, rng: np.random.Generator
) -> Float[Tensor, "frames 3"]:
    """Pan, tilt and roll of hands, radians, as sums of sines."""
    time_s = np.arange(frames)[:, None, None] / rate_hz
    low, high = np.log(config.sway_s)
    period_s = np.exp(rng.uniform(low, high, (_WAVES, 3)))
    phase = rng.uniform(0, 2 * np.pi, (_WAVES, 3))
    # slow sways are wide, quick ones narrow
    size = rng.standard_normal((_WAVES, 3)) * period_s / config.sway_s[1]
    waves = (size * np.sin(2 * np.pi * time_s / period_s + phase)).sum(1)
    return torch.from_numpy(np.radians(config.sway_deg) * waves).float()
