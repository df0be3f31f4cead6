"""Single-view fitting: starts from several sources, a short run of each, the best polished.

What is left over per person is a short list of distinct bodies, best first: the reconstruction and
the alternatives that explain the image too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.checks import nested, not_negative, positive, whole
from kinflow.energy.body_energy import Energy, Targets
from kinflow.energy.unknowns import Unknowns
from kinflow.fitting.initialisers import Proposals
from kinflow.optim import DenseModel, LMConfig, LMResult, minimise


@dataclass(frozen=True)
class MultistartConfig:
    """How wide and how long to search."""

    explore: LMConfig = field(default_factory=lambda: LMConfig(max_iterations=3))
    explore_softening: float = 10.0
    """Factor on robust cutoffs while exploring: from far away every keypoint is an outlier, and a
    kernel that saturates has no slope there (graduated non-convexity, Blake & Zisserman 1987)."""
    keep: int = 5
    """Distinct explored bodies of each person that are polished."""
    polish: LMConfig = field(
        default_factory=lambda: LMConfig(max_iterations=12, relative_tolerance=1e-2)
    )
    distinct_m: float = 0.06
    """Bodies whose keypoints differ by less than this on average are the same hypothesis."""

    def __post_init__(self) -> None:
        nested(self, explore=LMConfig, polish=LMConfig)
        whole(self, "keep", at_least=1, at_most=3600)
        positive(self, "explore_softening")
        not_negative(self, "distinct_m")


@dataclass(frozen=True)
class Candidates:
    """Fitted bodies of any number of people."""

    unknowns: Unknowns
    energy: Float[Tensor, " candidates"]
    person: Int[Tensor, " candidates"]
    """Row of the targets that each explains."""
    source: tuple[str, ...]
    """Who proposed the body that each was fitted from."""

    def __getitem__(self, rows: Int[Tensor, " chosen"]) -> Candidates:
        """Some of them, in this order."""
        source = tuple(self.source[row] for row in rows.tolist())
        return Candidates(self.unknowns[rows], self.energy[rows], self.person[rows], source)

    @staticmethod
    def concatenate(parts: Sequence[Candidates]) -> Candidates:
        """One after another; the order of `fit` is lost."""
        return Candidates(
            Unknowns.concatenate([part.unknowns for part in parts]),
            torch.cat([part.energy for part in parts]),
            torch.cat([part.person for part in parts]),
            tuple(source for part in parts for source in part.source),
        )

    def of(self, person: int) -> Int[Tensor, " chosen"]:
        """Rows of one person; best first in what `fit` gives."""
        return torch.nonzero(self.person == person)[:, 0]


def fit(
    energy: Energy,
    targets: Targets,
    proposals: Sequence[Proposals],
    config: MultistartConfig,
) -> Candidates:
    """Fit every row of `targets` on its own: distinct bodies, sorted by person, then by energy.

    Args:
        energy: the terms to minimise.
        targets: one row a person.
        proposals: bodies to start from; together at least one for each row.
        config: search effort.
    """
    with torch.no_grad():
        start = Unknowns.concatenate([p.unknowns for p in proposals])
        owner = torch.cat([p.person for p in proposals])
        source = tuple(p.source for p in proposals for _ in range(len(p.unknowns)))
        soft = energy.softened(config.explore_softening)
        explored = run(soft, targets[owner], start, config.explore)
        begun = Candidates(explored.state, explored.energy, owner, source)
        kept = begun[_distinct(energy, begun, config.distinct_m, config.keep)]
        return polish(energy, targets, kept, config)


def polish(
    energy: Energy, targets: Targets, found: Candidates, config: MultistartConfig
) -> Candidates:
    """Fit bodies on from where they are: distinct ones, sorted by person, then by energy."""
    with torch.no_grad():
        polished = run(energy, targets[found.person], found.unknowns, config.polish)
        done = replace(found, unknowns=polished.state, energy=polished.energy)
        return done[_distinct(energy, done, config.distinct_m)]


def run(energy: Energy, targets: Targets, start: Unknowns, config: LMConfig) -> LMResult[Unknowns]:
    """Minimise the energy of each row from its start."""

    def linearise(x: Unknowns, rows: Tensor) -> DenseModel:
        own = targets if len(rows) == len(start) else targets[rows]
        return DenseModel.of(*energy.linearise(x, own))

    return minimise(start, linearise, config)


def _distinct(
    energy: Energy,
    found: Candidates,
    distance_m: float,
    limit: int | None = None,
) -> Int[Tensor, " kept"]:
    """Rows by person, then by energy, without those that repeat a better one of the same person.

    At most `limit` rows a person are kept.
    """
    points = energy.model.evaluate(found.unknowns, with_jacobian=False).keypoints_cam_m
    relative = points - (energy.origin @ points)[:, None]
    kept: list[int] = []
    for person in found.person.unique().tolist():
        rows = found.of(person)
        rows = rows[found.energy[rows].argsort()]
        shape = relative[rows]
        gap_m = (shape[:, None] - shape[None]).norm(dim=-1).mean(-1).tolist()
        chosen: list[int] = []
        for i in range(len(rows)):
            if all(gap_m[i][k] > distance_m for k in chosen):
                chosen.append(i)
        kept += rows[chosen[:limit]].tolist()
    return torch.tensor(kept, device=found.person.device)
