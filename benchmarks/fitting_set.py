"""The fitting sets: how well single-view fitting recovers 3D poses of people it never saw.

`kinflow.evaluation.fitting_set` says how the 200 scenes of each are made. Printed are PA-MPJPE over
the 22 joints with a 95 % interval from a bootstrap over clips, the errors of the shape (standing
height, and vertices in the T-pose before and after the best common scale) and the time of one fit
alone. Bodies are `typical` adults, about the middle of the shape space and of the fitter's shape
prior, or drawn `even`ly from all adults; everything else is the same in both sets.
`kinflow evaluate prior` compares priors on the set of typical bodies.

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
    FitErrors,
    FittingSet,
    Shapes,
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
    shapes: tuple[Shapes, ...] = ("typical", "even")
    """Which sets, by the bodies in them."""
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


def described(errors: FitErrors, scenes: FittingSet) -> str:
    """The errors in two lines."""
    best = errors.pa_mpjpe
    low, high = clip_interval(best, scenes.clip)
    height, t_pose = errors.height, errors.t_pose
    return (
        f"PA-MPJPE mean {best.mean():.1f} [{low:.1f}, {high:.1f}] mm, median "
        f"{best.median():.1f} mm, best of all hypotheses {errors.pa_mpjpe_of_any.mean():.1f} mm\n"
        f"height mean {height.mean():.0f} mm, median {height.median():.0f} mm; "
        f"T-pose PVE mean {t_pose.mean():.1f} mm, scaled {errors.t_pose_scaled.mean():.1f} mm"
    )


def main(config: Config) -> None:
    torch.set_num_threads(config.threads)
    poses = PoseSet.load(config.poses)
    fitter = make_fitter(kinflow.priors.load(config.prior))
    for shapes in config.shapes:
        scenes = build(poses, config.count, split=config.split, shapes=shapes)
        errors = errors_mm(scenes, fitter, config.condition)
        seconds = seconds_per_person(scenes, fitter, config.condition)
        print(
            f"fitting set {scenes.sha256} ({config.split}, {shapes} shapes), "
            f"{len(scenes.clip)} frames, {len(scenes.clip.unique())} clips, prior {config.prior}, "
            f"{config.condition.name}\n{described(errors, scenes)}\n{seconds:.3f} s a person",
            flush=True,
        )


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
