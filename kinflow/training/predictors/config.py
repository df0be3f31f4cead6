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
from kinflow.synth.studio import StudioConfig
from kinflow.training.predictors.live import LiveConfig
from kinflow.training.predictors.losses import LossConfig
from kinflow.training.predictors.regimes import Regime

WEIGHTS_NAME = "predictor.safetensors"


@dataclass(frozen=True)
class TrainPredictorConfig:
    """Train a predictor on folders of samples or before a studio; started again, it goes on where
    it was.

    Attributes:
        out: folder of the run.
        samples: folders of rendered samples written by `kinflow data looks`.
        studio: what is shown while the network learns, in place of folders.
        live: how samples come from the studio, and go.
        validation: folders of samples of other people, which choose the weights; without one the
            studio shows the validation subjects.
        unlabelled: folders of samples of photographs, for the regimes `ss` and `mix`.
        recipe: which labels are used.
        labels: share of the rendered samples whose bodies are known.
        unlabelled_share: share of each batch that comes from photographs.
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
    samples: tuple[Path, ...] = ()
    studio: StudioConfig | None = None
    live: LiveConfig = LiveConfig()
    validation: tuple[Path, ...] = ()
    unlabelled: tuple[Path, ...] = ()
    recipe: Regime = "fs"
    labels: float = 1.0
    unlabelled_share: float = 0.25
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
        one_of(self, "recipe", get_args(Regime))
        share(self, "labels", "unlabelled_share")
        nested(self, network=NetworkConfig, loss=LossConfig, live=LiveConfig)
        whole(self, "batch_size", "steps", "eval_every", at_least=1)
        whole(self, "seed")
        positive(self, "learning_rate", "eval_seconds")
        number(self, "minutes", above=0, or_none=True)
        number(self, "ema_decay", at_least=0, below=1)
        not_negative(self, "weight_decay")
        flag(self, "mixed_precision")
        if self.studio is not None and self.samples:
            refuse("samples come from a studio or from folders, not from both.")
