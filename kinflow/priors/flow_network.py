"""What all flow networks share: the interface, and the linear mixing between their blocks."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from zuko.transforms import (
    AdditiveTransform,
    ComposedTransform,
    DependentTransform,
    LULinearTransform,
    MonotonicAffineTransform,
)

from kinflow.priors.pose_space import log_normal


@runtime_checkable
class FlowConfig(Protocol):
    """Shape of a flow; the rest depends on its kind."""

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        ...

    @property
    def family(self) -> str:
        """What the literature calls a flow of this shape."""
        ...

    @property
    def num_weights(self) -> int:
        """How many numbers a flow of this shape is made of."""
        ...


def num_perceptron_weights(widths: Sequence[int]) -> int:
    """How many numbers the linear layers between `widths` hold, biases included."""
    return sum((a + 1) * b for a, b in pairwise(widths))


class FlowNetwork(nn.Module, ABC):
    """Data-to-latent flow over `config.dim` coordinates with a standard normal base."""

    config: FlowConfig

    @property
    @abstractmethod
    def decodes_in_one_pass(self) -> bool:
        """Whether latent to data takes one pass through each network, not one a coordinate."""

    @abstractmethod
    def transform(self) -> ComposedTransform:
        """The zuko transform from whitened coordinates to the latent."""

    def log_prob(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch"]:
        """Log density of whitened coordinates."""
        z, log_det = self.transform().call_and_ladj(x)
        return log_normal(z) + log_det


class LinearMixing(nn.Module):
    """y = L U S x + b, started as a random rotation; S is a diagonal, or absent.

    S is the ActNorm of Glow. Its initialisation by data is the identity here, because coordinates
    come whitened, mixings start as rotations and couplings as the identity; its shift is b.
    """

    def __init__(self, dim: int, act_norm: bool = False) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64))[0]
        # zuko's transform has no row permutation; ordering the rows of the rotation by the pivots
        # of its own LU decomposition keeps it an orthogonal matrix and makes the split stable.
        _, lower, upper = torch.linalg.lu(rotation)
        pivots = upper.diagonal()
        packed = (lower * pivots).tril() + (upper / pivots[:, None]).triu(1)
        self.packed_lu = nn.Parameter(packed.float())
        self.bias = nn.Parameter(torch.zeros(dim))
        self.log_scale = nn.Parameter(torch.zeros(dim)) if act_norm else None

    def matrix(self) -> Float[Tensor, "dim dim"]:
        """The product L U S."""
        transform = LULinearTransform(self.packed_lu)
        product = transform.L @ transform.U
        return product if self.log_scale is None else product * self._norm(self.log_scale).scale

    def _norm(self, log_scale: Tensor) -> MonotonicAffineTransform:
        return MonotonicAffineTransform(torch.zeros_like(log_scale), log_scale)

    def forward(self) -> ComposedTransform:
        shift = DependentTransform(AdditiveTransform(self.bias), 1)
        mixing = (LULinearTransform(self.packed_lu), shift)
        if self.log_scale is None:
            return ComposedTransform(*mixing)
        return ComposedTransform(DependentTransform(self._norm(self.log_scale), 1), *mixing)
