"""Are joints where they are said to be? Coverage of the stated regions on rendered people.

python benchmarks/uncertainty.py --poses poses.safetensors --cache DIR [--split test]

Rendered pictures of people that no network has seen (those of `predictor.py`), looked at by the
real detector and fitted as the product does, parts included, before known cameras. Printed is the
share of joints, about the pelvis, within the stated regions of 50 and 90 %: with Laplace's
deviations and a Gaussian's radii (1.538 and 2.500 of them), then as they are stated
(`Person.joint_radius_m`). Then place, height and phenotypes, of adults and of children. On the
validation subjects the regression of `fitting/calibration.py` and the factors of
`fitting/shape_spread.py` are fitted as well, with how they do on pictures that they were not fitted
to. A joint counts as seen where its keypoints are in the image and nothing is before them. At last,
`choice.py` says what other choices among the bodies that were found would be worth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import tyro
from choice import choices
from jaxtyping import Bool, Float
from predictor import held_out_kinds
from regression import Regression, fitted_regression
from rendered import FittedPerson, fitted_people
from shape_spreads import NORMAL, Shapes, shape_report
from torch import Tensor

import kinflow.priors
from kinflow.body import BodyModel
from kinflow.body.measure import measure
from kinflow.datasets.poses import Split
from kinflow.evaluation.world_sets import seen_worlds
from kinflow.evidence.detector import EvidenceDetector
from kinflow.fitting.calibration import JointSigns, shown_by
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.predictors import DEFAULT, Predictor
from kinflow.results.regions import JOINT_GROUPS, group_rows, radius_m

_FOLDS = 5
_GAUSSIAN = {0.5: 1.538, 0.9: 2.500}
"""Radii of a Gaussian's regions in space, in standard deviations per axis."""

Radius = Callable[[float], Float[Tensor, "people 22"]]


@dataclass(frozen=True)
class UncertaintyBenchmark:
    """Which pictures, and how they are fitted.

    Attributes:
        poses: pose set written by `kinflow data poses`.
        cache: folder in which worlds and what is seen in them are kept.
        predictor: name of a shipped network, a weight file, or `none` for fits without one.
        split: whose poses.
        worlds: number of pictures.
        parts: whether bodies are moved onto their parts.
        fit: settings of the fits.
    """

    poses: Path
    cache: Path
    predictor: str = DEFAULT
    split: Split = "validation"
    worlds: int = 160
    parts: bool = True
    fit: PhotoFitConfig = field(default_factory=PhotoFitConfig)


@dataclass(frozen=True)
class Errors:
    """How far joints are from where they are stated, and what tells."""

    distance_m: Float[Tensor, "people 22"]
    signs: JointSigns
    std_m: Float[Tensor, "people 22"]
    seen: Bool[Tensor, "people 22"]
    world: Tensor

    @staticmethod
    def of(people: list[FittedPerson]) -> Errors:
        fits = torch.stack([one.person.joints_cam_m for one in people])
        truth = torch.stack([one.truth.joints_cam_m for one in people])
        gap = fits - fits[:, :1] - (truth - truth[:, :1])
        uncovered = torch.stack([one.truth.keypoint_uncovered for one in people])
        names = vars(people[0].signs)
        return Errors(
            gap.norm(dim=-1),
            JointSigns(**{n: torch.stack([getattr(p.signs, n) for p in people]) for n in names}),
            torch.stack([one.person.joint_std_m for one in people]),
            uncovered.float() @ shown_by() > 0.5,
            torch.tensor([one.world for one in people]),
        )


def main(config: UncertaintyBenchmark) -> None:
    torch.set_num_threads(1)
    kinds = held_out_kinds(config.poses, config.split)
    detect = EvidenceDetector(parts=True, mirrors=True, things=True, faces=True).detect
    seen = seen_worlds(
        kinds, config.worlds, detect, config.cache, "with parts, mirrors, things, faces"
    )
    predictor = None if config.predictor == "none" else Predictor.load(config.predictor)
    prior = kinflow.priors.load()
    fitter = PhotoFitter(prior, config.fit, "cpu", config.parts, predictor=predictor)
    people = fitted_people(seen, fitter)
    errors = Errors.of(people)
    print(f"{len(people)} people of {config.split} subjects\n")
    laplace_m = errors.signs.laplace_m
    print(coverage("Laplace, Gaussian", errors, lambda share: _GAUSSIAN[share] * laplace_m))
    print(coverage("as stated", errors, lambda share: radius_m(errors.std_m, share)))
    print(places(people))
    print(shape_report(_shapes(people, predictor is not None), config.split == "validation"))
    if config.split == "validation":
        print(calibration(errors, predictor is not None))
    print(choices(people, predictor))


