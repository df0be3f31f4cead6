"""Shape spaces: from the numbers a user knows to the coefficients of the linear rest-shape basis.

Anny describes a body by six phenotypes in [0, 1]. Its blend-shape coefficients are multilinear
between anchor values of the phenotypes, so the map is a table of codes at the 2*5*3*3*2*2 = 360
corners, interpolated. `LinearShapeSpace` is the plain `betas` of SMPL-family bodies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

PHENOTYPES = ("gender", "age", "muscle", "weight", "height", "proportions")


class ShapeSpace(Protocol):
    """Maps shape parameters to codes, the coefficients of the rest-shape basis."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def neutral(self) -> Float[Tensor, " shape"]: ...

    def code(self, shape: Float[Tensor, "*batch shape"]) -> Float[Tensor, "*batch rank"]: ...

    def code_with_jacobian(
        self, shape: Float[Tensor, "*batch shape"]
    ) -> tuple[Float[Tensor, "*batch rank"], Float[Tensor, "*batch shape rank"]]: ...

    def to(self, device: torch.device | str) -> ShapeSpace: ...


@dataclass(frozen=True)
class PhenotypeSpace:
    """Anny's phenotypes: gender (0 female, 1 male), age (0 baby, 1/3 child, 2/3 young, 1 old),
    muscle, weight, height, proportions (1 ideal), each in [0, 1] and clamped to it.
    """

    table: Float[Tensor, "corners rank"]
    anchors: tuple[Float[Tensor, " _"], ...]
    names: tuple[str, ...] = PHENOTYPES

    def neutral(self) -> Float[Tensor, " shape"]:
        """An average adult; 0.5 in `age` would be a teenager."""
        return torch.tensor([0.5, 0.8, 0.5, 0.5, 0.5, 0.5], device=self.table.device)

    def code(self, shape: Float[Tensor, "*batch shape"]) -> Float[Tensor, "*batch rank"]:
        """Coefficients of the rest-shape basis; differentiable except on the anchors."""
        return _outer([self._hat(shape, i)[0] for i in range(len(self.names))]) @ self.table

    def code_with_jacobian(
        self, shape: Float[Tensor, "*batch shape"]
    ) -> tuple[Float[Tensor, "*batch rank"], Float[Tensor, "*batch shape rank"]]:
        """The code and its derivative; on an anchor the derivative is the one to the right."""
        hats = [self._hat(shape, i) for i in range(len(self.names))]
        values = [value for value, _ in hats]
        rows = [_outer(values)] + [
            _outer([*values[:i], slope, *values[i + 1 :]]) for i, (_, slope) in enumerate(hats)
        ]
        codes = torch.stack(rows, -2) @ self.table
        return codes[..., 0, :], codes[..., 1:, :]

    def to(self, device: torch.device | str) -> PhenotypeSpace:
        return PhenotypeSpace(
            self.table.to(device), tuple(a.to(device) for a in self.anchors), self.names
        )

    def _hat(self, shape: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """Hat functions of one phenotype at its anchors and their slopes, (*batch, anchors)."""
        anchor = self.anchors[index]
        step = anchor[1] - anchor[0]
        raw = (shape[..., index : index + 1].clamp(0, 1) - anchor[:-1]) / step
        inside = ((raw >= 0) & (raw < 1)).to(raw.dtype)
        # at the upper end of the range the slope is the one from the left
        inside = inside + torch.zeros_like(inside).index_fill_(
            -1, torch.tensor([len(anchor) - 2], device=raw.device), 1.0
        ) * (raw >= 1).to(raw.dtype)
        ramp, slope = raw.clamp(0, 1), inside / step
        one, zero = torch.ones_like(ramp[..., :1]), torch.zeros_like(ramp[..., :1])
        value = torch.cat([one, ramp], -1) - torch.cat([ramp, zero], -1)
        return value, torch.cat([zero, slope], -1) - torch.cat([slope, zero], -1)


@dataclass(frozen=True)
class LinearShapeSpace:
    """The `betas` of SMPL, SMPL-H and SMPL-X: the code is the parameter itself."""

    size: int
    device: torch.device | str = "cpu"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"beta{i}" for i in range(self.size))

    def neutral(self) -> Float[Tensor, " shape"]:
        return torch.zeros(self.size, device=self.device)

    def code(self, shape: Float[Tensor, "*batch shape"]) -> Float[Tensor, "*batch rank"]:
        return shape

    def code_with_jacobian(
        self, shape: Float[Tensor, "*batch shape"]
    ) -> tuple[Float[Tensor, "*batch rank"], Float[Tensor, "*batch shape rank"]]:
        eye = torch.eye(self.size, dtype=shape.dtype, device=shape.device)
        return shape, eye.expand(*shape.shape, self.size)

    def to(self, device: torch.device | str) -> LinearShapeSpace:
        return LinearShapeSpace(self.size, device)


def _outer(factors: list[Tensor]) -> Tensor:
    """Flattened outer product over the last axes, the last factor varying fastest."""
    product = factors[0]
    for factor in factors[1:]:
        product = (product[..., :, None] * factor[..., None, :]).flatten(-2)
    return product
