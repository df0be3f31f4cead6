"""Are phenotypes as far from the truth as their stated deviations say?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinflow.body.shape import AVERAGE_ADULT, PHENOTYPES
from kinflow.fitting.shape_spread import within_people

_FOLDS = 5
NORMAL = {0.5: 0.674, 0.9: 1.645}
"""Half the width of a normal distribution's intervals, in standard deviations."""


@dataclass(frozen=True)
class Shapes:
    """Phenotypes of people, true ones and others, with what tells how far these are off."""

    truth: Float[Tensor, "people 6"]
    told: Float[Tensor, "people 6"]
    sign: Float[Tensor, "people 6"]
    """Deviations that are to be scaled; NaN of people who are not to be judged."""
    std: Float[Tensor, "people 6"]
    """As they are stated."""
    child: Bool[Tensor, " people"]
    world: Int[Tensor, " people"]
    """Number of the picture."""

    def __getitem__(self, rows: Bool[Tensor, " people"]) -> Shapes:
        """Some of them."""
        return Shapes(**{name: value[rows] for name, value in vars(self).items()})


def shape_report(shapes: Shapes, fit: bool) -> str:
    """Coverage of the intervals, adults and children apart.

    Args:
        shapes: of all people.
        fit: whether factors are fitted as well, and judged on pictures that they were not fitted
            to.
    """
    shapes = shapes[~shapes.sign.isnan().any(1)]
    lines = [
        f"| shape, within 50 and 90 % | {' | '.join(PHENOTYPES)} | people |",
        "|---" * (len(PHENOTYPES) + 2) + "|",
        *coverage("as stated", shapes, shapes.std),
    ]
    if not fit:
        return "\n".join(lines) + "\n"
    std = torch.zeros_like(shapes.std)
    for k in range(_FOLDS):
        own = shapes.world % _FOLDS == k
        std[own] = within_people(factors(shapes[~own]) * shapes.sign[own])
    lines += [
        *coverage("cross-validated", shapes, std),
        _row("factors", factors(shapes)),
        *_people(shapes),
        _row("mean stated deviation", shapes.std.mean(0)),
        _row("error, root mean square", (shapes.told - shapes.truth).square().mean(0).sqrt()),
    ]
    return "\n".join(lines) + "\n"


def coverage(title: str, shapes: Shapes, std: Float[Tensor, "people 6"]) -> list[str]:
    """Shares of people within the intervals, in percent."""
    ratio = (shapes.told - shapes.truth).abs() / std
    lines = []
    for name, mine in (("adults", ~shapes.child), ("children", shapes.child)):
        inside = [100 * (ratio[mine] < half).float().mean(0) for half in NORMAL.values()]
        cells = [f"{half:.1f}, {most:.1f}" for half, most in zip(*inside, strict=True)]
        lines.append(f"| {title}, {name} | {' | '.join(cells)} | {int(mine.sum())} |")
    return lines


def factors(shapes: Shapes) -> Float[Tensor, "6"]:
    """By how much the sign is too small for both intervals of adults, in the geometric mean."""
    adults = shapes[~shapes.child]
    half, most = _spreads((adults.told - adults.truth).abs() / adults.sign)
    return (half * most).sqrt()


def _people(shapes: Shapes) -> list[str]:
    """By how much people differ from the average adult, by each interval and by all."""
    gap = (shapes.truth - torch.tensor(AVERAGE_ADULT)).abs()
    half, most = _spreads(gap[~shapes.child])
    return [
        _row("adults about the average, by 50 %", half),
        _row("by 90 %", most),
        _row("everybody, standard deviation", shapes.truth.std(0)),
    ]


def _spreads(gap: Float[Tensor, "people 6"]) -> tuple[Tensor, Tensor]:
    """The normal distributions that have 50 and 90 % of the gaps where these are."""
    half, most = (gap.quantile(share, 0) / width for share, width in NORMAL.items())
    return half, most


def _row(title: str, values: Float[Tensor, "6"]) -> str:
    return f"| {title} | {' | '.join(f'{value:.3f}' for value in values.tolist())} | |"