def coverage(title: str, errors: Errors, radius: Radius) -> str:
    """Shares of joints within the regions, in percent, by groups."""
    lines = [f"| {title} | all: 50 % | 90 % | seen: 50 % | 90 % | hidden: 50 % | 90 % | joints |"]
    lines += ["|---" * 8 + "|"]
    inside = {share: errors.distance_m < radius(share) for share in _GAUSSIAN}
    joint = torch.ones_like(errors.seen)
    joint[:, 0] = False  # the pelvis is where it is
    for number, name in [*enumerate(JOINT_GROUPS), (None, "all joints")]:
        mine = joint if number is None else joint & (group_rows() == number)
        cells = []
        for rows in (mine, mine & errors.seen, mine & ~errors.seen):
            cells += [f"{100 * hits[rows].float().mean():.1f}" for hits in inside.values()]
        lines.append(f"| {name} | {' | '.join(cells)} | {int(mine.sum())} |")
    return "\n".join(lines) + "\n"


def places(people: list[FittedPerson]) -> str:
    """Coverage of the intervals of the pelvis along each axis, and of the height."""
    body = BodyModel.load()
    gaps, stds = [], []
    for one in people:
        tall_m = measure(body.with_shape(one.truth.shape)).height_m
        gap = one.person.t_cam_root_m - one.truth.t_cam_root_m
        gaps.append([*gap.abs().tolist(), abs(one.person.measures().height_m - tall_m)])
        stds.append([*one.person.t_cam_root_std_m.tolist(), one.person.height_std_m])
    ratio = torch.tensor(gaps) / torch.tensor(stds)
    child = torch.tensor([one.truth.child for one in people])
    lines = ["| place and height | x: 50 % | 90 % | y | 90 % | z | 90 % | height | 90 % | people |"]
    lines += ["|---" * 10 + "|"]
    for name, mine in (("adults", ~child), ("children", child)):
        cells = [
            f"{100 * (ratio[mine, k] < half).float().mean():.1f}"
            for k in range(4)
            for half in NORMAL.values()
        ]
        lines.append(f"| {name} | {' | '.join(cells)} | {int(mine.sum())} |")
    return "\n".join(lines) + "\n"


def _shapes(people: list[FittedPerson], with_network: bool) -> Shapes:
    """Phenotypes of everybody; not to be judged is of whom a network knows nothing."""
    signs = [one.shape_signs for one in people if one.shape_signs is not None]
    assert len(signs) == len(people), "the bundled body has phenotypes"
    judged = torch.stack([one.believed == with_network for one in signs])
    laplace = torch.stack([one.laplace for one in signs])
    return Shapes(
        truth=torch.stack([one.truth.shape for one in people]),
        told=torch.stack([one.person.shape for one in people]),
        sign=torch.where(judged[:, None], laplace, torch.nan),
        std=torch.stack([one.std() for one in signs]),
        child=torch.tensor([one.truth.child for one in people]),
        world=torch.tensor([one.world for one in people]),
    )


def calibration(errors: Errors, with_network: bool) -> str:
    """The regression, and the coverage of regions that follow from those of other pictures."""
    features = errors.signs.features().double()
    if not with_network:
        features = features[..., :4]
    known = ~features.isnan().any(-1).any(-1)  # by no network, where there is one
    fold = errors.world % _FOLDS
    radii = {share: radius_m(errors.std_m, share).double() for share in _GAUSSIAN}
    for k in range(_FOLDS):
        own, others = known & (fold == k), known & (fold != k)
        regression = fitted_regression(features[others], errors.distance_m[others].double())
        for share, radius in radii.items():
            radius[own] = regression.radius_m(features[own], share)
    everybody = fitted_regression(features[known], errors.distance_m[known].double())
    return coverage("cross-validated", errors, radii.__getitem__) + _told(everybody)


def _told(regression: Regression) -> str:
    rows = zip(JOINT_GROUPS, regression.weights.tolist(), regression.shapes.tolist(), strict=True)
    told = [
        f"{name}: ({', '.join(f'{value:.2f}' for value in weights)}), shape {shape:.2f}"
        for name, weights, shape in rows
    ]
    return "\nCoefficients of log std, and shapes:\n" + "\n".join(told) + "\n"


if __name__ == "__main__":
    main(tyro.cli(UncertaintyBenchmark, description=__doc__))
