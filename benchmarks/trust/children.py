"""What tells children from adults: the numbers of `fitting/sizes.py`."""

from __future__ import annotations

import torch
from runs import Sets, of, percent, table
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.body.measure import measure
from kinflow.fitting.sizes import standardised
from kinflow.synth.world import WorldPerson

UNDER_TEN_M = 1.38
"""True children of less than this height count as under ten years."""
_SCORES = (2.0, 3.0, 3.5, 4.0, 4.5)


def children(sets: Sets) -> str:
    """Both signs of adults and children, who would be a child from which score on, and the ages."""
    found = [pair for seen in sets.seen("sizes") for pair in sets.size_signs(seen)]
    body = BodyModel.load()
    height_m = torch.tensor([measure(body.with_shape(p.shape)).height_m for p, _ in found])
    child = torch.tensor([person.child for person, _ in found])
    groups = {"adults": ~child, "children": child, "under ten": child & (height_m < UNDER_TEN_M)}
    said = torch.tensor([signs is not None for _, signs in found])
    values = torch.tensor([(s.head, s.face) if s else (0.0, 0.0) for _, s in found])
    scores = torch.tensor([sum(standardised(s)) if s else -torch.inf for _, s in found])
    rows = []
    for name, mine in groups.items():
        cells = [str(int(mine.sum())), percent(said[mine].tolist())]
        for column in values[mine & said].T.tolist():
            cells += [of(column, "mean", 3), f"{torch.tensor(column).std():.3f}"]
        cells += [percent((scores[mine] >= score).tolist()) for score in _SCORES]
        rows.append((name, cells))
    columns = ("people", "have signs", "head mean", "std", "face mean", "std")
    columns = (*columns, *(f"score {score}" for score in _SCORES))
    told = [(person, standardised(s)) for person, s in found if s and person.child]
    return table("children", columns, rows) + _ages(told)


def _ages(told: list[tuple[WorldPerson, tuple[float, float]]]) -> str:
    """Regression of children's ages on both signs."""
    age = torch.tensor([float(person.shape[1]) for person, _ in told], dtype=torch.float64)
    signs = torch.tensor([values for _, values in told], dtype=torch.float64)
    design = torch.cat([torch.ones(len(age), 1, dtype=age.dtype), signs], 1)
    weights: Tensor = torch.linalg.lstsq(design, age[:, None]).solution[:, 0]
    left = age - design @ weights
    told_by = ", ".join(f"{weight:.3f}" for weight in weights.tolist())
    return (
        f"\nA child's age at adults' signs, per head, per face: {told_by}; "
        f"spread {left.std():.3f}, of all children's ages {age.std():.3f}.\n"
    )
