"""Where a motion goes on average: forecasts, and ways between two known ends.

Two small networks, each a correction of a simple course. A forecast corrects the motion that goes
on at constant velocity; a bridge corrects the straight way to a goal (linear in the latent and in
place, the shortest turn of the root). Both take any moment of time at once, so that errors do not
add up over steps.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinflow.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix
from kinflow.priors.dynamics.state import CONTEXT_ROOT_DIM, ROOT_DIM, LatentMotion

GOAL_ROOT_DIM = 9
_WAVES = 4
_REACH_S = 1.0
"""Times are counted in this unit."""
_GAIN = 0.1
"""Of what the networks give: steps of training are of one size, and latent velocities are large."""
_FADES_S = 0.25
"""In which the velocity of a pose is forgotten before anything is learned."""
_SETS_IN_S = 0.12
"""In which a forecast is free to leave the motion that goes on."""


class CourseNetwork(nn.Module):
    """A perceptron from context, goal and moment to two numbers for each coordinate of a step.

    Args:
        latent: size of the pose latent.
        hidden: width.
        goal: whether there is one.
        dropout: while training.
    """

    def __init__(self, latent: int, hidden: int, goal: bool, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        inputs = 2 * latent + CONTEXT_ROOT_DIM + 1 + 2 * _WAVES + 1
        inputs += latent + GOAL_ROOT_DIM + 1 if goal else 0
        self.first = nn.Linear(inputs, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.third = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, 2 * (latent + ROOT_DIM))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, known: Tensor) -> tuple[Tensor, Tensor]:
        h = self._dropped(F.silu(self.first(known)))
        h = h + self._dropped(F.silu(self.second(h)))
        h = h + self._dropped(F.silu(self.third(h)))
        return (_GAIN * self.last(h)).chunk(2, -1)

    def _dropped(self, h: Tensor) -> Tensor:
        return F.dropout(h, self.dropout, self.training)


def forecast(
    network: CourseNetwork,
    q: Float[Tensor, "batch q"],
    context: Float[Tensor, "batch q"],
    last: LatentMotion,
    tau: Float[Tensor, "batch 1"],
    ahead_s: Float[Tensor, "batch moments"],
) -> LatentMotion:
    """The mean motion after a frame.

    Args:
        network: of forecasts.
        q: normalised context.
        context: the same in units.
        last: the frame, one.
        tau: `log_time` of the time step in the context.
        ahead_s: moments after the frame.
    """
    s = ahead_s[..., None] / _REACH_S
    known = torch.cat([_repeated(torch.cat([q, tau], -1), s), _moment(s)], -1)
    keep, push = network(known)
    size = last.z.shape[-1]
    velocity = context[:, None, size : 2 * size + ROOT_DIM]
    fading = torch.exp(-(ahead_s[..., None] / _FADES_S).square())
    # the root keeps going, a pose comes to rest
    root = torch.ones(ROOT_DIM).to(fading).expand(*fading.shape[:-1], -1)
    held = torch.cat([fading.expand(*fading.shape[:-1], size), root], -1)
    free = torch.tanh(ahead_s[..., None] / _SETS_IN_S).square()
    way = ahead_s[..., None] * velocity * (held + free * keep) + free * push
    return _moved(last, way)


def bridge(
    network: CourseNetwork,
    q: Float[Tensor, "batch q"],
    context: Float[Tensor, "batch q"],
    last: LatentMotion,
    goal: LatentMotion,
    tau: Float[Tensor, "batch 1"],
    span_s: Float[Tensor, "batch 1"],
    share: Float[Tensor, "batch moments"],
) -> LatentMotion:
    """The mean motion from a frame to a goal, at some shares of the way in time.

    Args:
        network: of bridges.
        q, context, last, tau: as for `forecast`.
        goal: one frame.
        span_s: time from the frame to the goal.
        share: moments, 0 at the frame and 1 at the goal, where the motion is exactly these.
    """
    R = last.R_root[:, 0].mT
    turn = matrix_to_rotvec(R @ goal.R_root[:, 0])
    moved = (R @ (goal.root_m - last.root_m)[:, 0, :, None])[..., 0]
    whole = torch.cat([goal.z[:, 0] - last.z[:, 0], turn, moved], -1)
    speed = whole / span_s
    u = share[..., None]
    told = torch.cat([q, tau, whole, goal.R_root[:, 0, 1], span_s / _REACH_S], -1)
    bend, push = network(torch.cat([_repeated(told, u), _moment(u)], -1))
    size = last.z.shape[-1]
    velocity = context[:, size : 2 * size + ROOT_DIM]
    # the first term leaves with the velocity that there is, the second one is free
    excess = ((velocity - speed) * span_s)[:, None]
    hump = u * (1 - u)
    way = u * whole[:, None] + hump * ((1 - u) * excess * (0.5 + bend) + 4 * push)
    return _moved(last, way)


def _repeated(known: Tensor, moments: Tensor) -> Tensor:
    return known[:, None].expand(-1, moments.shape[1], -1)


def _moment(s: Tensor) -> Tensor:
    """A moment as numbers that tell near ones apart."""
    waves = math.pi * s * torch.arange(1, _WAVES + 1).to(s)
    return torch.cat([s, waves.sin(), waves.cos()], -1)


def _moved(last: LatentMotion, way: Float[Tensor, "batch moments x"]) -> LatentMotion:
    """A frame moved by changes of latent, turn and place, the latter in its root's frame."""
    z, turn, moved = way.split([way.shape[-1] - ROOT_DIM, 3, 3], -1)
    R = last.R_root
    place = last.root_m + (R @ moved[..., None])[..., 0]
    return LatentMotion(last.z + z, R @ rotvec_to_matrix(turn), place)
