"""Coupling flows over whitened pose coordinates: NICE, Real-NVP, Glow and neural spline flows.

Each block is an invertible linear mixing of all coordinates followed by a coupling layer in which
one half of the coordinates, through a small network, decides how the other half is transformed.
Densities and inverses are those of zuko's transforms; only the conditioning networks (zuko's has
no dropout, a regulariser that matters here) and the initialisation are our own.

All four mix with the invertible linear layer of Glow, where NICE and Real-NVP originally swapped
halves.

Sources: NICE (Dinh et al. 2014), Real-NVP (Dinh et al. 2017), Glow (Kingma & Dhariwal 2018),
neural spline flows (Durkan et al. 2019).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from typing_extensions import assert_never
from zuko.transforms import (
    AdditiveTransform,
    ComposedTransform,
    CouplingTransform,
    DependentTransform,
    MonotonicAffineTransform,
    MonotonicRQSTransform,
)

from kinflow.priors.flow_network import FlowNetwork, LinearMixing, num_perceptron_weights

Coupling = Literal["additive", "affine", "spline"]


@dataclass(frozen=True)
class CouplingConfig:
    """Shape of a coupling flow.

    Attributes:
        dim: number of coordinates.
        blocks: number of (mixing, coupling) blocks.
        hidden: width of the conditioning networks.
        depth: number of hidden layers in each.
        dropout: dropout probability in them, while training.
        coupling: how the second half is transformed given the first.
        max_log_scale: bound on the log of an affine coupling's scale.
        bins: number of bins of a spline coupling.
        act_norm: scale every coordinate before the mixing, as Glow does.
    """

    dim: int
    blocks: int = 6
    hidden: int = 128
    depth: int = 2
    dropout: float = 0.2
    coupling: Coupling = "affine"
    max_log_scale: float = 2.0
    bins: int = 8
    act_norm: bool = False

    @property
    def family(self) -> str:
        """What the literature calls a flow of this shape."""
        if self.coupling == "affine":
            return "glow" if self.act_norm else "realnvp"
        return {"additive": "nice", "spline": "spline"}[self.coupling]

    @property
    def num_conditioning(self) -> int:
        """Size of the half that conditions and stays as it is."""
        return self.dim // 2

    @property
    def num_transformed(self) -> int:
        return self.dim - self.num_conditioning

    @property
    def outputs_per_coordinate(self) -> int:
        match self.coupling:
            case "additive":
                return 1
            case "affine":
                return 2
            case "spline":
                return 3 * self.bins - 1
            case _ as unreachable:
                assert_never(unreachable)

    @property
    def num_weights(self) -> int:
        """How many numbers a flow of this shape is made of."""
        outputs = self.num_transformed * self.outputs_per_coordinate
        widths = (self.num_conditioning, *[self.hidden] * self.depth, outputs)
        mixing = self.dim**2 + (2 if self.act_norm else 1) * self.dim
        return self.blocks * (mixing + num_perceptron_weights(widths))


def conditioner(config: CouplingConfig) -> nn.Sequential:
    """Conditioning network; its zero last layer makes the untrained coupling the identity."""
    layers: list[nn.Module] = []
    width = config.num_conditioning
    for _ in range(config.depth):
        layers += [nn.Linear(width, config.hidden), nn.SiLU(), nn.Dropout(config.dropout)]
        width = config.hidden
    last = nn.Linear(width, config.num_transformed * config.outputs_per_coordinate)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


class CouplingFlow(FlowNetwork):
    """A stack of mixings and couplings; both directions take one pass."""

    config: CouplingConfig

    def __init__(self, config: CouplingConfig) -> None:
        super().__init__()
        self.config = config
        self.mixings = nn.ModuleList(
            LinearMixing(config.dim, config.act_norm) for _ in range(config.blocks)
        )
        self.conditioners = nn.ModuleList(conditioner(config) for _ in range(config.blocks))

    @property
    def decodes_in_one_pass(self) -> bool:
        return True

    def _coupling(self, network: nn.Module, x_a: Tensor) -> DependentTransform:
        config = self.config
        out = network(x_a).unflatten(-1, (config.outputs_per_coordinate, config.num_transformed))
        match config.coupling:
            case "additive":
                univariate = AdditiveTransform(out[..., 0, :])
            case "affine":
                slope = math.exp(-config.max_log_scale)
                univariate = MonotonicAffineTransform(out[..., 0, :], out[..., 1, :], slope)
            case "spline":
                sizes = (config.bins, config.bins, config.bins - 1)
                univariate = MonotonicRQSTransform(*out.mT.split(sizes, -1))
            case _ as unreachable:
                assert_never(unreachable)
        return DependentTransform(univariate, 1)

    def transform(self) -> ComposedTransform:
        blocks = []
        for mixing, network in zip(self.mixings, self.conditioners, strict=True):
            blocks.append(mixing())
            meta = _Meta(self, network)
            blocks.append(_HalvesCoupling(meta, self.config.num_conditioning))
        return ComposedTransform(*blocks)


class _HalvesCoupling(CouplingTransform):
    """zuko's coupling, whose first half conditions: slices in place of the indices of a mask.

    Indices would be looked up at every call, and a GPU would wait for the answer.
    """

    def __init__(self, meta: "_Meta", num_conditioning: int) -> None:
        super(CouplingTransform, self).__init__()
        self.meta, self.num_conditioning = meta, num_conditioning

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[..., : self.num_conditioning], x[..., self.num_conditioning :]

    def merge(self, x_a: Tensor, x_b: Tensor, shape: torch.Size) -> Tensor:
        return torch.cat([x_a, x_b], -1)


@dataclass(frozen=True)
class _Meta:
    """Binds a conditioning network, as zuko's coupling asks for."""

    flow: CouplingFlow
    network: nn.Module

    def __call__(self, x_a: Tensor) -> DependentTransform:
        return self.flow._coupling(self.network, x_a)
