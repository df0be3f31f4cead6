"""The evidence network: what the detector saw in, the parameters of a density out."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.checks import refuse, share, whole
from kinflow.predictors.heads import DensityNetwork, Guess
from kinflow.predictors.looks import NUM_INPUTS, Looks
from kinflow.predictors.trunk import Trunk

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


class EvidenceNetwork(DensityNetwork):
    """A trunk with heads for a best guess and its spread, and a flow over the rest.

    Args:
        config: its shape.
    """

    input_mean: Tensor
    input_std: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(
            config.size,
            config.readout,
            config.context,
            config.flow_blocks,
            config.flow_hidden,
            config.dropout,
        )
        self.config = config
        self.register_buffer("input_mean", torch.zeros(NUM_INPUTS))
        self.register_buffer("input_std", torch.ones(NUM_INPUTS))
        self.trunk = Trunk(
            config.width,
            config.layers,
            config.heads,
            config.readout,
            config.blocks,
            config.dropout,
        )

    def forward(self, looks: Looks) -> Guess:
        """Parameters of the densities of some people."""
        return self.guess(*self.read(looks))

    def read(
        self, looks: Looks
    ) -> tuple[Float[Tensor, "people readout"], Float[Tensor, "people 33 3"]]:
        """What heads read of some people, and where joints said that they are (`Guess`)."""
        x = (looks.inputs() - self.input_mean) / self.input_std
        x = x.clamp(-_FARTHEST_INPUT, _FARTHEST_INPUT)
        half = nullcontext()
        if self.trunk_dtype is not None:
            half = torch.autocast(x.device.type, self.trunk_dtype)
        with half:
            hidden, points_m = self.trunk(x, looks.world_m)
        return hidden.float(), points_m
