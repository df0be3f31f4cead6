"""Shape spaces: from the numbers a user knows to the coefficients of the linear rest-shape basis.

Anny describes a body by six phenotypes in [0, 1]. Its blend-shape coefficients are multilinear
between anchor values of the phenotypes, so the map is a table of codes at the 2*5*3*3*2*2 = 360
corners, interpolated. Only breasts are not halfway there for whom `gender` is halfway
(`body/chest.py`). `LinearShapeSpace` is the plain `betas` of SMPL-family bodies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

PHENOTYPES = ("gender", "age", "muscle", "weight", "height", "proportions")
AVERAGE_ADULT = (0.5, 0.83, 0.5, 0.5, 0.39, 0.5)
"""Phenotypes of an average adult; 0.5 in `age` would be a teenager."""
BREASTS_FROM, BREASTS_WHOLE_FROM = 0.65, 0.85
"""Of `gender`: whose chest is flat, and whose breasts are those of a blend of man and woman."""


@runtime_checkable
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
    """Anny's phenotypes: gender (0 male, 1 female), age (0 baby, 1/3 child, 2/3 young, 1 old),
    muscle, weight, height, proportions (1 ideal), each in [0, 1] and clamped to it.
    """

    table: Float[Tensor, "corners rank"]
    first_anchor: Float[Tensor, " shape"]
    """Lowest anchor of each phenotype; the highest is 1."""
    counts: tuple[int, ...]
    """Number of evenly spaced anchors of each phenotype."""
    names: tuple[str, ...] = PHENOTYPES
    breasts: int = 0
    """How many columns, the last ones, are of breasts (`body/chest.py`): those of a woman."""

    def neutral(self) -> Float[Tensor, " shape"]:
        """An average adult."""
        return torch.tensor(AVERAGE_ADULT, device=self.table.device, dtype=torch.float32)

    def code(self, shape: Float[Tensor, "*batch shape"]) -> Float[Tensor, "*batch rank"]:
        """Coefficients of the rest-shape basis; differentiable except on the anchors."""
        hats, _ = self._hats(shape)
        code = self._corner_weights(hats) @ self.table
        if self.breasts:
            breasts = -_missing_breasts(shape)[0] * code[..., -self.breasts :]
            code = torch.cat([code[..., : -self.breasts], breasts], -1)
        return code

    def code_with_jacobian(
        self, shape: Float[Tensor, "*batch shape"]
    ) -> tuple[Float[Tensor, "*batch rank"], Float[Tensor, "*batch shape rank"]]:
        """The code and its derivative; on an anchor the derivative is the one to the right."""
        hats, slopes = self._hats(shape)
        size = len(self.names)
        # row 0 holds the values; in row 1 + i the factor of phenotype i is its slope
        choose = torch.eye(size, device=shape.device, dtype=torch.bool)[:, :, None]
        varied = torch.where(choose, slopes[..., None, :, :], hats[..., None, :, :])
        codes = self._corner_weights(torch.cat([hats[..., None, :, :], varied], -3)) @ self.table
        if self.breasts:
            codes = self._with_breasts(shape, codes)
        return codes[..., 0, :], codes[..., 1:, :]

    def _with_breasts(
        self, shape: Float[Tensor, "*batch shape"], codes: Float[Tensor, "*batch rows rank"]
    ) -> Float[Tensor, "*batch rows rank"]:
        """A code and its derivatives, in rows, with what is missing of a woman's breasts."""
        missing, slope = _missing_breasts(shape)
        whole = codes[..., -self.breasts :]
        breasts = -missing[..., None] * whole
        # of a woman they are as they are, whatever `gender` is: rows 0 and 1
        breasts[..., 1, :] = -slope * whole[..., 0, :]
        return torch.cat([codes[..., : -self.breasts], breasts], -1)

    def to(self, device: torch.device | str) -> PhenotypeSpace:
        return replace(self, table=self.table.to(device), first_anchor=self.first_anchor.to(device))

    def _hats(self, shape: Tensor) -> tuple[Tensor, Tensor]:
        """Hat functions of every phenotype at its anchors and their slopes, (*batch, 6, anchors).

        The number of anchors is padded to the largest; a phenotype never reaches padded ones.
        """
        intervals = shape.new_tensor(self.counts) - 1
        position = (shape.clamp(0, 1) - self.first_anchor) / (1 - self.first_anchor) * intervals
        grid = torch.arange(max(self.counts), device=shape.device, dtype=shape.dtype)
        # at the very top the interval below counts, else the one to the right
        cell = torch.minimum(position.floor(), intervals - 1)[..., None]
        left, right = grid == cell, grid == cell + 1
        along = position[..., None] - cell
        zero = torch.zeros_like(along)
        value = torch.where(left, 1 - along, torch.where(right, along, zero))
        step = (intervals / (1 - self.first_anchor))[:, None]
        return value, (right.to(shape.dtype) - left.to(shape.dtype)) * step

    def _corner_weights(self, hats: Tensor) -> Tensor:
        """Products of hats over all corners, the last phenotype varying fastest."""
        product = hats[..., 0, : self.counts[0]]
        for i, count in enumerate(self.counts[1:], start=1):
            product = (product[..., :, None] * hats[..., i, None, :count]).flatten(-2)
        return product


def _missing_breasts(
    shape: Float[Tensor, "*batch shape"],
) -> tuple[Float[Tensor, "*batch 1"], Float[Tensor, "*batch 1"]]:
    """How much less of a woman's breasts somebody has than a blend of man and woman has, and its
    slope by `gender` (on an anchor the one to the right)."""
    gender = shape[..., :1].clamp(0, 1)
    steepness = BREASTS_WHOLE_FROM / (BREASTS_WHOLE_FROM - BREASTS_FROM)
    grown = gender - steepness * (gender - BREASTS_FROM)
    flat, whole = gender < BREASTS_FROM, gender >= BREASTS_WHOLE_FROM
    zero, one = torch.zeros_like(gender), torch.ones_like(gender)
    missing = torch.where(flat, gender, torch.where(whole, zero, grown))
    return missing, torch.where(flat, one, torch.where(whole, zero, one - steepness))


@dataclass(frozen=True)
class LinearShapeSpace:
    """The `betas` of SMPL, SMPL-H and SMPL-X: the code is the parameter itself."""

    size: int
    device: torch.device | str = "cpu"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"beta{i}" for i in range(self.size))

    def neutral(self) -> Float[Tensor, " shape"]:
        return torch.zeros(self.size, device=self.device, dtype=torch.float32)

    def code(self, shape: Float[Tensor, "*batch shape"]) -> Float[Tensor, "*batch rank"]:
        return shape

    def code_with_jacobian(
        self, shape: Float[Tensor, "*batch shape"]
    ) -> tuple[Float[Tensor, "*batch rank"], Float[Tensor, "*batch shape rank"]]:
        eye = torch.eye(self.size, dtype=shape.dtype, device=shape.device)
        return shape, eye.expand(*shape.shape, self.size)

    def to(self, device: torch.device | str) -> LinearShapeSpace:
        return LinearShapeSpace(self.size, device)
