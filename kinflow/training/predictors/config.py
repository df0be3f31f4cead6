"""Options of `kinflow train predictor`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from kinflow.checks import (
    flag,
    nested,
    not_negative,
    number,
    one_of,
    path,
    positive,
    refuse,
    share,
    whole,
)
from kinflow.predictors.network import NetworkConfig
from kinflow.priors.storage import DEFAULT as DEFAULT_PRIOR
from kinflow.synth.studio import StudioConfig
from kinflow.training.predictors.live import LiveConfig
from kinflow.training.predictors.losses import LossConfig
from kinflow.training.predictors.regimes import Regime
from kinflow.training.predictors.sources import Source, TypedSource

WEIGHTS_NAME = "predictor.safetensors"


@dataclass(frozen=True)
class TrainPredictorConfig:
    """Train a predictor on a mixture of datasets, folders of looks and a studio; started again, it
    goes on where it was.

    Attributes:
        out: folder of the run.
        sources: what is learned from, each as one text: the name of a dataset (`kinflow data list`)
            or `looks`, its folder, and then any of `split=`, `weight=` (share of a batch relative
            to the others), `use=` (labels: body, pose, joints, keypoints, parts, seen), `at_most=`
            and `fov_deg=`, such as 'coco ~/coco split=train2017 weight=2 use=keypoints,parts'.
        studio: what is shown while the network learns, beside sources or alone.
        live: how samples come from the studio, and go.
        validation: sources of samples of other people, which choose the weights; without one the
            studio shows the validation subjects.
        looks: folder that keeps what the detector sees of datasets; `looks` in `out` if not given.
        recipe: which labels are used: `fs` those in space, `ws` also those in the picture, `ss`
            what the detector saw of pictures, `mix` all.
        labels: share of the samples whose labels in space are used.
        prior: pose prior whose latent is predicted: a shipped one by name, or a weight file.
        start: predictor of the same shape whose weights are begun with: a shipped one by name, or a
            weight file; None for new ones.
        pool: samples of a source that are shuffled together, in memory.
        network: its shape.
        loss: weights of the terms.
        batch_size: samples per step.
        steps: optimiser steps altogether; with `minutes` what the schedule is counted in.
        minutes: time that training takes, what comes before it left out; None for as long as the
            steps take.
        learning_rate: peak learning rate; cosine decay to zero.
        weight_decay: of AdamW, on matrices.
        ema_decay: of the average of weights that is kept.
        eval_every: steps between evaluations, and checkpoints.
        eval_seconds: time between them, with `minutes`.
        device: where everything is computed.
        mixed_precision: compute the trunk in bfloat16 on a GPU.
        seed: seeds everything.
    """

    out: Path
    sources: tuple[TypedSource, ...] = ()
    studio: StudioConfig | None = None
    live: LiveConfig = LiveConfig()
    validation: tuple[TypedSource, ...] = ()
    looks: Path | None = None
    recipe: Regime = "fs"
    labels: float = 1.0
    prior: str = DEFAULT_PRIOR
    start: str | None = None
    pool: int = 8192
    network: NetworkConfig = NetworkConfig()
    loss: LossConfig = LossConfig()
    batch_size: int = 256
    steps: int = 6000
    minutes: float | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    ema_decay: float = 0.998
    eval_every: int = 250
    eval_seconds: float = 30.0
    device: str = "cpu"
    mixed_precision: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        path(self, "out")
        path(self, "looks", or_none=True)
        one_of(self, "recipe", get_args(Regime))
        share(self, "labels")
        for name in ("sources", "validation"):
            if not all(isinstance(source, Source) for source in getattr(self, name)):
                refuse(f"{name} has to be a tuple of sources.")
        nested(self, network=NetworkConfig, loss=LossConfig, live=LiveConfig)
        whole(self, "batch_size", "steps", "eval_every", "pool", at_least=1)
        whole(self, "seed")
        positive(self, "learning_rate", "eval_seconds")
        number(self, "minutes", above=0, or_none=True)
        number(self, "ema_decay", at_least=0, below=1)
        not_negative(self, "weight_decay")
        flag(self, "mixed_precision")
        if self.studio is None and not self.sources:
            refuse("there is nothing to learn from: name sources, or show people in a studio.")
        if self.studio is None and not self.validation:
            refuse("validation has to name sources of other people, who choose the weights.")

    @property
    def kept(self) -> Path:
        """Folder that keeps what the detector sees of datasets."""
        return self.out / "looks" if self.looks is None else self.looks
