"""`kinflow evaluate prior`: one table for priors of any family on held-out subjects.

What its figures mean is said in `kinflow.priors.figures`.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from kinflow.atomic import write_bytes
from kinflow.datasets.poses import PoseSet
from kinflow.priors.bar_chart import bar_chart_png
from kinflow.priors.base import PosePrior
from kinflow.priors.figures import (
    completion_figures,
    density_figures,
    reconstruction_figures,
    sample_figures,
    timing_figures,
)
from kinflow.priors.storage import SHIPPED, load_prior


@dataclass(frozen=True)
class EvaluatePriorConfig:
    """Settings of `kinflow evaluate prior`.

    Attributes:
        data: pose set written by `kinflow data poses`.
        weights: names of shipped priors or paths of weight files; all shipped ones if empty.
        csv_path: where to save the table, if anywhere; a picture of it is saved beside as .png.
        noise_rad: dequantisation noise of the densities, the same for all.
        num_completions: test poses for completion.
        num_samples: samples per prior.
    """

    data: Path
    weights: tuple[str, ...] = ()
    csv_path: Path | None = None
    noise_rad: float = 0.02
    num_completions: int = 100
    num_samples: int = 4000


@torch.no_grad()
def evaluate(prior: PosePrior, poses: PoseSet, config: EvaluatePriorConfig) -> dict[str, float]:
    """All figures of one prior by name."""
    return {
        **density_figures(prior, poses, config.noise_rad),
        **reconstruction_figures(prior, poses),
        **sample_figures(prior, poses, config.noise_rad, config.num_samples),
        **completion_figures(prior, poses, config.num_completions),
        **timing_figures(prior),
    }


def main(config: EvaluatePriorConfig) -> None:
    """Print one table for all priors, and save it."""
    poses = PoseSet.load(config.data)
    names = config.weights or tuple(SHIPPED)
    rows = {name: evaluate(load_prior(name), poses, config) for name in names}
    figures = list(rows[names[0]])
    table = Table("figure", *rows)
    for figure in figures:
        table.add_row(figure, *(f"{row[figure]:.2f}" for row in rows.values()))
    Console().print(table)
    if config.csv_path:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["prior", *figures])
        writer.writerows([name, *row.values()] for name, row in rows.items())
        config.csv_path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(config.csv_path, text.getvalue().encode())
        write_bytes(config.csv_path.with_suffix(".png"), bar_chart_png(rows))


if __name__ == "__main__":
    import tyro

    main(tyro.cli(EvaluatePriorConfig))
