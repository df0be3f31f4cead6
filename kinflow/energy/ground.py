"""What people are held to that they share with others: what is up, and the floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class UpTarget:
    """What is up where a person is, and how closely what is up by their pose keeps to it."""

    up_cam: Float[Tensor, "batch 3"]
    """Unit vectors."""
    inverse_std: Float[Tensor, "batch 3"]
    """Along each axis of the camera, of the difference of unit vectors (about radians)."""
    reach: Float[Tensor, " batch"]
    """Factor on the robust cutoff: how far from up a pose has to be to be taken for a lying one."""

    def __getitem__(self, index) -> UpTarget:
        """Rows of the batch."""
        return UpTarget(self.up_cam[index], self.inverse_std[index], self.reach[index])

    def turned(self, R: Float[Tensor, "batch 3 3"]) -> UpTarget:
        """The same for cameras that are turned; spreads have to be those of all directions."""
        return UpTarget((R @ self.up_cam[..., None])[..., 0], self.inverse_std, self.reach)

    @staticmethod
    def concatenate(parts: Sequence[UpTarget]) -> UpTarget:
        """Join along the batch."""
        names = ("up_cam", "inverse_std", "reach")
        return UpTarget(**{n: torch.cat([getattr(part, n) for part in parts]) for n in names})


@dataclass(frozen=True)
class TrunkTarget:
    """How upright the trunks of people are taken to be."""

    up_cam: Float[Tensor, "batch 3"]
    """Unit vectors."""
    inverse_std: Float[Tensor, " batch"]
    """Of the difference between the trunk's direction and up (about radians); 0 for people who may
    lean as they like."""
    weights: Float[Tensor, " points"]
    """Of the points of the fit: their weighted sum is the vector along the trunk."""

    def __getitem__(self, index) -> TrunkTarget:
        """Rows of the batch."""
        return TrunkTarget(self.up_cam[index], self.inverse_std[index], self.weights)

    @staticmethod
    def concatenate(parts: Sequence[TrunkTarget]) -> TrunkTarget:
        """Join along the batch; the points are those of the first."""
        names = ("up_cam", "inverse_std")
        joined = {n: torch.cat([getattr(part, n) for part in parts]) for n in names}
        return TrunkTarget(**joined, weights=parts[0].weights)


@dataclass(frozen=True)
class FloorTarget:
    """The floor that people are on, and how closely they keep to it."""

    up_cam: Float[Tensor, "batch 3"]
    """Its normal."""
    height_m: Float[Tensor, " batch"]
    """Along the normal, above the camera."""
    inverse_std: Float[Tensor, " batch"]
    """Per metre, of the height of the lowest point; 0 for people who are not on it."""
    flesh_m: Float[Tensor, " points"]
    """How deep the points of the fit lie below the skin; -inf for those that touch no floor."""

    def __getitem__(self, index) -> FloorTarget:
        """Rows of the batch."""
        return FloorTarget(
            self.up_cam[index], self.height_m[index], self.inverse_std[index], self.flesh_m
        )

    @staticmethod
    def concatenate(parts: Sequence[FloorTarget]) -> FloorTarget:
        """Join along the batch; the points are those of the first."""
        names = ("up_cam", "height_m", "inverse_std")
        joined = {n: torch.cat([getattr(part, n) for part in parts]) for n in names}
        return FloorTarget(**joined, flesh_m=parts[0].flesh_m)
