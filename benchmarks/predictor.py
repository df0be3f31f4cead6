"""What the network adds: the detector's landmarks, today's fit, the network, network and fit.

python benchmarks/predictor.py --poses poses.safetensors --cache DIR [--split test]

Rendered pictures of people that the network has not seen, looked at by the real detector as a
whole; errors of the twelve limb keypoints of everybody who was found, and of those who are whole
in view. PA is after the best similarity, MPJPE about the hips, turn is the root's, position that
of the hips in space.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import tyro
from jaxtyping import Float
from rich.progress import track
from torch import Tensor

import kinflow.priors
from kinflow.body import BodyModel
from kinflow.body.keypoints import KEYPOINT_INDEX, LIMB_KEYPOINTS
from kinflow.datasets.poses import Split
from kinflow.evaluation.world_sets import SeenWorld, seen_worlds
from kinflow.evidence.detector import EvidenceDetector
from kinflow.fitting.network_alone import NetworkAlone
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.metrics.pose import pa_mpjpe
from kinflow.predictors import DEFAULT, Looks, Predictor
from kinflow.results import Person
from kinflow.synth.looks import world_kinds
from kinflow.synth.world import WorldConfig
from kinflow.training.predictors.losses import LossConfig, PredictorLoss

_HIPS = [KEYPOINT_INDEX["left_hip"], KEYPOINT_INDEX["right_hip"]]
_LIMBS = list(LIMB_KEYPOINTS)
_BATCH = 12
_SAMPLES = 20
_MANY, _REPEATS = 256, 5
SEED_OF_SPLIT = {"train": 7000, "validation": 8000, "test": 9000}
"""Worlds of these seeds are in nobody's training."""


@dataclass(frozen=True)
class PredictorBenchmark:
    """Which pictures, and which network.

    Attributes:
        poses: pose set written by `kinflow data poses`.
        cache: folder in which worlds and what is seen in them are kept.
        predictor: name of a shipped network, or a weight file.
        split: whose poses.
        worlds: number of pictures.
        fit: settings of the fits.
    """

    poses: Path
    cache: Path
    predictor: str = DEFAULT
    split: Split = "validation"
    worlds: int = 300
    fit: PhotoFitConfig = field(default_factory=PhotoFitConfig)


@dataclass(frozen=True)
class Found:
    """Everybody who was found, in the order of the pictures."""

    truth_m: Float[Tensor, "people 33 3"]
    R_cam_root: Float[Tensor, "people 3 3"]
    whole: Tensor
    looks: Looks
    world_m: Float[Tensor, "people 33 3"]
    rows: tuple[tuple[int, int], ...]
    """Picture and row of the evidence."""


def main(config: PredictorBenchmark) -> None:
    torch.set_num_threads(1)
    kinds = held_out_kinds(config.poses, config.split)
    detect = EvidenceDetector(mirrors=True, things=True).detect
    seen = seen_worlds(kinds, config.worlds, detect, config.cache, "with mirrors and things")
    found = everybody(seen)
    print(f"{len(found.rows)} people, {int(found.whole.sum())} of them whole in view")
    report("landmarks", found, found.world_m, None, 0.0)
    begin = time.perf_counter()
    points, R = fitted(seen, found, PhotoFitter(kinflow.priors.load(), config.fit, "cpu", False))
    report("fit", found, points, R, time.perf_counter() - begin)
    predictor = Predictor.load(config.predictor)
    speed(found, predictor)
    of_network(found, predictor)
    fitter = PhotoFitter(kinflow.priors.load(), config.fit, "cpu", False, predictor=predictor)
    begin = time.perf_counter()
    points, R = fitted(seen, found, fitter)
    report("network + fit", found, points, R, time.perf_counter() - begin)


def held_out_kinds(
    poses: Path, split: Split, straight_limbs: bool = False
) -> tuple[WorldConfig, ...]:
    """The kinds of worlds that networks learn from, with worlds that none of them saw."""
    return tuple(
        replace(
            kind,
            seed=SEED_OF_SPLIT[split] + i,
            people=replace(kind.people, straight_limbs=straight_limbs),
        )
        for i, kind in enumerate(world_kinds(poses, split))
    )


def everybody(seen: Sequence[SeenWorld]) -> Found:
    """People that were found and looked at, with their truth."""
    truth, R, whole, looks, cameras, worlds, rows = [], [], [], [], [], [], []
    for n, one in enumerate(seen):
        for person, row in zip(one.world.people, one.found, strict=True):
            look = None if row is None else one.evidence.people[row].look
            if row is None or look is None:
                continue
            truth.append(person.keypoints_cam_m)
            R.append(person.pose[0])
            whole.append(bool(person.keypoint_uncovered[_LIMBS].all()))
            looks.append(look)
            cameras.append(one.world.camera)
            worlds.append(look.world_m)
            rows.append((n, row))
    together = Looks.of(looks, cameras)
    world_m = torch.stack(worlds) @ together.R_cam_view().mT
    return Found(
        torch.stack(truth), torch.stack(R), torch.tensor(whole), together, world_m, tuple(rows)
    )


