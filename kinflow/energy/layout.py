"""Which columns of a Jacobian are which unknowns: the one place that knows their order.

A local step is laid out as [root rotation, root position, pose latent, shape, log focal length];
the last is there only where the focal length is estimated. What bodies do depends on all but it,
the `body` block.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

_ROTATION, _POSITION = 3, 3


@dataclass(frozen=True)
class TangentLayout:
    """The blocks of a step, by name, as slices of its columns."""

    latent_dim: int
    shape_dim: int
    has_focal: bool = False
    """Whether the focal length is among the unknowns."""

    @property
    def rotation(self) -> slice:
        """Rotation vector of the root, in camera axes."""
        return slice(0, _ROTATION)

    @property
    def position(self) -> slice:
        """Step of the root's position (see `Unknowns.step`)."""
        return slice(_ROTATION, _ROTATION + _POSITION)

    @property
    def latent(self) -> slice:
        """Pose latent."""
        first = self.position.stop
        return slice(first, first + self.latent_dim)

    @property
    def shape(self) -> slice:
        """Latent shape."""
        first = self.latent.stop
        return slice(first, first + self.shape_dim)

    @property
    def focal(self) -> slice:
        """Log of the focal length; empty where it is fixed."""
        first = self.shape.stop
        return slice(first, first + self.has_focal)

    @property
    def body(self) -> slice:
        """All that moves points in space: everything but the focal length."""
        return slice(0, self.shape.stop)

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return self.focal.stop

    def spread(
        self, columns: Float[Tensor, "*rows block"], block: slice
    ) -> Float[Tensor, "*rows unknowns"]:
        """Derivatives by one block as derivatives by all unknowns, zero elsewhere."""
        return F.pad(columns, (block.start, self.size - block.stop))

    def joined(
        self, body: Float[Tensor, "*rows body"], focal: Float[Tensor, "*rows"]
    ) -> Float[Tensor, "*rows unknowns"]:
        """Derivatives by the body and, where it is an unknown, by the log focal length."""
        return torch.cat([body, focal[..., None]], -1) if self.has_focal else body
