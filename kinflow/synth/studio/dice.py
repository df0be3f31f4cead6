"""Random numbers on any device, from one seeded generator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Dice:
    """Draws tensors whose first axis is the batch."""

    generator: torch.Generator

    @property
    def device(self) -> torch.device:
        """Where everything is drawn."""
        return self.generator.device

    def uniform(self, *shape: int, low: float | int = 0.0, high: float | int = 1.0) -> Tensor:
        """Evenly between two numbers."""
        values = torch.rand(shape, generator=self.generator, device=self.device)
        return low + (high - low) * values

    def normal(self, *shape: int, std: float = 1.0) -> Tensor:
        """About zero."""
        return std * torch.randn(shape, generator=self.generator, device=self.device)

    def chance(self, *shape: int, share: float) -> Tensor:
        """True in this share of the cases."""
        return torch.rand(shape, generator=self.generator, device=self.device) < share

    def whole(self, *shape: int, below: int) -> Tensor:
        """Whole numbers from 0 on."""
        return torch.randint(below, shape, generator=self.generator, device=self.device)

    def kinds(self, count: int, shares: tuple[float, ...]) -> Tensor:
        """Which of some kinds each of `count` is, by their shares."""
        weights = torch.tensor(shares, device=self.device)
        return torch.multinomial(weights, count, replacement=True, generator=self.generator)
