"""What tells children from adults: the numbers of `fitting/sizes.py`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from doubts import logistic
from jaxtyping import Float64
from runs import Sets, of, percent, table
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.body.measure import measure
from kinflow.fitting.size_signs import SizeSigns
from kinflow.fitting.sizes import child_log_odds, standardised
from kinflow.synth.world import WorldPerson

UNDER_TEN_M = 1.38
"""True children of less than this height count as under ten years."""
_LOG_ODDS = (0.0, 0.5, 0.9, 1.25, 1.5)


def children(sets: Sets) -> str:
    """Signs of adults and children, who would be a child from which log odds on, and the weights
    of a regression on the signs of this set."""
    found = [pair for seen in sets.seen("sizes") for pair in sets.size_signs(seen)]
    body = BodyModel.load()
    height_m = torch.tensor([measure(body.with_shape(p.shape)).height_m for p, _ in found])
    child = torch.tensor([person.child for person, _ in found])
    groups = {"adults": ~child, "children": child, "under ten": child & (height_m < UNDER_TEN_M)}
    said = torch.tensor([signs is not None for _, signs in found])
    nan = SizeSigns(torch.nan, torch.nan)
    values = torch.tensor([_values(s or nan) for _, s in found])
    told = torch.tensor([child_log_odds(s) if s else -torch.inf for _, s in found])
    rows = []
    for name, mine in groups.items():
        cells = [str(int(mine.sum())), percent(said[mine].tolist())]
        for column in values[mine & said].T:
            known = column[~column.isnan()]
            cells += [of(known.tolist(), "mean", 3), f"{known.std():.3f}"]
        cells += [percent((told[mine] >= least).tolist()) for least in _LOG_ODDS]
        rows.append((name, cells))
    columns = (
        "people",
        "have signs",
        "head mean",
        "std",
        "face mean",
        "std",
        "network mean",
        "std",
    )
    columns = (*columns, *(f"log odds {least}" for least in _LOG_ODDS))
    known = [(person, s) for person, s in found if s is not None]
    return (
        table("children", columns, rows)
        + _weights("with the network", [one for one in known if one[1].network is not None], 3)
        + _weights("without it", known, 2)
    )


def _values(signs: SizeSigns) -> tuple[float, float, float]:
    return signs.head, signs.face, torch.nan if signs.network is None else signs.network


def _weights(name: str, known: Sequence[tuple[WorldPerson, SizeSigns]], count: int) -> str:
    """Regressions on the first signs: log odds of being a child, and ages of children."""
    child = torch.tensor([person.child for person, _ in known])
    if not 0 < int(child.sum()) < len(child):
        return ""
    signs = torch.tensor([standardised(s)[:count] for _, s in known], dtype=torch.float64)
    age = torch.tensor([float(person.shape[1]) for person, _ in known], dtype=torch.float64)[child]
    odds = logistic(signs, child.double())
    design = torch.cat([torch.ones(len(age), 1, dtype=age.dtype), signs[child]], 1)
    weights: Tensor = torch.linalg.lstsq(design, age[:, None]).solution[:, 0]
    left = age - design @ weights
    return (
        f"\n{name}: log odds of being a child at an adult's signs, per head, face, network: "
        f"{_told(odds)}; a child's age by the same: {_told(weights)}, spread {left.std():.3f}, "
        f"of all children's ages {age.std():.3f}.\n"
    )


def _told(weights: Float64[Tensor, " weights"]) -> str:
    return ", ".join(f"{weight:.3f}" for weight in weights.tolist())
