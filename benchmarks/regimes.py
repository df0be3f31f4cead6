"""Little supervision: full, weak and self-supervision, mixtures, and spaces of the output.

python benchmarks/regimes.py --train LOOKS --validation LOOKS [--unlabelled LOOKS ...] --out DIR

A small predictor is trained for every row, from the same start, on folders of `kinflow data looks`
and `kinflow data photos`, and its best guess compared with the bodies of people it has never seen:
PA-MPJPE and MPJPE of the twelve limb keypoints in mm, mean over people, with 95 % intervals by
person of the difference from full supervision with all labels. The last weights are taken (their
running average), none are chosen. What is done is kept in DIR and not done again; a run that was
stopped goes on.

`fs` knows bodies of a share of the people and leaves the others out. `ws` knows the same bodies,
and of the others keypoints and parts in the picture. `ss` knows what the detector saw of the same
pictures and of photographs; `mix` knows all of it. The detector's own 3D landmarks are input in
every row, and label in none. Rows that go `on` begin with the weights of another row and train as
long again; with `fits` people are fitted first, and the fits that pictures speak for are labels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.body.keypoints import KEYPOINT_INDEX, LIMB_KEYPOINTS
from kinflow.checks import flag, path, whole
from kinflow.datasets.look_stream import shard_files
from kinflow.datasets.samples import Samples, look_of
from kinflow.files.atomic import write_bytes
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.metrics.pose import pa_mpjpe
from kinflow.predictors.network import NetworkConfig
from kinflow.priors.gaussian import GaussianPrior
from kinflow.priors.interface import PriorInfo
from kinflow.priors.pose_space import POSE_DIM, Whitening
from kinflow.priors.storage import save_prior
from kinflow.training.loop import Loop
from kinflow.training.predictors.batches import Labelled, looks_of
from kinflow.training.predictors.config import TrainPredictorConfig
from kinflow.training.predictors.fits import FitLooksConfig, camera_of, fit_looks
from kinflow.training.predictors.losses import LossConfig
from kinflow.training.predictors.recipe import PredictorRecipe
from kinflow.training.predictors.regimes import Regime
from kinflow.training.predictors.run_options import WEIGHTS_NAME
from kinflow.training.predictors.sources import ALL_LABELS, LookLabel, Source

_HIPS = [KEYPOINT_INDEX["left_hip"], KEYPOINT_INDEX["right_hip"]]
_LIMBS = list(LIMB_KEYPOINTS)
_ROTATIONS = "rotations"
_DRAWS = 2000


@dataclass(frozen=True)
class RegimesBenchmark:
    """What is compared.

    Attributes:
        train: folder of rendered looks.
        validation: folder of rendered looks at other people.
        out: folder that keeps the runs.
        unlabelled: folders of looks at photographs.
        steps: of each run.
        batch_size: samples a step.
        seeds: runs of each row.
        rows: those to do; all if none are named.
        blank_maps: give the network the detector's last activation and landmarks only, as looks of
            earlier versions held them.
    """

    train: Path
    validation: Path
    out: Path
    unlabelled: tuple[Path, ...] = ()
    steps: int = 400
    batch_size: int = 64
    seeds: int = 1
    rows: tuple[str, ...] = ()
    blank_maps: bool = False

    def __post_init__(self) -> None:
        path(self, "train", "validation", "out")
        whole(self, "steps", "batch_size", "seeds", at_least=1)
        flag(self, "blank_maps")


@dataclass(frozen=True)
class Row:
    """One way to train."""

    recipe: Regime
    labels: float
    prior: str = "realnvp"
    changes: dict[str, object] = field(default_factory=dict)
    parts: bool = True
    after: str | None = None
    """The row whose weights are begun with."""
    fits: LookLabel | None = None
    """What of fits that these weights begin is taken as label."""


ROWS: dict[str, Row] = {
    "fs 100 %": Row("fs", 1.0),
    "ws 10 %": Row("ws", 0.1),
    "fs 10 %": Row("fs", 0.1),
    "fs 1 %": Row("fs", 0.01),
    "ws 1 %": Row("ws", 0.01),
    "ws 0 %": Row("ws", 0.0),
    "ss": Row("ss", 0.0),
    "mix 10 %": Row("mix", 0.1),
    "ws 10 %, no parts": Row("ws", 0.1, parts=False),
    "fs 100 %, VAE": Row("fs", 1.0, "vae"),
    "fs 100 %, mixture": Row("fs", 1.0, "gmm"),
    "fs 100 %, rotations": Row("fs", 1.0, _ROTATIONS),
    "ws 10 %, VAE": Row("ws", 0.1, "vae"),
    "ws 10 %, mixture": Row("ws", 0.1, "gmm"),
    "ws 10 %, rotations": Row("ws", 0.1, _ROTATIONS),
    "mix 100 %": Row("mix", 1.0),
    "mix 1 %": Row("mix", 0.01),
    "ss, on": Row("ss", 0.0, after="ss"),
    "ss, on, poses of fits": Row("mix", 1.0, after="ss", fits="pose"),
    "ss, on, bodies of fits": Row("mix", 1.0, after="ss", fits="body"),
}
"""The most telling first."""

NETWORK = NetworkConfig(
    width=32,
    layers=1,
    heads=2,
    readout=128,
    blocks=1,
    dropout=0.0,
    context=8,
    flow_blocks=1,
    flow_hidden=16,
)


class _Run(PredictorRecipe):
    """A recipe whose network may not see the detector's maps."""

    blank_maps = False

    def _labelled(self, samples: Samples) -> Labelled:
        if self.blank_maps:
            maps = ("joint_features", "map_features")
            samples = replace(samples, **{n: torch.zeros_like(getattr(samples, n)) for n in maps})
        return super()._labelled(samples)


