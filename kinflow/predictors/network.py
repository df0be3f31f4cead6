"""The evidence network: what the detector saw in, the parameters of a density out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinflow.checks import share, whole
from kinflow.evidence.types import NUM_FEATURES
from kinflow.predictors.coordinates import ROTATION
from kinflow.predictors.flow import ConditionalFlow
from kinflow.predictors.looks import NUM_INPUTS

_LEAST_STD, _MOST_STD = 0.02, 3.0
_FEATURES_DROPPED = 0.1


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of the network.

    Attributes:
        latent_size: of the pose prior whose latent it predicts.
        shape_size: of the shape prior.
        width: of its layers.
        blocks: residual blocks.
        dropout: while training.
        context: numbers of which the flow knows.
        flow_blocks: blocks of the flow.
        flow_hidden: width of its conditioners.
    """

    latent_size: int = 57
    shape_size: int = 6
    width: int = 512
    blocks: int = 2
    dropout: float = 0.3
    context: int = 64
    flow_blocks: int = 4
    flow_hidden: int = 128

    def __post_init__(self) -> None:
        whole(self, "latent_size", "shape_size", "width", "context", at_least=1, at_most=8192)
        whole(self, "blocks", "flow_blocks", "flow_hidden", at_least=1, at_most=4096)
        share(self, "dropout")

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


class EvidenceNetwork(nn.Module):
    """A residual perceptron with heads for a best guess and its spread, and a flow over the rest.

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
        rest = config.size - ROTATION.stop
        self.register_buffer("input_mean", torch.zeros(NUM_INPUTS))
        self.register_buffer("input_std", torch.ones(NUM_INPUTS))
        self.register_buffer("target_mean", torch.zeros(rest))
        self.register_buffer("target_std", torch.ones(rest))
        self.first = nn.Linear(NUM_INPUTS, config.width)
        self.blocks = nn.ModuleList(
            _Block(config.width, config.dropout) for _ in range(config.blocks)
        )
        self.rotation = _head(config.width, 6)
        self.centre = _head(config.width, rest)
        self.log_std = _head(config.width, config.size)
        self.context = nn.Linear(config.width, config.context)
        with torch.no_grad():  # an untrained network sees everybody upright, facing the camera
            self.rotation.bias.copy_(torch.tensor([1.0, 0, 0, 0, -1, 0]))
        self.flow = ConditionalFlow(
            config.size, config.context, config.flow_blocks, config.flow_hidden, config.dropout / 2
        )

    def forward(self, inputs: Float[Tensor, "people inputs"]) -> Guess:
        """Parameters of the densities of some people."""
        x = (inputs - self.input_mean) / self.input_std
        if self.training:
            dropped = torch.rand(len(x), 1, device=x.device) < _FEATURES_DROPPED
            features = x[:, :NUM_FEATURES].masked_fill(dropped, 0.0)
            x = torch.cat([features, x[:, NUM_FEATURES:]], 1)
        hidden = self.first(x)
        for block in self.blocks:
            hidden = block(hidden)
        hidden = nn.functional.silu(hidden)
        R = _from_two_columns(self.rotation(hidden))
        rest = self.centre(hidden) * self.target_std + self.target_mean
        centre = torch.cat([torch.zeros_like(rest[:, :3]), rest], 1)
        spread = torch.cat([torch.full_like(self.target_std[:3], 0.3), self.target_std])
        std = spread * self.log_std(hidden).exp().clamp(_LEAST_STD, _MOST_STD)
        return Guess(R, centre, std, self.context(hidden))


class _Block(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


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
