"""Single-view fitting: starts from a gallery of poses, a short run of each, the best polished.

What is left over per person is a short list of distinct bodies, best first: the reconstruction and
the alternatives that explain the image too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.checks import nested, not_negative, positive, refuse, whole
from kinflow.energy.body_energy import Energy, Targets
from kinflow.energy.unknowns import Unknowns
from kinflow.fitting.gallery import GalleryConfig, PoseGallery
from kinflow.fitting.starts import facing_start
from kinflow.optim import DenseModel, LMConfig, LMResult, minimise


@dataclass(frozen=True)
class MultistartConfig:
    """How wide and how long to search."""

    headings: int = 8
    """Sectors of headings; matches in the gallery are looked up in each."""
    per_heading: int = 4
    gallery: GalleryConfig = field(default_factory=GalleryConfig)
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
        nested(self, gallery=GalleryConfig, explore=LMConfig, polish=LMConfig)
        whole(self, "headings", "keep", at_least=1, at_most=3600)
        if self.gallery.views % self.headings:
            refuse(
                f"headings has to be a divisor of the gallery's {self.gallery.views} views, "
                f"not {self.headings}."
            )
        in_sector = self.gallery.poses * (self.gallery.views // self.headings)
        whole(self, "per_heading", at_least=1, at_most=in_sector)
        positive(self, "explore_softening")
        not_negative(self, "distinct_m")


@dataclass(frozen=True)
class Candidates:
    """Fitted bodies, sorted by person, then by energy; near-duplicates removed."""

    unknowns: Unknowns
    energy: Float[Tensor, " candidates"]
    person: Int[Tensor, " candidates"]

    def of(self, person: int) -> Int[Tensor, " chosen"]:
        """Rows of one person, best first."""
        return torch.nonzero(self.person == person)[:, 0]


def fit(
    energy: Energy,
    targets: Targets,
    names: tuple[str, ...],
    gallery: PoseGallery,
    config: MultistartConfig,
) -> Candidates:
    """Fit every row of `targets` on its own.

    Args:
        energy: the terms to minimise.
        targets: one row a person.
        names: keypoint names, the order of the points in `targets`.
        gallery: poses to start from.
        config: search effort.
    """
    with torch.no_grad():
        start, owner = _starts(energy, targets, names, gallery, config)
        soft = energy.softened(config.explore_softening)
        explored = run(soft, targets[owner], start, config.explore)
        chosen = _distinct(energy, explored, owner, config.distinct_m, config.keep)
        x, owner = explored.state[chosen], owner[chosen]
        polished = run(energy, targets[owner], x, config.polish)
        best = _distinct(energy, polished, owner, config.distinct_m)
    return Candidates(polished.state[best], polished.energy[best], owner[best])


def _starts(
    energy: Energy,
    targets: Targets,
    names: tuple[str, ...],
    gallery: PoseGallery,
    config: MultistartConfig,
) -> tuple[Unknowns, Int[Tensor, " starts"]]:
    """Where to begin, and whose start each row is."""
    person = torch.arange(len(targets.focal_px), device=targets.observed_px.device)
    matched = gallery.starts(targets, names, config.headings, config.per_heading)
    owner = person.repeat_interleave(config.headings * config.per_heading)
    resting = facing_start(energy.model, targets, names)
    return Unknowns.concatenate([matched, resting]), torch.cat([owner, person])


def run(energy: Energy, targets: Targets, start: Unknowns, config: LMConfig) -> LMResult[Unknowns]:
    """Minimise the energy of each row from its start."""

    def linearise(x: Unknowns, rows: Tensor) -> DenseModel:
        return DenseModel.of(*energy.linearise(x, targets[rows]))

    return minimise(start, linearise, config)


def _distinct(
    energy: Energy,
    result: LMResult[Unknowns],
    owner: Tensor,
    distance_m: float,
    limit: int | None = None,
) -> Int[Tensor, " kept"]:
    """Rows by person, then by energy, without those that repeat a better one of the same person.

    At most `limit` rows a person are kept.
    """
    points = energy.model.evaluate(result.state, with_jacobian=False).keypoints_cam_m
    relative = points - (energy.origin @ points)[:, None]
    kept: list[int] = []
    for person in owner.unique().tolist():
        rows = torch.nonzero(owner == person)[:, 0]
        rows = rows[result.energy[rows].argsort()]
        shape = relative[rows]
        gap_m = (shape[:, None] - shape[None]).norm(dim=-1).mean(-1).tolist()
        chosen: list[int] = []
        for i in range(len(rows)):
            if all(gap_m[i][k] > distance_m for k in chosen):
                chosen.append(i)
        kept += rows[chosen[:limit]].tolist()
    return torch.tensor(kept, device=owner.device)