def config_of(
    benchmark: RegimesBenchmark, row: Row, seed: int, folder: Path
) -> TrainPredictorConfig:
    """The settings of a run."""
    labels: tuple[LookLabel, ...] = ALL_LABELS
    if not row.parts:
        labels = tuple(name for name in ALL_LABELS if name != "parts")
    start = None if row.after is None else folder_of(benchmark, row.after, seed) / WEIGHTS_NAME
    sources = [Source("looks", benchmark.train, weight=3.0, use=labels)]
    if row.fits is not None:
        fits = fits_of(benchmark, str(start), seed)
        sources = [Source("looks", fits, weight=3.0, use=(row.fits, "seen"))]
    if row.recipe in ("ss", "mix"):
        share = 1.0 / max(len(benchmark.unlabelled), 1)
        sources += [Source("looks", f, weight=share) for f in benchmark.unlabelled]
    prior = row.prior
    if prior == _ROTATIONS:
        prior = str(benchmark.out / "rotations.safetensors")
        save_prior(raw_rotations(), prior)
    return TrainPredictorConfig(
        out=folder,
        sources=tuple(sources),
        validation=(Source("looks", benchmark.validation),),
        recipe=row.recipe,
        labels=row.labels,
        prior=prior,
        start=None if start is None else str(start),
        network=NETWORK,
        loss=LossConfig(density=0.1),
        pool=32_768,
        batch_size=benchmark.batch_size,
        steps=benchmark.steps,
        learning_rate=2e-3,
        eval_every=benchmark.steps,
        ema_decay=0.98,
        seed=seed,
    )


def folder_of(benchmark: RegimesBenchmark, name: str, seed: int) -> Path:
    """Where a row is trained."""
    return benchmark.out / f"{''.join(c if c.isalnum() else '_' for c in name)}_{seed}"


def fits_of(benchmark: RegimesBenchmark, predictor: str, seed: int) -> Path:
    """Folder of the people of the training as fits label them that some weights begin."""
    unlabelled, out = benchmark.out / "unlabelled", benchmark.out / f"fits_{seed}"
    unlabelled.mkdir(exist_ok=True)
    for shard in shard_files(benchmark.train):
        people = Samples.load(shard)
        looks = [
            Samples.of_look(look_of(people, i), camera_of(people, i)) for i in range(len(people))
        ]
        Samples.concatenate(looks).save(unlabelled / shard.name)
    if not out.exists():
        print(fit_looks(FitLooksConfig(unlabelled, out, predictor)), flush=True)
    return out


def raw_rotations() -> GaussianPrior:
    """Rotation vectors themselves, in place of a latent that knows of poses."""
    whitening = Whitening(
        torch.zeros(POSE_DIM), torch.eye(POSE_DIM), torch.ones(POSE_DIM), POSE_DIM
    )
    return GaussianPrior(whitening, PriorInfo())


