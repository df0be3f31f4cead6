"""Single-view fitting: many starts, a short run of each, the best polished, depth mirrored.

What is left over per person is a short list of distinct bodies, best first: the reconstruction and
the alternatives that explain the image too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.alignment.energy import Energy, Targets
from kinflow.alignment.keypoint_model import Unknowns
from kinflow.fitting.levenberg_marquardt import LMConfig, LMResult, minimise
from kinflow.fitting.starts import heading_starts


@dataclass(frozen=True)
class MultistartConfig:
    """How wide and how long to search."""

    headings: int = 8
    explore: LMConfig = field(default_factory=lambda: LMConfig(max_iterations=5))
    explore_softening: float = 10.0
    """Factor on robust cutoffs while exploring: from far away every keypoint is an outlier, and a
    kernel that saturates has no slope there (graduated non-convexity, Blake & Zisserman 1987)."""
    keep: int = 2
    """Explored starts of each person that are polished."""
    polish: LMConfig = field(
        default_factory=lambda: LMConfig(max_iterations=12, relative_tolerance=1e-2)
    )
    mirror_depth: bool = True
    """Also try the best body with its depth mirrored, the other reading of the same image."""
    mirror_std_m: float = 0.05
    distinct_m: float = 0.06
    """Bodies whose keypoints differ by less than this on average are the same hypothesis."""


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
    energy: Energy, targets: Targets, names: tuple[str, ...], config: MultistartConfig
) -> Candidates:
    """Fit every row of `targets` on its own.

    Args:
        energy: the terms to minimise.
        targets: one row a person.
        names: keypoint names, the order of the points in `targets`.
        config: search effort.
    """
    people = len(targets.focal_px)
    device = targets.observed_px.device
    with torch.no_grad():
        start = heading_starts(energy.model, targets, names, config.headings)
        owner = torch.arange(people, device=device).repeat_interleave(config.headings)
        soft = energy.softened(config.explore_softening)
        explored = run(soft, targets[owner], start, config.explore)
        chosen = _best_rows(explored.energy, owner, people, config.keep)
        x, owner = explored.unknowns[chosen], owner[chosen]
        if config.mirror_depth:
            best = _best_rows(explored.energy[chosen], owner, people, 1)
            mirrored = _mirrored(soft, targets[owner[best]], x[best], config)
            x = Unknowns.concatenate([x, mirrored])
            owner = torch.cat([owner, owner[best]])
        polished = run(energy, targets[owner], x, config.polish)
    return _distinct(energy, polished, owner, config.distinct_m)


def run(energy: Energy, targets: Targets, start: Unknowns, config: LMConfig) -> LMResult:
    """Minimise the energy of each row from its start."""
    return minimise(start, lambda x, rows: energy.linearise(x, targets[rows]), config)


def _best_rows(energy: Tensor, owner: Tensor, people: int, keep: int) -> Tensor:
    """Row indices of the `keep` lowest energies of each person."""
    rows = []
    for person in range(people):
        mine = torch.nonzero(owner == person)[:, 0]
        rows.append(mine[energy[mine].argsort()[:keep]])
    return torch.cat(rows)


def _mirrored(
    energy: Energy, targets: Targets, best: Unknowns, config: MultistartConfig
) -> Unknowns:
    """Bodies near the depth reflection of `best` about its root.

    Under weak perspective a body and its depth reflection look alike. The trunk's axes are
    reflected to a proper rotation, then the reflected keypoints draw the limbs for a few steps.
    """
    flip = torch.tensor([1.0, 1.0, -1.0], device=best.z.device)
    left, up = (flip * best.R_cam_root[..., i] for i in (0, 1))
    R = torch.stack([left, up, torch.linalg.cross(left, up)], -1)
    points = energy.model.evaluate(best, with_jacobian=False).keypoints_cam_m
    relative = points - (energy.origin @ points)[:, None]
    hinted = replace(
        targets,
        hint_m=relative * flip,
        hint_inverse_std_m=torch.full_like(relative, 1 / config.mirror_std_m),
    )
    return run(energy, hinted, replace(best, R_cam_root=R), config.explore).unknowns


def _distinct(energy: Energy, result: LMResult, owner: Tensor, distance_m: float) -> Candidates:
    """Sort by person and energy and drop rows that repeat a better one of the same person."""
    with torch.no_grad():
        points = energy.model.evaluate(result.unknowns, with_jacobian=False).keypoints_cam_m
    relative = points - (energy.origin @ points)[:, None]
    order = sorted(range(len(owner)), key=lambda i: (int(owner[i]), float(result.energy[i])))
    kept: list[int] = []
    for row in order:
        same = [k for k in kept if owner[k] == owner[row]]
        gaps = [(relative[row] - relative[k]).norm(dim=-1).mean() for k in same]
        if all(gap > distance_m for gap in gaps):
            kept.append(row)
    index = torch.tensor(kept, device=owner.device)
    return Candidates(result.unknowns[index], result.energy[index], owner[index])
