"""The evidence network: what the detector saw in, the parameters of a density out."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinflow.checks import refuse, share, whole
from kinflow.predictors.coordinates import ROTATION
from kinflow.predictors.flow import ConditionalFlow
from kinflow.predictors.looks import NUM_INPUTS, Looks
from kinflow.predictors.trunk import Trunk

_LEAST_STD, _MOST_STD = 0.02, 3.0
_FARTHEST_INPUT = 8.0
"""In standard deviations: beyond what training saw, farther says no more."""


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of the network.

    Attributes:
        latent_size: of the pose prior whose latent it predicts.
        shape_size: of the shape prior.
        width: of tokens.
        layers: of the encoder over them.
        heads: of its attention.
        readout: width of what reads the tokens.
        blocks: residual blocks of the readout.
        dropout: while training.
        context: numbers of which the flow knows.
        flow_blocks: blocks of the flow.
        flow_hidden: width of its conditioners.
    """

    latent_size: int = 57
    shape_size: int = 6
    width: int = 192
    layers: int = 4
    heads: int = 6
    readout: int = 512
    blocks: int = 2
    dropout: float = 0.05
    context: int = 96
    flow_blocks: int = 6
    flow_hidden: int = 192

    def __post_init__(self) -> None:
        whole(self, "latent_size", "shape_size", "context", at_least=1, at_most=8192)
        whole(self, "width", "readout", "heads", at_least=1, at_most=8192)
        whole(self, "layers", "blocks", "flow_blocks", "flow_hidden", at_least=1, at_most=4096)
        share(self, "dropout")
        if self.width % self.heads:
            refuse(f"width has to be a multiple of heads, {self.heads}, not {self.width}.")

    @property
    def size(self) -> int:
        """Length of the vectors that a density is over."""
        return 6 + self.latent_size + self.shape_size


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


class EvidenceNetwork(nn.Module):
    """A trunk with heads for a best guess and its spread, and a flow over the rest.

    Args:
        config: its shape.
    """

    input_mean: Tensor
    input_std: Tensor
    target_mean: Tensor
    target_std: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk_dtype: torch.dtype | None = None
        """What the trunk computes in, where that is not its weights' own type."""
        rest = config.size - ROTATION.stop
        self.register_buffer("input_mean", torch.zeros(NUM_INPUTS))
        self.register_buffer("input_std", torch.ones(NUM_INPUTS))
        self.register_buffer("target_mean", torch.zeros(rest))
        self.register_buffer("target_std", torch.ones(rest))
        self.trunk = Trunk(
            config.width,
            config.layers,
            config.heads,
            config.readout,
            config.blocks,
            config.dropout,
        )
        self.rotation = _head(config.readout, 6)
        self.centre = _head(config.readout, rest)
        self.log_std = _head(config.readout, config.size)
        self.context = nn.Linear(config.readout, config.context)
        with torch.no_grad():  # an untrained network sees everybody upright, facing the camera
            self.rotation.bias.copy_(torch.tensor([1.0, 0, 0, 0, -1, 0]))
        self.flow = ConditionalFlow(
            config.size, config.context, config.flow_blocks, config.flow_hidden, config.dropout / 2
        )

    def forward(self, looks: Looks) -> Guess:
        """Parameters of the densities of some people."""
        x = (looks.inputs() - self.input_mean) / self.input_std
        x = x.clamp(-_FARTHEST_INPUT, _FARTHEST_INPUT)
        half = nullcontext()
        if self.trunk_dtype is not None:
            half = torch.autocast(x.device.type, self.trunk_dtype)
        with half:
            hidden, points_m = self.trunk(x, looks.world_m)
        hidden = hidden.float()
        R = _from_two_columns(self.rotation(hidden))
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


def _from_two_columns(columns: Float[Tensor, "people 6"]) -> Float[Tensor, "people 3 3"]:
    """A rotation from rough first columns by Gram and Schmidt (Zhou et al. 2019)."""
    a, b = columns.split(3, 1)
    x = nn.functional.normalize(a, dim=1)
    y = nn.functional.normalize(b - (x * b).sum(1, keepdim=True) * x, dim=1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)
