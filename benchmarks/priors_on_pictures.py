"""Which pose prior finds people in pictures, by the real detector's errors; nothing else differs.

python benchmarks/priors_on_pictures.py --poses poses.safetensors --cache DIR [--split test]

The rendered people of `predictor.py`, fitted without a predictor, with the detector's rough 3D
landmarks and without them, at each of some weights of the prior. PA-MPJPE of the twelve limb
keypoints, mean and median in mm, and how much more that is than with the first prior at its best
weight, person by person, with an interval of 95 % from a bootstrap over pictures. A pose set of
other recordings (`kinflow data poses --folders`) tells about poses that no prior was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro
from jaxtyping import Float
from predictor import Found, everybody, fitted, held_out_kinds
from torch import Tensor

import kinflow.priors
from kinflow.body.keypoints import LIMB_KEYPOINTS
from kinflow.datasets.poses import Split
from kinflow.evaluation.fitting_set import clip_interval
from kinflow.evaluation.world_sets import SeenWorld, seen_worlds
from kinflow.evidence.detector import EvidenceDetector
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.metrics.pose import pa_mpjpe

_LIMBS = list(LIMB_KEYPOINTS)


@dataclass(frozen=True)
class PriorsOnPictures:
    """Which pictures, and which priors.

    Attributes:
        poses: pose set written by `kinflow data poses`.
        cache: folder in which worlds and what is seen in them are kept.
        priors: names of shipped priors or weight files; the others are compared with the first.
        weights: factors on the weight of the prior that ships.
        split: whose poses.
        worlds: number of pictures.
    """

    poses: Path
    cache: Path
    priors: tuple[str, ...] = ("realnvp", "gaussian", "gmm", "vae")
    weights: tuple[float, ...] = (0.5, 1.0, 2.0)
    split: Split = "validation"
    worlds: int = 100


def main(config: PriorsOnPictures) -> None:
    torch.set_num_threads(1)
    kinds = held_out_kinds(config.poses, config.split)
    seen = seen_worlds(kinds, config.worlds, EvidenceDetector().detect, config.cache)
    found = everybody(seen)
    print(f"{len(found.rows)} people")
    for hint in (True, False):
        print("\nwith the detector's 3D landmarks" if hint else "\nby keypoints alone")
        first: Tensor | None = None
        for name in config.priors:
            errors = {w: errors_mm(seen, found, name, w, hint) for w in config.weights}
            best = min(errors.values(), key=lambda values: float(values.mean()))
            first = best if first is None else first
            for weight, values in errors.items():
                mark = "*" if values is best else " "
                print(f"{name:10s} x {weight:<4g}{mark} {line(values, first, found)}", flush=True)


def errors_mm(
    seen: list[SeenWorld], found: Found, prior: str, weight: float, hint: bool
) -> Float[Tensor, " people"]:
    """PA-MPJPE of everybody who was found."""
    config = PhotoFitConfig()
    energy = replace(config.fit.energy, prior_weight=weight * config.fit.energy.prior_weight)
    config = replace(
        config,
        fit=replace(config.fit, energy=energy),
        observations=replace(config.observations, use_hint=hint),
    )
    points_m, _ = fitted(seen, found, PhotoFitter(kinflow.priors.load(prior), config, "cpu", False))
    return 1000 * pa_mpjpe(points_m[:, _LIMBS], found.truth_m[:, _LIMBS])


def line(values: Tensor, first: Tensor, found: Found) -> str:
    """Mean, median, and what is more than with the first prior."""
    more = values - first
    low, high = clip_interval(more, torch.tensor([picture for picture, _ in found.rows]))
    mine = f"{values.mean():6.1f} ({values.median():5.1f})"
    return f"{mine}  {more.mean():+5.1f} [{low:+.1f}, {high:+.1f}]"


if __name__ == "__main__":
    main(tyro.cli(PriorsOnPictures, description=__doc__))