def truth_m(samples: Samples) -> Float[Tensor, "people 33 3"]:
    """Keypoints of bodies as they are, whatever a prior makes of their poses."""
    body = BodyModel.load("joints")
    posed = body.with_shape(samples.phenotypes).with_pose(
        rotvec_to_matrix(samples.rotvec), samples.root_cam_m
    )
    return posed.keypoints_m()[:, :33]


def errors_mm(
    points_m: Float[Tensor, "people 33 3"], truth: Float[Tensor, "people 33 3"]
) -> Float[Tensor, "people 2"]:
    """PA-MPJPE, and MPJPE about the middle of the hips."""
    at, true = ((p - p[:, _HIPS].mean(1, keepdim=True))[:, _LIMBS] for p in (points_m, truth))
    return 1000 * torch.stack([pa_mpjpe(at, true), (at - true).norm(dim=-1).mean(1)], 1)


def run(benchmark: RegimesBenchmark, name: str, seed: int) -> Float[Tensor, "people 2"]:
    """Errors of a row, trained now unless it is there."""
    folder = folder_of(benchmark, name, seed)
    kept = folder.with_suffix(".json")
    if kept.exists():
        return torch.tensor(json.loads(kept.read_text())["errors_mm"])
    _Run.blank_maps = benchmark.blank_maps
    recipe = _Run(config_of(benchmark, ROWS[name], seed, folder))
    loop = Loop(recipe, recipe.loop_config, folder)
    loop.run()
    samples = Samples.load_all([benchmark.validation])
    network = recipe._averaged.eval()
    with torch.no_grad():
        points = [
            recipe.loss_of.points_m(network(part.looks).point())
            for part in (recipe.validation[slice(i, i + 256)] for i in range(0, len(samples), 256))
        ]
    errors = errors_mm(torch.cat(points), truth_m(samples))
    values = {
        "row": name,
        "seed": seed,
        "seconds": loop.clock.seconds,
        "errors_mm": errors.tolist(),
    }
    write_bytes(kept, json.dumps(values).encode())
    return errors


def interval(change: Float[Tensor, " people"]) -> tuple[float, float]:
    """95 % of the mean, by drawing people."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(len(change), (_DRAWS, len(change)), generator=generator)
    means = change[drawn].mean(1)
    return float(means.quantile(0.025)), float(means.quantile(0.975))


def table(found: dict[str, list[Tensor]], landmarks: Tensor) -> Iterator[str]:
    """A line for every row."""
    yield "row | PA-MPJPE | MPJPE | PA against fs 100 % | seeds"
    yield "---|---|---|---|---"
    pa, mpjpe = landmarks.mean(0).tolist()
    yield f"the detector's 3D landmarks | {pa:.1f} | {mpjpe:.1f} | |"
    full = torch.stack(found["fs 100 %"]).mean(0) if "fs 100 %" in found else None
    for name, errors in found.items():
        mean = torch.stack(errors).mean(0)
        pa, mpjpe = mean.mean(0).tolist()
        against = ""
        if full is not None:
            low, high = interval(mean[:, 0] - full[:, 0])
            ratio = 100 * (pa / float(full[:, 0].mean()) - 1)
            against = f"{ratio:+.1f} %, {low:+.1f} to {high:+.1f} mm"
        yield f"{name} | {pa:.1f} | {mpjpe:.1f} | {against} | {len(errors)}"


def main(benchmark: RegimesBenchmark) -> None:
    """Train what is not there yet, seed by seed, and print the table after every run."""
    torch.set_num_threads(1)
    benchmark.out.mkdir(parents=True, exist_ok=True)
    samples = Samples.load_all([benchmark.validation])
    looks = looks_of(samples)
    seen_m = (looks.R_cam_view() @ samples.world_m.mT).mT
    landmarks = errors_mm(seen_m, truth_m(samples))
    found: dict[str, list[Tensor]] = {}
    for seed in range(benchmark.seeds):
        for name in benchmark.rows or ROWS:
            found.setdefault(name, []).append(run(benchmark, name, seed))
            print(f"\n{len(samples)} people", *table(found, landmarks), sep="\n", flush=True)


if __name__ == "__main__":
    main(tyro.cli(RegimesBenchmark, description=__doc__))
