"""The fitting set: how well single-view fitting recovers 3D poses of people it never saw.

`kinflow.evaluation.fitting_set` says how the 200 scenes are made. Printed are PA-MPJPE over the 22
joints with a 95 % interval from a bootstrap over clips, and the time of one fit alone.
`kinflow evaluate prior` compares priors on the same set.

    python benchmarks/fitting_set.py --poses poses.safetensors [--noise-px 4] [--hint]

`--split validation` makes the same kind of set from subjects 02, 16 and 94, to choose settings on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

import kinflow.priors
from kinflow.datasets.poses import PoseSet, Split
from kinflow.evaluation.fitting_set import (
    Condition,
    FittingSet,
    build,
    clip_interval,
    errors_mm,
    make_fitter,
    targets,
)
from kinflow.fitting.solver import PersonFitter


@dataclass(frozen=True)
class Config:
    """Benchmark options."""

    poses: Path
    """Pose set made from the CMU clips."""
    prior: str = "realnvp"
    """Name of a shipped prior or path of a weight file."""
    condition: tyro.conf.OmitArgPrefixes[Condition] = Condition()
    count: int = 200
    split: Split = "test"
    """Whose poses: figures are reported on `test`, settings chosen on `validation`."""
    threads: int = 1
    """Threads of torch; the small matrices of a fit are slower with more than one."""


def seconds_per_person(
    scenes: FittingSet, fitter: PersonFitter, condition: Condition, count: int = 10
) -> float:
    """Median time of fitting one person alone, warm."""
    observed = targets(scenes, condition)
    fitter.fit(observed[:1])
    times = []
    for row in range(count):
        begin = time.perf_counter()
        fitter.fit(observed[row : row + 1])
        times.append(time.perf_counter() - begin)
    return sorted(times)[count // 2]


def main(config: Config) -> None:
    torch.set_num_threads(config.threads)
    scenes = build(PoseSet.load(config.poses), config.count, split=config.split)
    fitter = make_fitter(kinflow.priors.load(config.prior))
    best, any_of = errors_mm(scenes, fitter, config.condition)
    low, high = clip_interval(best, scenes.clip)
    seconds = seconds_per_person(scenes, fitter, config.condition)
    print(
        f"fitting set {scenes.sha256} ({config.split}), {len(best)} frames, "
        f"{len(scenes.clip.unique())} clips, prior {config.prior}, {config.condition.name}\n"
        f"PA-MPJPE mean {best.mean():.1f} [{low:.1f}, {high:.1f}] mm, median "
        f"{best.median():.1f} mm, best of all hypotheses {any_of.mean():.1f} mm, "
        f"{seconds:.3f} s a person"
    )


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