@torch.no_grad()
def of_network(found: Found, predictor: Predictor) -> None:
    """The network alone: its best guess, and the best of its samples."""
    points_of = PredictorLoss(kinflow.priors.load(), LossConfig()).points_m
    begin = time.perf_counter()
    posterior = predictor(found.looks)
    guess = posterior.point()
    spent = time.perf_counter() - begin
    report("network", found, points_of(guess), guess.R_cam_root, spent)
    drawn = posterior.sample(_SAMPLES, torch.Generator().manual_seed(0))
    points = points_of(drawn).unflatten(0, (-1, _SAMPLES))[:, :, _LIMBS]
    truth = found.truth_m[:, None, _LIMBS].expand(-1, _SAMPLES, -1, -1)
    best = pa_mpjpe(points, truth).min(1).values
    print(f"best of {_SAMPLES} samples: PA {1000 * best.mean():.1f} mm")


@torch.no_grad()
def speed(found: Found, predictor: Predictor) -> None:
    """Milliseconds that the network takes for one person and for many, on one thread."""
    for count in (1, _MANY):
        rows = torch.arange(count) % len(found.rows)
        looks = found.looks.each(lambda value, rows=rows: value[rows])
        times = []
        for _ in range(_REPEATS):
            begin = time.perf_counter()
            predictor(looks)
            times.append(1000 * (time.perf_counter() - begin))
        print(f"network, {count:3d} people: {min(times):6.1f} ms, {min(times) / count:.2f} each")


def fitted(
    seen: Sequence[SeenWorld], found: Found, fitter: PhotoFitter | NetworkAlone
) -> tuple[Tensor, Tensor]:
    """Keypoints and orientations of the fits of everybody who was found."""
    people: list[tuple[Person, ...]] = []
    for first in track(range(0, len(seen), _BATCH), "fits"):
        some = seen[first : first + _BATCH]
        shown = [one for one in some if one.evidence.people]
        fits = iter(fitter.fit_photos([o.evidence for o in shown], [o.world.camera for o in shown]))
        people += [next(fits).people if one.evidence.people else () for one in some]
    chosen = [people[n][row] for n, row in found.rows]
    body = BodyModel.load("joints")
    R = torch.stack([person.R_cam_root for person in chosen])
    pose = torch.stack([person.pose for person in chosen]).clone()
    pose[:, 0] = R
    shaped = body.with_shape(torch.stack([person.shape for person in chosen]))
    t = torch.stack([person.t_cam_root_m for person in chosen])
    return shaped.with_pose(pose, t).keypoints_m()[:, :33], R


def report(
    name: str, found: Found, points_m: Tensor, R_cam_root: Tensor | None, seconds: float
) -> None:
    """One line of the table: everybody, then those who are whole in view."""
    pa = 1000 * pa_mpjpe(points_m[:, _LIMBS], found.truth_m[:, _LIMBS])
    gap = (_relative(points_m) - _relative(found.truth_m))[:, _LIMBS]
    mpjpe = 1000 * gap.norm(dim=-1).mean(1)
    columns: list[tuple[str, Tensor]] = [("PA", pa), ("MPJPE", mpjpe)]
    if R_cam_root is not None:
        trace = (R_cam_root.mT @ found.R_cam_root).diagonal(dim1=-2, dim2=-1).sum(-1)
        columns.append(("turn", ((trace - 1) / 2).clamp(-1, 1).acos().rad2deg()))
        away = (points_m - found.truth_m)[:, _HIPS].mean(1)
        columns.append(("position", 1000 * away.norm(dim=-1)))
    describe: Callable[[Tensor], str] = lambda rows: " ".join(  # noqa: E731
        f"{key} {values[rows].mean():6.1f} ({values[rows].median():6.1f})"
        for key, values in columns
    )
    everybody, per = torch.ones_like(found.whole), 1000 * seconds / len(pa)
    print(f"{name:14s} {describe(everybody)} | {describe(found.whole)} | {per:.1f} ms", flush=True)


def _relative(points_m: Tensor) -> Tensor:
    return points_m - points_m[:, _HIPS].mean(1, keepdim=True)


if __name__ == "__main__":
    main(tyro.cli(PredictorBenchmark, description=__doc__))
