"""`kinflow reconstruct --fast`: how good, how quick and how honest the network alone is.

python benchmarks/network_alone.py --poses poses.safetensors --cache DIR [--split test]

The people are those of `predictor.py`. Printed are errors as there, of bodies as the product gives
them; which codes they get, and how many of each are wrong; the coverage of the stated regions, as
in `uncertainty.py`, and times. On the validation subjects the regressions of
`fitting/calibration.py` and `fitting/doubt.py` and the factors of `fitting/shape_spread.py` are
fitted as well, and judged on pictures that they were not fitted to.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch
import tyro
from jaxtyping import Float
from predictor import everybody, fitted, held_out_kinds, report
from regression import fitted_regression
from shape_spreads import Shapes, shape_report
from torch import Tensor
from uncertainty import Errors, coverage

import kinflow.priors
from kinflow.body import BodyModel
from kinflow.body.keypoints import LIMB_KEYPOINTS
from kinflow.body.measure import measure
from kinflow.datasets.poses import Split
from kinflow.evaluation.logistic import logistic
from kinflow.evaluation.world_sets import SeenWorld, seen_worlds
from kinflow.evidence.detector import EvidenceDetector
from kinflow.evidence.image import as_photo
from kinflow.fitting.calibration import JointSigns, network_features, shown_by, unseen
from kinflow.fitting.doubt import MAX_DOUBT_OF_NETWORK, WRONG_MM, network_signs
from kinflow.fitting.network_alone import NetworkAlone
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.fitting.verdict import limb_error
from kinflow.metrics.pose import pa_mpjpe
from kinflow.pipeline.reconstructor import Reconstructor, ReconstructorConfig
from kinflow.predictors import DEFAULT, Looks, Predictor
from kinflow.predictors.predictor import computes_in_half
from kinflow.results import Person
from kinflow.results.regions import JOINT_GROUPS, radius_m
from kinflow.synth.world import WorldPerson

_FOLDS, _REPEATS, _MANY = 5, 5, 256
_LIMBS = list(LIMB_KEYPOINTS)


@dataclass(frozen=True)
class NetworkAloneBenchmark:
    """Which pictures, and which network.

    Attributes:
        poses: pose set written by `kinflow data poses`.
        cache: folder in which worlds and what is seen in them are kept.
        predictor: name of a shipped network, or a weight file.
        split: whose poses.
        worlds: number of pictures.
        photos: real photos, for times.
        straight_limbs: people bend knees and elbows as far as those in photographs do.
        fit: how far the network is believed; its `belief.straight_limbs` is whether knees and
            elbows are straightened.
    """

    poses: Path
    cache: Path
    predictor: str = DEFAULT
    split: Split = "validation"
    worlds: int = 160
    photos: tuple[Path, ...] = ()
    straight_limbs: bool = False
    fit: PhotoFitConfig = field(default_factory=PhotoFitConfig)


@dataclass(frozen=True)
class Told:
    """One person, as they are and as the network has them."""

    world: int
    truth: WorldPerson
    person: Person
    signs: tuple[float, float, float]
    network_m: Float[Tensor, "22"]
    shape_deviation: Float[Tensor, "6"]


def main(config: NetworkAloneBenchmark) -> None:
    torch.set_num_threads(1)
    kinds = held_out_kinds(config.poses, config.split, config.straight_limbs)
    seen = seen_worlds(kinds, config.worlds, EvidenceDetector().detect, config.cache)
    predictor = Predictor.load(config.predictor)
    photos = PhotoFitter(kinflow.priors.load(), config.fit, "cpu", False, predictor=predictor)
    alone, found = NetworkAlone(photos), everybody(seen)
    begin = time.perf_counter()
    points, R = fitted(seen, found, alone)
    report("network alone", found, points, R, time.perf_counter() - begin)
    people = told(seen, alone)
    print(f"\n{codes(people)}\n")
    errors = _errors(people)
    print(coverage("as stated", errors, lambda share: radius_m(errors.std_m, share)))
    print(places(people))
    print(shape_report(_shapes(people), config.split == "validation"))
    if config.split == "validation":
        print(calibration(people, errors))
        print(doubts(people))
    speed(found.looks, predictor, alone)
    if config.photos:
        print(per_photo(config.photos))


def told(seen: Sequence[SeenWorld], alone: NetworkAlone) -> list[Told]:
    """Everybody who was found and looked at."""
    people = []
    for one in seen:
        rows = [row for row in one.found if row is not None]
        rows = [row for row in rows if one.evidence.people[row].look is not None]
        if not rows:
            continue
        bodies = alone.fit(one.evidence, one.world.camera).people
        looked = [one.evidence.people[row] for row in rows]
        predicted = alone.predicted(looked, [one.world.camera] * len(rows))
        deviations = zip(
            predicted.joint_deviation_m(),
            predicted.shape_deviation(alone.model.shape_prior),
            strict=True,
        )
        told_of = dict(zip(rows, deviations, strict=True))
        for truth, row in zip(one.world.people, one.found, strict=True):
            if row in told_of:
                body = bodies[row]
                limbs = body.camera.project(body.body().keypoints_m()[_LIMBS])
                signs = network_signs(body, limb_error(limbs, one.evidence.people[row]))
                people.append(Told(one.number, truth, body, signs, *told_of[row]))
    return people


def codes(people: list[Told]) -> str:
    """How many people have each code, and of how many of these the pose is right."""
    lines = [f"| code | people | PA-MPJPE below {WRONG_MM:.0f} mm |", "|---|---|---|"]
    for code, count in Counter(one.person.code for one in people).most_common():
        right = [not _is_wrong(one) for one in people if one.person.code == code]
        lines.append(f"| {code} | {count} | {100 * sum(right) / count:.1f} % |")
    return "\n".join(lines)


def places(people: list[Told]) -> str:
    """Coverage of the intervals of the pelvis along each axis, and of the height."""
    body = BodyModel.load()
    ratios = []
    for one in (p for p in people if not p.truth.child):
        tall_m = measure(body.with_shape(one.truth.shape)).height_m
        gap = (one.person.t_cam_root_m - one.truth.t_cam_root_m).abs() / one.person.t_cam_root_std_m
        height = abs(one.person.measures().height_m - tall_m) / one.person.height_std_m
        ratios.append([*gap.tolist(), height])
    ratio = torch.tensor(ratios)
    half, most = (
        ", ".join(f"{100 * share:.1f}" for share in (ratio < reach).float().mean(0).tolist())
        for reach in (0.674, 1.645)  # of a normal distribution
    )
    return f"adults: x, y, z, height within 50 %: {half}; within 90 %: {most}\n"


def calibration(people: list[Told], errors: Errors) -> str:
    """The regression, and the coverage of regions that follow from those of other pictures."""
    features = network_features(errors.signs.network_m, errors.signs.unseen).double()
    fold, radii = errors.world % _FOLDS, {}
    for share in (0.5, 0.9):
        radii[share] = torch.zeros_like(errors.distance_m).double()
    for k in range(_FOLDS):
        own, others = fold == k, fold != k
        regression = fitted_regression(features[others], errors.distance_m[others].double())
        for share, radius in radii.items():
            radius[own] = regression.radius_m(features[own], share)
    regression = fitted_regression(features, errors.distance_m.double())
    rows = zip(JOINT_GROUPS, regression.weights.tolist(), regression.shapes.tolist(), strict=True)
    said = [
        f"{name}: ({', '.join(f'{v:.2f}' for v in weights)}), shape {shape:.2f}"
        for name, weights, shape in rows
    ]
    return coverage("cross-validated", errors, radii.__getitem__) + "\n" + "\n".join(said) + "\n"


def doubts(people: list[Told]) -> str:
    """The regression of doubt, and how many of whom it doubts least are right, cross-validated."""
    judged = [one for one in people if one.person.code in ("ok", "uncertain")]
    x = torch.tensor([one.signs for one in judged], dtype=torch.float64)
    wrong = torch.tensor([_is_wrong(one) for one in judged], dtype=torch.float64)
    fold = torch.tensor([one.world for one in judged]) % _FOLDS
    score = torch.zeros_like(wrong)
    for k in range(_FOLDS):
        weights = logistic(x[fold != k], wrong[fold != k])
        score[fold == k] = weights[0] + x[fold == k] @ weights[1:]
    kept = score.sigmoid() < MAX_DOUBT_OF_NETWORK
    right = 100 * (1 - wrong[kept].mean())
    said = ", ".join(f"{value:.3f}" for value in logistic(x, wrong).tolist())
    return (
        f"Intercept, per confidence, per limb error, per mm: {said}. Of {len(judged)} people, "
        f"{100 * wrong.mean():.1f} % of them wrong, {int(kept.sum())} are doubted by less than "
        f"{MAX_DOUBT_OF_NETWORK}; {right:.1f} % of these are right.\n"
    )


@torch.no_grad()
def speed(looks: Looks, predictor: Predictor, alone: NetworkAlone) -> None:
    """Milliseconds that the network takes, in single precision and as `--fast` computes it."""
    forms = {"single precision": predictor, "as it is": alone.predictor}
    print(f"bfloat16: {computes_in_half()}")
    for count in (1, _MANY):
        rows = torch.arange(count) % len(looks)
        some = looks.each(lambda value, rows=rows: value[rows])
        times: dict[str, list[float]] = {name: [] for name in forms}
        for _ in range(_REPEATS):  # in turn, so that both have the same machine
            for name, form in forms.items():
                begin = time.process_time()
                form(some)
                times[name].append(1000 * (time.process_time() - begin) / count)
        best = {name: min(values) for name, values in times.items()}
        said = ", ".join(f"{name} {value:.2f} ms" for name, value in best.items())
        print(f"network, each of {count:3d} people, processor time: {said}")


def per_photo(photos: Sequence[Path]) -> str:
    """Median processor time of a photo in memory: fitted with and without parts, by the network."""
    forms = {
        "fit and parts": ReconstructorConfig(),
        "fit": ReconstructorConfig(parts=False),
        "network alone": ReconstructorConfig(fast=True),
    }
    models = {name: Reconstructor(form) for name, form in forms.items()}
    spent: dict[str, list[float]] = {name: [] for name in (*forms, "evidence")}
    for photo in [photos[0], *photos]:  # what is loaded at first use does not count
        rgb = as_photo(photo).rgb
        for name, model in models.items():
            begin = time.process_time()
            model(rgb)
            spent[name].append(1000 * (time.process_time() - begin))
        begin = time.process_time()
        models["network alone"].detector.detect(rgb)
        spent["evidence"].append(1000 * (time.process_time() - begin))
    said = ", ".join(f"{name} {median(values[1:]):.0f} ms" for name, values in spent.items())
    return f"{len(photos)} photos, processor time each: {said}"


def _shapes(people: list[Told]) -> Shapes:
    """Phenotypes of everybody."""
    stated = [one.person.shape_std for one in people]
    return Shapes(
        truth=torch.stack([one.truth.shape for one in people]),
        told=torch.stack([one.person.shape for one in people]),
        sign=torch.stack([one.shape_deviation for one in people]),
        std=torch.stack([std for std in stated if std is not None]),
        child=torch.tensor([one.truth.child for one in people]),
        world=torch.tensor([one.world for one in people]),
    )


def _errors(people: list[Told]) -> Errors:
    bodies = torch.stack([one.person.joints_cam_m for one in people])
    truth = torch.stack([one.truth.joints_cam_m for one in people])
    gap = bodies - bodies[:, :1] - (truth - truth[:, :1])
    uncovered = torch.stack([one.truth.keypoint_uncovered for one in people])
    network_m = torch.stack([one.network_m for one in people])
    signs = JointSigns(
        laplace_m=torch.full_like(network_m, torch.nan),
        others_m=torch.full_like(network_m, torch.nan),
        unseen=unseen(torch.stack([one.person.keypoints_px for one in people])),
        network_m=network_m,
    )
    return Errors(
        gap.norm(dim=-1),
        signs,
        torch.stack([one.person.joint_std_m for one in people]),
        uncovered.float() @ shown_by() > 0.5,
        torch.tensor([one.world for one in people]),
    )


def _is_wrong(one: Told) -> bool:
    points = one.person.body().keypoints_m()[_LIMBS]
    return 1000 * float(pa_mpjpe(points, one.truth.keypoints_cam_m[_LIMBS])) > WRONG_MM


if __name__ == "__main__":
    main(tyro.cli(NetworkAloneBenchmark, description=__doc__))
