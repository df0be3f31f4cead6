"""What forecasts and bridges learn from: distances of joints and of rotations from recorded ones.

The mean course in metres is what is wanted, so that is what is compared, through the decoder of the
pose prior: joints in the world, joints about the root, and the turns of joints.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kinflow.datasets.motion_sets import RATE_HZ
from kinflow.priors.average_adult import joint_positions_m
from kinflow.priors.base import PosePrior
from kinflow.priors.dynamics.state import LatentMotion
from kinflow.priors.dynamics.weights import DynamicsNetwork
from kinflow.training.priors.dynamics_data import LONGEST, STRIDES, Recorded

FARTHEST = 36
"""Frames of 30 Hz that a forecast looks ahead."""
_MOMENTS = 2
_PER_METRE, _PER_TURN, _PER_LATENT = 20.0, 1.0, 0.2


@dataclass(frozen=True)
class Courses:
    """Losses of forecasts and bridges over a prior's poses."""

    prior: PosePrior

    def loss(self, network: DynamicsNetwork, recorded: Recorded, count: int) -> Tensor:
        """Of `count` windows, at random by the global generator."""
        stride = STRIDES[int(torch.randint(len(STRIDES), ()))]
        weight = recorded.inner_weight[stride]
        rows = recorded.inner[stride][torch.multinomial(weight, count, replacement=True)]
        past = recorded.windows(rows, 2, stride)
        dt_s = torch.full((count, 1), stride / RATE_HZ)
        ahead = 1 + (FARTHEST * torch.rand(count, _MOMENTS)).long()
        gap = 2 + ((LONGEST - 1) * torch.rand(count, 1).square()).long()
        between = 1 + ((gap - 1) * torch.rand(count, _MOMENTS)).long()
        goal = recorded.motion_at(rows[:, None] + gap)
        forecast = network.forecast_of(past, dt_s, ahead / RATE_HZ)
        bridge = network.bridge_of(past, goal, dt_s, gap / RATE_HZ, between / gap)
        found = LatentMotion(
            torch.cat([forecast.z, bridge.z]),
            torch.cat([forecast.R_root, bridge.R_root]),
            torch.cat([forecast.root_m, bridge.root_m]),
        )
        truth = torch.cat([rows[:, None] + ahead, rows[:, None] + between])
        return self._distance(found, recorded, truth)

    def _distance(self, found: LatentMotion, recorded: Recorded, rows: Tensor) -> Tensor:
        """Mean distance of joints in the world and about the root, of turns and of latents."""
        R_free = self.prior.decode(found.z)
        true = recorded.motion_at(rows)
        own = _turned(found.R_root, joint_positions_m(R_free))
        true_own = _turned(true.R_root, recorded.joints_m[rows])
        place = (found.root_m - true.root_m)[..., None, :]
        metres = _length(own - true_own) + _length(own - true_own + place)
        turns = (R_free - recorded.R_free[rows]).square().sum((-1, -2, -3))
        turns = turns + (found.R_root - true.R_root).square().sum((-1, -2))
        latents = (found.z - true.z).abs().mean()
        turned = turns.add(1e-6).sqrt().mean()
        return _PER_METRE * metres + _PER_TURN * turned + _PER_LATENT * latents


def _turned(R: Tensor, points: Tensor) -> Tensor:
    return points @ R.mT


def _length(gap: Tensor) -> Tensor:
    return gap.square().sum(-1).add(1e-6).sqrt().mean()
