"""Colours of skin, hair, cloth and things, many at once; sRGB from 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.synth.studio.dice import Dice
from kinflow.synth.studio.wardrobe import HAIR, MATERIALS, SKIN, Waves

_SKIN_LIGHT, _SKIN_DARK = (0.95, 0.815, 0.72), (0.275, 0.176, 0.13)
_DENIM, _WOOD, _BROWN = (0.275, 0.353, 0.51), (0.59, 0.43, 0.275), (0.47, 0.333, 0.196)
_PLAIN, _STRIPED, _CHECKED, _BLOTCHED = range(4)


def any_color(dice: Dice, *shape: int) -> Float[Tensor, "*shape 3"]:
    """Any colour at all, or greys, denim and earthy ones, as most things have."""
    any_at_all = dice.uniform(*shape, 3, low=0.04, high=0.96)
    grey = dice.uniform(*shape, 1, low=0.03, high=0.97) + dice.normal(*shape, 3, std=0.03)
    denim, wood = (torch.tensor(color, device=dice.device) for color in (_DENIM, _WOOD))
    blue = dice.uniform(*shape, 1, low=0.4, high=1.5) * denim
    earthy = dice.uniform(*shape, 1, low=0.3, high=1.5) * wood
    kind = dice.uniform(*shape, 1)
    color = torch.where(kind < 0.45, any_at_all, grey)
    color = torch.where(kind > 0.8, blue, color)
    return torch.where(kind > 0.9, earthy, color).clamp(0.02, 0.98)


@dataclass(frozen=True)
class Palette:
    """Colours and patterns of the materials of some people."""

    first: Float[Tensor, "batch 6 3"]
    second: Float[Tensor, "batch 6 3"]
    kind: Int[Tensor, "batch 6"]
    wave: Float[Tensor, "batch 6 2 3"]
    """Of two sets of stripes: direction by frequency."""
    edge: Float[Tensor, "batch 6"]
    """How sharp stripes are."""
    strength: Float[Tensor, "batch 6"]
    blotches: Waves

    @staticmethod
    def random(count: int, dice: Dice) -> Palette:
        """Of any people."""
        first = any_color(dice, count, MATERIALS)
        light, dark = (torch.tensor(c, device=dice.device) for c in (_SKIN_LIGHT, _SKIN_DARK))
        skin = dark + dice.uniform(count, 1) ** 0.7 * (light - dark)
        first[:, SKIN] = (skin + dice.normal(count, 3, std=0.024)).clamp(0.02, 0.98)
        brown = torch.tensor(_BROWN, device=dice.device) * dice.uniform(count, 1, low=0.08)
        grey = dice.uniform(count, 1, low=0.4, high=0.9).expand(-1, 3)
        kind = dice.uniform(count, 1)
        hair = torch.where(kind < 0.8, brown, torch.where(kind < 0.9, grey, first[:, HAIR]))
        first[:, HAIR] = hair
        pattern = dice.kinds(count * MATERIALS, (0.55, 0.2, 0.1, 0.15)).view(count, MATERIALS)
        pattern[:, SKIN] = _PLAIN
        towards = torch.nn.functional.normalize(dice.normal(count, MATERIALS, 2, 3), dim=-1)
        period_m = dice.uniform(count, MATERIALS, 2, 1, low=0.025, high=0.17)
        return Palette(
            first=first,
            second=any_color(dice, count, MATERIALS),
            kind=pattern,
            wave=2 * torch.pi / period_m * towards,
            edge=dice.uniform(count, MATERIALS, low=0.8, high=6.0),
            strength=dice.uniform(count, MATERIALS, low=0.2, high=1.0),
            blotches=Waves.random(count, (0.05, 0.2), dice),
        )

    def at(
        self,
        row: Int[Tensor, " points"],
        material: Int[Tensor, " points"],
        rest_m: Float[Tensor, "points 3"],
    ) -> Float[Tensor, "points 3"]:
        """Colours of points of people's bodies at rest."""
        kind = self.kind[row, material]
        angle = (self.wave[row, material] * rest_m[:, None]).sum(-1)
        stripes = (self.edge[row, material][:, None] * angle.sin()).clamp(-1, 1) / 2 + 0.5
        blotched = (self.blotches.at_rows(row, rest_m) > 0.4).float()
        share = torch.where(kind == _STRIPED, stripes[:, 0], torch.zeros_like(blotched))
        share = torch.where(kind == _CHECKED, stripes.mean(-1), share)
        share = torch.where(kind == _BLOTCHED, blotched, share)
        share = (share * self.strength[row, material])[:, None]
        first = self.first[row, material]
        return first + share * (self.second[row, material] - first)
