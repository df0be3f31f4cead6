"""`kinflow evaluate prior`: one table for priors of any family on held-out subjects.

What its figures mean is said in `kinflow.evaluation.prior_figures`; the last of them are
single-view fits of the fitting set (`kinflow.evaluation.fitting_set`) with the fitter of the main
job, in which only the prior is exchanged, and how much more each prior errs than the first one,
frame by frame.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from kinflow.checks import path, positive, refuse, whole, words
from kinflow.datasets.poses import PoseSet, Split
from kinflow.errors import InputError
from kinflow.evaluation import fitting_set
from kinflow.evaluation.bar_chart import bar_chart_png
from kinflow.evaluation.fitting_set import Condition, FittingSet, clip_interval
from kinflow.evaluation.prior_figures import (
    completion_figures,
    density_figures,
    reconstruction_figures,
    sample_figures,
    timing_figures,
)
from kinflow.files.atomic import write_bytes
from kinflow.files.destinations import check_file_destination
from kinflow.priors.base import PosePrior
from kinflow.priors.storage import SHIPPED, load_prior

_LEAST_POSES: dict[Split, int] = {"train": 1, "validation": 1, "test": 6}
"""Of each split; precision and coverage look at five neighbours of each test pose."""
_PICTURE = ".png"

CONDITIONS = tuple(
    Condition(noise_px=noise, hide_legs=hidden) for hidden in (False, True) for noise in (4.0, 0.0)
)


@dataclass(frozen=True)
class EvaluatePriorConfig:
    """Compare pose priors on people that none was trained on; docs/prior.md has the figures.

    Attributes:
        data: pose set written by `kinflow data poses`.
        weights: names of shipped priors or paths of weight files; all shipped ones if empty.
        csv_path: where to save the table, if anywhere; a picture of it is saved beside as .png.
        noise_rad: dequantisation noise of the densities, the same for all.
        num_completions: test poses for completion.
        num_samples: samples per prior.
        num_fits: scenes of single-view fitting, of which 200 take some four minutes a prior; 0
            leaves it out.
    """

    data: Path
    weights: tuple[str, ...] = ()
    csv_path: Path | None = None
    noise_rad: float = 0.02
    num_completions: int = 100
    num_samples: int = 100_000
    num_fits: int = 200

    def __post_init__(self) -> None:
        path(self, "data")
        path(self, "csv_path", or_none=True)
        words(self, "weights", "a tuple of names of priors or their files", or_none=True)
        if self.csv_path is not None and self.csv_path.suffix.lower() == _PICTURE:
            refuse(f"csv_path has to end in .csv or the like, not in {_PICTURE}: {self.csv_path}.")
        positive(self, "noise_rad")
        whole(self, "num_completions", at_least=1)
        whole(self, "num_samples", at_least=2)
        whole(self, "num_fits")


@torch.no_grad()
def evaluate(prior: PosePrior, poses: PoseSet, config: EvaluatePriorConfig) -> dict[str, float]:
    """All figures of one prior by name, but for those of fitting."""
    return {
        **density_figures(prior, poses, config.noise_rad),
        **reconstruction_figures(prior, poses),
        **sample_figures(prior, poses, config.noise_rad, config.num_samples),
        **completion_figures(prior, poses, config.num_completions),
        **timing_figures(prior),
    }


def fit_errors_mm(
    prior: PosePrior, scenes: FittingSet
) -> dict[Condition, Float[Tensor, " scenes"]]:
    """PA-MPJPE of the best body of each scene, in all conditions; on one thread, the fastest."""
    fitter = fitting_set.make_fitter(prior)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {c: fitting_set.errors_mm(scenes, fitter, c).pa_mpjpe for c in CONDITIONS}
    finally:
        torch.set_num_threads(threads)


def fitting_figures(
    errors: Mapping[Condition, Float[Tensor, " scenes"]],
    first: Mapping[Condition, Float[Tensor, " scenes"]],
    scenes: FittingSet,
) -> dict[str, float]:
    """Mean and median error, and the mean paired difference to the first prior with its interval.

    The intervals hold 95 %, from a bootstrap over clips.
    """
    figures = {}
    for condition, mine in errors.items():
        more = mine - first[condition]
        low, high = clip_interval(more, scenes.clip)
        figures |= {
            f"fit {condition.name} mm": mine.mean().item(),
            f"fit {condition.name}, median mm": mine.median().item(),
            f"fit {condition.name}, more than first mm": more.mean().item(),
            f"fit {condition.name}, more, low mm": low,
            f"fit {condition.name}, more, high mm": high,
        }
    return figures


def table_of(config: EvaluatePriorConfig) -> dict[str, dict[str, float]]:
    """Figures by name for each prior."""
    if config.csv_path is not None:
        check_file_destination(config.csv_path)
        check_file_destination(config.csv_path.with_suffix(_PICTURE))
    poses = PoseSet.load(config.data)
    for split, least in _LEAST_POSES.items():
        if (count := len(poses.split(split))) < least:
            raise InputError(
                f"'{config.data}' holds {count} poses of {split} subjects; at least {least} are "
                "needed to compare priors. Make it from more subjects."
            )
    names = config.weights or tuple(SHIPPED)
    priors = {name: load_prior(name) for name in names}
    rows = {
        name: evaluate(prior, poses, config)
        for name, prior in track(priors.items(), description="figures")
    }
    if config.num_fits:
        scenes = fitting_set.build(poses, config.num_fits)
        errors = {
            name: fit_errors_mm(prior, scenes)
            for name, prior in track(priors.items(), description="fitting")
        }
        for name in names:
            rows[name] |= fitting_figures(errors[name], errors[names[0]], scenes)
    return rows


def main(config: EvaluatePriorConfig) -> None:
    """Print one table for all priors, and save it."""
    rows = table_of(config)
    figures = list(next(iter(rows.values())))
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
        write_bytes(config.csv_path.with_suffix(_PICTURE), bar_chart_png(rows))
