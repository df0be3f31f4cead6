"""Single-view fitting with only the prior exchanged: which one recovers poses best?

Runs the fitting set (`benchmarks/fitting_set.py`) once for each prior and prints the errors, and
how much more each prior errs than the first one, frame by frame, with a 95 % interval from a
bootstrap over clips.

    python benchmarks/prior_comparison.py --poses poses.safetensors --noise-px 4
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import fitting_set
import torch
import tyro
from rich.console import Console
from rich.table import Table

from kinflow.datasets.poses import PoseSet


@dataclass(frozen=True)
class Config:
    """Options of the comparison."""

    poses: Path
    """Pose set made from the CMU clips."""
    priors: tuple[str, ...] = ("realnvp", "gaussian", "gmm", "vae")
    """Names of shipped priors or weight files; the others are compared with the first."""
    noise_px: float = 4.0
    hide_legs: bool = False
    """Leave out knees and ankles."""
    threads: int = 1


def compare(config: Config) -> Table:
    """One row for each prior."""
    scenes = fitting_set.build(PoseSet.load(config.poses))
    noise = f"{config.noise_px:g} px" + (", legs hidden" if config.hide_legs else "")
    table = Table(
        "prior", "PA-MPJPE mm", "median", "best of all", f"more than {config.priors[0]}",
        title=f"Fitting set {scenes.sha256}, {len(scenes.clip)} frames, {noise}",
    )  # fmt: skip
    reference = None
    for name in config.priors:
        run = fitting_set.Config(
            config.poses, prior=name, noise_px=config.noise_px, hide_legs=config.hide_legs
        )
        best, any_of = fitting_set.evaluate(scenes, run)
        reference = best if reference is None else reference
        low, high = fitting_set.clip_interval(best, scenes.clip)
        more_low, more_high = fitting_set.clip_interval(best - reference, scenes.clip)
        table.add_row(
            name,
            f"{best.mean():.1f} [{low:.1f}, {high:.1f}]",
            f"{best.median():.1f}",
            f"{any_of.mean():.1f}",
            f"{(best - reference).mean():+.1f} [{more_low:+.1f}, {more_high:+.1f}]",
        )
    return table


def main(config: Config) -> None:
    """Print the table."""
    torch.set_num_threads(config.threads)
    Console(width=100).print(compare(config))


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
