"""What predictors' networks end in: a best guess with its spread, and a flow over the rest."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinflow.predictors.coordinates import ROTATION
from kinflow.predictors.flow import ConditionalFlow

_LEAST_STD, _MOST_STD = 0.02, 3.0


class Guess(NamedTuple):
    """Parameters of the density over vectors (`coordinates.py`), a row for each person."""

    R_view_base: Float[Tensor, "people 3 3"]
    """The rotation that vectors are about: the network's best guess."""
    centre: Float[Tensor, "people size"]
    """The network's best guess; its rotation is zero."""
    std: Float[Tensor, "people size"]
    """Scale of the deviations from it."""
    context: Float[Tensor, "people context"]
    """What the flow over scaled deviations knows."""
    points_m: Float[Tensor, "people 33 3"]
    """Where joints said that they are: about the middle of the hips, in the axes of the view."""


class DensityNetwork(nn.Module):
    """Heads on features of some width, for networks that make these of what they are given.

    Args:
        size: of the vectors that the density is over.
        readout: width of the features.
        context: numbers of which the flow knows.
        flow_blocks: blocks of the flow.
        flow_hidden: width of its conditioners.
        dropout: of the network; the flow has half of it.
    """

    target_mean: Tensor
    target_std: Tensor

    def __init__(
        self,
        size: int,
        readout: int,
        context: int,
        flow_blocks: int,
        flow_hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        rest = size - ROTATION.stop
        self.register_buffer("target_mean", torch.zeros(rest))
        self.register_buffer("target_std", torch.ones(rest))
        self.rotation = _head(readout, 6)
        self.centre = _head(readout, rest)
        self.log_std = _head(readout, size)
        self.context = nn.Linear(readout, context)
        with torch.no_grad():  # an untrained network sees everybody upright, facing the camera
            self.rotation.bias.copy_(torch.tensor([1.0, 0, 0, 0, -1, 0]))
        self.flow = ConditionalFlow(size, context, flow_blocks, flow_hidden, dropout / 2)
        self.trunk_dtype: torch.dtype | None = None
        """What features are computed in, where that is not the weights' own type."""

    def guess(
        self,
        hidden: Float[Tensor, "people readout"],
        points_m: Float[Tensor, "people 33 3"],
    ) -> Guess:
        """Parameters of the densities of people with these features."""
        R = from_two_columns(self.rotation(hidden))
        rest = self.centre(hidden) * self.target_std + self.target_mean
        centre = torch.cat([torch.zeros_like(rest[:, :3]), rest], 1)
        spread = torch.cat([torch.full_like(self.target_std[:3], 0.3), self.target_std])
        std = spread * self.log_std(hidden).exp().clamp(_LEAST_STD, _MOST_STD)
        return Guess(R, centre, std, self.context(hidden), points_m)


def _head(width: int, outputs: int) -> nn.Linear:
    head = nn.Linear(width, outputs)
    with torch.no_grad():
        head.weight.mul_(0.1)
        head.bias.zero_()
    return head


def from_two_columns(columns: Float[Tensor, "*people 6"]) -> Float[Tensor, "*people 3 3"]:
    """A rotation from rough first columns by Gram and Schmidt (Zhou et al. 2019)."""
    a, b = columns.split(3, -1)
    x = nn.functional.normalize(a, dim=-1)
    y = nn.functional.normalize(b - (x * b).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)
