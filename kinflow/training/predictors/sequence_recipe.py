"""`kinflow train sequence-predictor`: learn motion from what a frame network says of clips.

The frame network stays as it is, and is asked about every frame once. Windows of clips are drawn at
random, half of the batches causal, so that one network learns both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from rich.progress import Progress
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

import kinflow.priors
from kinflow.checks import nested, refuse
from kinflow.errors import InputError
from kinflow.files.destinations import check_file_destination
from kinflow.predictors.network import EvidenceNetwork
from kinflow.predictors.predictor import DEFAULT, Predictor, weights_sha256
from kinflow.predictors.sequence_predictor import (
    SequencePredictor,
    SequencePredictorInfo,
    predictor_sha256,
)
from kinflow.predictors.temporal import TemporalConfig
from kinflow.priors.shape import ShapePrior
from kinflow.training.averaging import fast_at_first, weight_average
from kinflow.training.checkpoint import Part
from kinflow.training.loop import Loop, LoopConfig, Recipe
from kinflow.training.predictors.run_options import StepOptions
from kinflow.training.predictors.runs import loop_config, optimizer, run_key
from kinflow.training.predictors.sequence_figures import sequence_figures
from kinflow.training.predictors.sequence_losses import SequenceLoss, SequenceLossConfig
from kinflow.training.predictors.sequences import (
    by_liveliness,
    drawn,
    standardised_by,
    word_clips,
)
from kinflow.training.seeds import seed_everything

WEIGHTS_NAME = "sequence-predictor.safetensors"
_FREE = ("out", "minutes", "eval_seconds")
"""What may change when a run goes on."""


@dataclass(frozen=True, kw_only=True)
class TrainSequencePredictorConfig(StepOptions):
    """Train a temporal network on clips that the detector looked at; started again, it goes on
    where it was.

    Attributes:
        clips: folders of clips (`kinflow data look-clips`).
        validation: folders of clips of other people, which choose the weights.
        predictor: the frame network whose words are read: the shipped one by name, or a file.
        network: its shape.
        loss: weights of the terms.
    """

    clips: tuple[Path, ...]
    validation: tuple[Path, ...]
    predictor: str = DEFAULT
    network: TemporalConfig = TemporalConfig()
    loss: SequenceLossConfig = SequenceLossConfig()
    batch_size: int = 16
    steps: int = 700
    learning_rate: float = 1.5e-3
    ema_decay: float = 0.99
    eval_every: int = 100
    eval_seconds: float = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        nested(self, network=TemporalConfig, loss=SequenceLossConfig)
        if not self.clips or not self.validation:
            refuse("clips and validation have to name folders of clips, of different people.")


class SequencePredictorRecipe(Recipe):
    """A temporal network that learns from clips.

    Args:
        config: what it learns, and from what.
        command: that was given, to be kept with the weights.
    """

    network: SequencePredictor
    average: AveragedModel
    weights_name = WEIGHTS_NAME
    score_name = "minus_mm"

    def __init__(self, config: TrainSequencePredictorConfig, command: str = "") -> None:
        self.config = config
        seed_everything(config.seed)
        self.frame_network = Predictor.load(
            config.predictor if config.predictor == DEFAULT else Path(config.predictor)
        )
        prior, shape_prior = kinflow.priors.load(), ShapePrior()
        if not isinstance(self.frame_network.network, EvidenceNetwork) or not (
            self.frame_network.is_of(prior)
        ):
            raise InputError(
                f"'{config.predictor}' is not a predictor of what the detector saw with the "
                "shipped pose prior; name one that is.",
                {"predictor": "predictor"},
            )
        self.loss_of = SequenceLoss(self.frame_network, prior, config.loss)
        given = (self.frame_network, prior, shape_prior)
        self.validation = word_clips(config.validation, *given)
        self.training = word_clips(config.clips, *given)
        if not self.training or not self.validation:
            raise InputError("The detector saw nobody in any of the clips; name other ones.")
        self._likely = by_liveliness(self.training)
        sha256 = predictor_sha256(self.frame_network)
        frames = sum(map(len, self.training))
        self.info = SequencePredictorInfo(command, config.seed, sha256, len(self.training), frames)
        sizes = {
            "readout": self.training[0].words.hidden.shape[-1],
            "latent_size": prior.latent_dim,
            "shape_size": shape_prior.size,
        }
        self.network = SequencePredictor(replace(config.network, **sizes), self.info)
        mean, std = standardised_by(self.training)
        self.network.network.vector_mean.copy_(mean)
        self.network.network.vector_std.copy_(std)
        self.average = weight_average(self.network, fast_at_first(config.ema_decay))
        self.optimizer = optimizer(self.network, config)
        settings = {k: v for k, v in asdict(config).items() if k not in _FREE}
        data = [
            len(self.training),
            frames,
            sum(float(c.words.t_cam_root_m.sum()) for c in self.training),
        ]
        self.run_key = run_key(
            settings | {"weights of the predictor": sha256},
            data,
            self.loss_of.model.body,
            weights_sha256(prior),
        )
        self._figures: dict[str, float] = {}

    @property
    def loop_config(self) -> LoopConfig:
        """How this recipe is trained."""
        return loop_config(self.config, "cpu")

    def prepare(self, bar: Progress, step: int) -> None:
        """Say what there is to be better than."""
        if self.processes.is_main:
            _say(sequence_figures(None, self.loss_of, self.validation))

    def loss(self, step: int) -> Tensor:
        window = self.network.config.window
        batch = drawn(self.training, self.config.batch_size, window, self._likely)
        R = batch.words.R_still_window()
        causal = bool(torch.rand(()) < 0.5)
        return self.loss_of(self.network.network(batch.words, R, causal, batch.there), batch, R)

    @torch.no_grad()
    def evaluate(self) -> float:
        """Minus the mean of errors with and without Procrustes, full and causal."""
        self._figures = sequence_figures(self._averaged.eval(), self.loss_of, self.validation)
        kinds = [f"{m}_{k}_mm" for m in ("full", "causal") for k in ("pa_mpjpe", "mpjpe")]
        return -sum(self._figures[kind] for kind in kinds) / len(kinds)

    def figures(self, loss: float, score: float, steps_per_second: float) -> Mapping[str, float]:
        return {"loss": loss, **self._figures, "steps_per_second": steps_per_second}

    def keep(self, path: Path, step: int, score: float) -> None:
        self._averaged.info = replace(self.info, metrics={"step": float(step), **self._figures})
        self._averaged.save(path)

    def parts(self) -> dict[str, Part]:
        return {"network": self.network, "average": self.average, "optimizer": self.optimizer}

    @property
    def _averaged(self) -> SequencePredictor:
        assert isinstance(self.average.module, SequencePredictor)
        return self.average.module


def _say(what: Mapping[str, float]) -> None:
    print(", ".join(f"{name} {value:.3f}" for name, value in what.items()), flush=True)


def train(config: TrainSequencePredictorConfig, command: str = "") -> Path:
    """Train, and return the file of the best weights."""
    check_file_destination(config.out / WEIGHTS_NAME)
    recipe = SequencePredictorRecipe(config, command)
    weights = Loop(recipe, recipe.loop_config, config.out).run()
    info = SequencePredictor.load(weights).info
    _say({"clips": float(info.clips), "frames": float(info.frames), **info.metrics})
    return weights
