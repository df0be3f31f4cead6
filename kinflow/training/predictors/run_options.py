"""Options that runs of all kinds of predictors share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kinflow.checks import flag, nested, not_negative, number, path, positive, share, whole
from kinflow.synth.studio import StudioConfig
from kinflow.training.predictors.live import LiveConfig
from kinflow.training.predictors.losses import LossConfig

WEIGHTS_NAME = "predictor.safetensors"


@dataclass(frozen=True, kw_only=True)
class StepOptions:
    """How a run steps.

    Attributes:
        out: folder of the run.
        batch_size: people per step, or windows of clips.
        steps: optimiser steps altogether; with `minutes` what the schedule is counted in.
        minutes: time that training takes, what comes before it left out; None for as long as the
            steps take.
        learning_rate: peak learning rate; cosine decay to zero.
        weight_decay: of AdamW, on matrices.
        ema_decay: of the average of weights that is kept.
        eval_every: steps between evaluations, and checkpoints.
        eval_seconds: time between them, with `minutes`.
        seed: seeds everything.
    """

    out: Path
    batch_size: int
    steps: int
    minutes: float | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    ema_decay: float = 0.998
    eval_every: int = 250
    eval_seconds: float = 30.0
    seed: int = 0

    def __post_init__(self) -> None:
        path(self, "out")
        whole(self, "batch_size", "steps", "eval_every", at_least=1)
        whole(self, "seed")
        positive(self, "learning_rate", "eval_seconds")
        number(self, "minutes", above=0, or_none=True)
        number(self, "ema_decay", at_least=0, below=1)
        not_negative(self, "weight_decay")


@dataclass(frozen=True, kw_only=True)
class RunOptions(StepOptions):
    """How a predictor is trained, whatever it looks at.

    Attributes:
        studio: what is shown while the network learns.
        live: how people come from the studio, and go.
        labels: share of the people whose bodies are known; the others teach by what else is known
            of them.
        loss: weights of the terms.
        device: where everything is computed.
        mixed_precision: compute the trunk or backbone in bfloat16 on a GPU.
    """

    studio: StudioConfig | None = None
    live: LiveConfig = LiveConfig()
    labels: float = 1.0
    loss: LossConfig = LossConfig()
    device: str = "cpu"
    mixed_precision: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        share(self, "labels")
        nested(self, loss=LossConfig, live=LiveConfig)
        flag(self, "mixed_precision")
