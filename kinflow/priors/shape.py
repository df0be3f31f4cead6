"""How likely a body shape is: six standard normal numbers, mapped smoothly to phenotypes.

Bodies of the SMPL family need no map: their coefficients are standard normal numbers themselves.

Fitting works in these unconstrained numbers `s`: their energy is 0.5 |s|^2 and any value decodes
to a valid shape. Spreads are those of adults (height: 7 cm within a gender); age has a long lower
tail, so that a child costs a few nats but not more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kinflow.body.shape import AVERAGE_ADULT, PHENOTYPES

AGE = PHENOTYPES.index("age")


@runtime_checkable
class LatentShapes(Protocol):
    """Maps standard normal numbers to the shape parameters of a kind of body."""

    @property
    def size(self) -> int: ...

    def decode(self, s: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch size"]: ...

    def decode_with_slope(
        self, s: Float[Tensor, "*batch size"]
    ) -> tuple[Float[Tensor, "*batch size"], Float[Tensor, "*batch size"]]: ...


@dataclass(frozen=True)
class BetaPrior:
    """The coefficients of a body of the SMPL family, which are standard normal as they are."""

    size: int

    def decode(self, s: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch size"]:
        """The coefficients: the numbers themselves."""
        return s

    def decode_with_slope(
        self, s: Float[Tensor, "*batch size"]
    ) -> tuple[Float[Tensor, "*batch size"], Float[Tensor, "*batch size"]]:
        """The coefficients, and their derivative: 1."""
        return s, torch.ones_like(s)


@dataclass(frozen=True)
class ShapePrior:
    """Mean and spread of each phenotype at s = 0, and the tail of ages."""

    mean: tuple[float, ...] = AVERAGE_ADULT
    std: tuple[float, ...] = (0.3, 0.03, 0.2, 0.25, 0.07, 0.2)
    child_from_s: float = -2.0
    """Below this `s` the age falls steeply: s = -3 is a child of ten, s = -4 one of four."""
    child_slope: float = 0.30

    @property
    def size(self) -> int:
        return len(PHENOTYPES)

    def decode(self, s: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 6"]:
        """Phenotypes in (0, 1) of a latent shape."""
        return self.decode_with_slope(s)[0]

    def decode_with_slope(
        self, s: Float[Tensor, "*batch 6"]
    ) -> tuple[Float[Tensor, "*batch 6"], Float[Tensor, "*batch 6"]]:
        """Phenotypes and their derivative; each depends on its own number only."""
        centre, spread = _logistic(self.mean, self.std, s.device)
        value = torch.sigmoid(torch.addcmul(centre, s, spread))
        slope = value * (1 - value) * spread
        age, age_slope = self._age(s[..., 1:2])
        before, after = slice(None, 1), slice(2, None)
        return (
            torch.cat([value[..., before], age, value[..., after]], -1),
            torch.cat([slope[..., before], age_slope, slope[..., after]], -1),
        )

    def encode(self, phenotypes: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 6"]:
        """The latent shape whose phenotypes these are, by bisection (decoding is monotone)."""
        low = torch.full_like(phenotypes, -12.0)
        high = torch.full_like(phenotypes, 12.0)
        for _ in range(50):
            middle = (low + high) / 2
            below = self.decode(middle) < phenotypes
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2

    def _age(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """Linear among adults, then a steep fall with a smooth knee."""
        sharpness = 4.0
        under = (self.child_from_s - s) * sharpness
        value = self.mean[1] + self.std[1] * s - self.child_slope * F.softplus(under) / sharpness
        return value, self.std[1] + self.child_slope * torch.sigmoid(under)


@cache
def _logistic(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Offset and scale in logits that give this mean and, to first order, this deviation."""
    centre, deviation = torch.tensor((mean, std), device=device, dtype=torch.float32)
    return torch.logit(centre), deviation / (centre * (1 - centre))
