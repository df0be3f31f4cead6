"""Coupling flows over whitened pose coordinates: the trainable densities.

A flow is a stack of blocks, each an invertible linear mixing of all coordinates followed by a
coupling layer in which one half of the coordinates, through a small network, decides how the other
half is transformed. Densities and inverses are those of zuko's transforms; only the conditioning
networks (zuko's MLP has no dropout, the regulariser that matters most here) and the initialisation
are our own.

Sources: NICE (Dinh et al. 2014), Real-NVP (Dinh et al. 2017), Glow's invertible linear layer
(Kingma & Dhariwal 2018), neural spline flows (Durkan et al. 2019).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import assert_never
from zuko.transforms import (
    AdditiveTransform,
    ComposedTransform,
    CouplingTransform,
    DependentTransform,
    LULinearTransform,
    MonotonicAffineTransform,
    MonotonicRQSTransform,
)

from kinflow.priors.pose_space import log_normal

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
    """

    dim: int
    blocks: int = 6
    hidden: int = 128
    depth: int = 2
    dropout: float = 0.2
    coupling: Coupling = "affine"
    max_log_scale: float = 2.0
    bins: int = 8

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


class LinearMixing(nn.Module):
    """y = L U x + b, started as a random rotation."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64))[0]
        # zuko's transform has no row permutation; ordering the rows of the rotation by the pivots
        # of its own LU decomposition keeps it an orthogonal matrix and makes the split stable.
        _, lower, upper = torch.linalg.lu(rotation)
        pivots = upper.diagonal()
        packed = (lower * pivots).tril() + (upper / pivots[:, None]).triu(1)
        self.packed_lu = nn.Parameter(packed.float())
        self.bias = nn.Parameter(torch.zeros(dim))

    def matrix(self) -> Float[Tensor, "dim dim"]:
        transform = LULinearTransform(self.packed_lu)
        return transform.L @ transform.U

    def forward(self) -> ComposedTransform:
        shift = DependentTransform(AdditiveTransform(self.bias), 1)
        return ComposedTransform(LULinearTransform(self.packed_lu), shift)


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


class CouplingFlow(nn.Module):
    """Data-to-latent flow over `config.dim` coordinates with a standard normal base."""

    keep: torch.BoolTensor

    def __init__(self, config: CouplingConfig) -> None:
        super().__init__()
        self.config = config
        self.mixings = nn.ModuleList(LinearMixing(config.dim) for _ in range(config.blocks))
        self.conditioners = nn.ModuleList(conditioner(config) for _ in range(config.blocks))
        keep = torch.arange(config.dim) < config.num_conditioning
        self.register_buffer("keep", keep, persistent=False)

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
        """The zuko transform from whitened coordinates to the latent."""
        blocks = []
        for mixing, network in zip(self.mixings, self.conditioners, strict=True):
            blocks.append(mixing())
            meta = _Meta(self, network)
            blocks.append(CouplingTransform(meta, self.keep))
        return ComposedTransform(*blocks)

    def log_prob(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch"]:
        """Log density of whitened coordinates."""
        z, log_det = self.transform().call_and_ladj(x)
        return log_normal(z) + log_det


@dataclass(frozen=True)
class _Meta:
    """Binds a conditioning network, as zuko's coupling asks for."""

    flow: CouplingFlow
    network: nn.Module

    def __call__(self, x_a: Tensor) -> DependentTransform:
        return self.flow._coupling(self.network, x_a)
