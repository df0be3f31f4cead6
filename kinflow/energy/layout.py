"""Which columns of a Jacobian belong to which unknowns: the layout of the tangent space.

A local step of one body (`unknowns.py` says what it does) and the columns of every Jacobian are

    [rotation (3), position (3), latent (D), shape (S), optionally log focal length (1)]

In a chain of frames (`optim.arrow`) every frame has a `frame` of its own, the first three blocks,
and all of them have the rest in common, which is `shared`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.threads import lazy

BlockName = Literal["rotation", "position", "latent", "shape", "focal", "body", "frame", "shared"]


class TangentStep(NamedTuple):
    """A local step, block by block."""

    rotation: Float[Tensor, "*batch 3"]
    """Rotation vector in the camera frame, radians."""
    position: Float[Tensor, "*batch 3"]
    """Sideways and down, as shares of the depth, and the change of the depth's logarithm."""
    latent: Float[Tensor, "*batch latent"]
    shape: Float[Tensor, "*batch shape"]
    focal: Float[Tensor, "*batch focal"]
    """Change of the logarithm of the focal length; no column where that is fixed."""


@dataclass(frozen=True)
class TangentLayout:
    """Sizes of the blocks of unknowns, and where each of them lies."""

    latent_size: int
    shape_size: int
    has_focal: bool = False
    """Whether the focal length is unknown as well."""

    @property
    def rotation(self) -> slice:
        """The root's rotation."""
        return slice(0, 3)

    @property
    def position(self) -> slice:
        """The root's position."""
        return slice(3, 6)

    @property
    def latent(self) -> slice:
        """The pose latent."""
        return slice(6, 6 + self.latent_size)

    @property
    def shape(self) -> slice:
        """The latent shape."""
        return slice(self.latent.stop, self.latent.stop + self.shape_size)

    @property
    def focal(self) -> slice:
        """The logarithm of the focal length; empty where that is fixed."""
        return slice(self.shape.stop, self.shape.stop + self.has_focal)

    @property
    def body(self) -> slice:
        """All that moves the body: everything but the focal length."""
        return slice(0, self.shape.stop)

    @property
    def frame(self) -> slice:
        """What each frame of a chain has for itself: rotation, position and pose latent."""
        return slice(0, self.latent.stop)

    @property
    def shared(self) -> slice:
        """What all frames of a chain have in common: shape and focal length."""
        return slice(self.latent.stop, self.size)

    @property
    def size(self) -> int:
        """How many unknowns there are."""
        return self.focal.stop

    def columns(self, **blocks: Float[Tensor, "*rows _"]) -> Float[Tensor, "*rows unknowns"]:
        """A Jacobian of the whole layout from the columns of some blocks; the others are zero.

        Args:
            blocks: columns by the name of their block (`BlockName`), at least one.

        Raises:
            ValueError: blocks overlap, or one has another number of columns.
        """
        some = next(iter(blocks.values()))
        parts: list[Tensor] = []
        end = 0
        placed = sorted((self._bounds[name], name) for name in blocks)
        for (start, stop), name in placed:
            width = blocks[name].shape[-1]
            if start < end or width != stop - start:
                raise ValueError(f"{width} columns of '{name}' do not fit at {start} to {stop}")
            if start > end:
                parts.append(some.new_zeros(*some.shape[:-1], start - end))
            parts.append(blocks[name])
            end = stop
        if end < self.size:
            parts.append(some.new_zeros(*some.shape[:-1], self.size - end))
        return parts[0] if len(parts) == 1 else torch.cat(parts, -1)

    def split(self, step: Float[Tensor, "*batch unknowns"]) -> TangentStep:
        """The blocks of a step.

        Raises:
            ValueError: it has another number of columns.
        """
        if step.shape[-1] != self.size:
            raise ValueError(f"a step of {self.size} columns is needed, not {step.shape[-1]}")
        sizes = [3, 3, self.latent_size, self.shape_size, int(self.has_focal)]
        return TangentStep(*step.split(sizes, -1))

    @lazy
    def _bounds(self) -> dict[str, tuple[int, int]]:
        """Where each block begins and ends; kept, for Jacobians are put together all the time."""
        blocks = {name: getattr(self, name) for name in get_args(BlockName)}
        return {name: (block.start, block.stop) for name, block in blocks.items()}
