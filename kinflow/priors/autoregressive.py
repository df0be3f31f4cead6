"""Autoregressive flows over whitened pose coordinates: MAF and IAF.

Each block is an invertible linear mixing followed by an affine transform of every coordinate given
those before it, by zuko's masked network. One direction takes one pass through the network, the
other as many as there are coordinates: the fast pass of a masked autoregressive flow (MAF,
Papamakarios et al. 2017) goes from poses to latents, that of an inverse autoregressive flow (IAF,
Kingma et al. 2016) from latents to poses.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import nn
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.lazy import LazyTransform
from zuko.transforms import ComposedTransform, MonotonicAffineTransform

from kinflow.priors.flow_network import FlowNetwork, LinearMixing, num_perceptron_weights


@dataclass(frozen=True)
class AutoregressiveConfig:
    """Shape of an autoregressive flow.

    Attributes:
        dim: number of coordinates.
        blocks: number of (mixing, autoregression) blocks.
        hidden: width of the masked networks.
        depth: number of hidden layers in each.
        dropout: dropout probability in them, while training.
        fast: the direction that takes one pass: "encode" for a MAF, "decode" for an IAF.
        max_log_scale: bound on the log of the scale.
    """

    dim: int
    blocks: int = 4
    hidden: int = 128
    depth: int = 2
    dropout: float = 0.2
    fast: Literal["encode", "decode"] = "encode"
    max_log_scale: float = 2.0

    @property
    def family(self) -> str:
        """What the literature calls a flow of this shape."""
        return {"encode": "maf", "decode": "iaf"}[self.fast]

    @property
    def num_weights(self) -> int:
        """How many numbers a flow of this shape is made of."""
        widths = (self.dim, *[self.hidden] * self.depth, 2 * self.dim)
        return self.blocks * (self.dim**2 + self.dim + num_perceptron_weights(widths))


class AutoregressiveFlow(FlowNetwork):
    """A stack of mixings and masked autoregressive transforms or their inverses."""

    config: AutoregressiveConfig

    def __init__(self, config: AutoregressiveConfig) -> None:
        super().__init__()
        self.config = config
        self.mixings = nn.ModuleList(LinearMixing(config.dim) for _ in range(config.blocks))
        self.steps = nn.ModuleList(_masked_step(config) for _ in range(config.blocks))

    @property
    def decodes_in_one_pass(self) -> bool:
        return self.config.fast == "decode"

    def transform(self) -> ComposedTransform:
        blocks = []
        for mixing, step in zip(self.mixings, self.steps, strict=True):
            autoregression = step()
            blocks += [mixing(), autoregression.inv if self.decodes_in_one_pass else autoregression]
        return ComposedTransform(*blocks)


def _masked_step(config: AutoregressiveConfig) -> LazyTransform:
    """A masked network whose zero last layer makes the untrained step the identity."""
    step: Any = MaskedAutoregressiveTransform(
        config.dim,
        univariate=partial(MonotonicAffineTransform, slope=math.exp(-config.max_log_scale)),
        hidden_features=[config.hidden] * config.depth,
        activation=lambda: nn.Sequential(nn.SiLU(), nn.Dropout(config.dropout)),
    )
    last = step.hyper[-1]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return step
