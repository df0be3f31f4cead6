"""`kinflow train image-predictor`: learn a density over bodies from pictures of people.

Pictures are crops of folders (`kinflow data crops`), or a studio shows them while the network
learns, which takes a GPU. No detector looks at them. Losses are those of the evidence network: of
the share `labels` of people the body is known, the others teach by where their keypoints are in the
picture.
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
from kinflow.checks import flag, nested, path, refuse, whole
from kinflow.errors import InputError
from kinflow.files.destinations import check_file_destination
from kinflow.predictors.image_network import ImageNetwork, ImageNetworkConfig
from kinflow.predictors.predictor import Predictor, PredictorInfo, weights_sha256
from kinflow.priors.shape import ShapePrior
from kinflow.synth.crops import CropSet, shrunk
from kinflow.synth.studio import StudioConfig
from kinflow.tensors import check_device
from kinflow.training.averaging import fast_at_first, weight_average
from kinflow.training.checkpoint import Part
from kinflow.training.loop import Loop, LoopConfig, Recipe
from kinflow.training.predictors.batches import Labelled
from kinflow.training.predictors.crops import crop_source, labelled_crops, looked_at_anew
from kinflow.training.predictors.figures import figures
from kinflow.training.predictors.live import LivePool
from kinflow.training.predictors.losses import PredictorLoss
from kinflow.training.predictors.mean_body import MeanBody
from kinflow.training.predictors.pool import draw
from kinflow.training.predictors.run_options import WEIGHTS_NAME, RunOptions
from kinflow.training.predictors.runs import (
    STANDARDISED_BY,
    VALIDATION_SEED,
    loop_config,
    optimizer,
    run_key,
    standardise_targets,
)
from kinflow.training.processes import Processes
from kinflow.training.seeds import seed_everything

_FREE = ("out", "minutes", "eval_seconds", "device")


@dataclass(frozen=True, kw_only=True)
class TrainImagePredictorConfig(RunOptions):
    """Train a predictor that looks at pictures; started again, it goes on where it was.

    Attributes:
        crops: folders of crops written by `kinflow data crops`, of the network's size or larger.
        studio: what is shown while the network learns, in place of folders.
        validation: folders of crops of other people, which choose the weights; without one the
            studio shows the validation subjects.
        vary: turn, move and resize crops a little every time, and take mirror images of folders'.
        labels: share of the people whose bodies are known; the others teach by their keypoints.
        network: its shape; pictures are of its `crop_px`.
        pretrained: file of torchvision's or timm's weights that the backbone begins with.
    """

    crops: tuple[Path, ...] = ()
    validation: tuple[Path, ...] = ()
    vary: bool = True
    network: ImageNetworkConfig = ImageNetworkConfig()
    pretrained: Path | None = None
    batch_size: int = 128
    steps: int = 20_000

    def __post_init__(self) -> None:
        super().__post_init__()
        path(self, "pretrained", or_none=True)
        nested(self, network=ImageNetworkConfig)
        whole(self, "batch_size", at_least=2)  # of one, there are no statistics
        flag(self, "vary")
        if (self.studio is None) == (not self.crops):
            refuse("pictures come from a studio or from folders of crops: name one of both.")
        if self.studio is None and not self.validation:
            refuse("validation has to name folders of other people, who choose the weights.")


class ImagePredictorRecipe(Recipe):
    """An image predictor that learns from crops.

    Args:
        config: what it learns, and from what.
        command: that was given, to be kept with the weights.
    """

    network: Predictor
    average: AveragedModel
    weights_name = WEIGHTS_NAME
    score_name = "nats"

    def __init__(self, config: TrainImagePredictorConfig, command: str = "") -> None:
        self.config = config
        check_device(config.device)
        self.device = torch.device(config.device)
        self._prior, self._shape_prior = kinflow.priors.load().to(self.device), ShapePrior()
        seed_everything(config.seed)
        self.loss_of = PredictorLoss(self._prior, config.loss)
        self.training = self._training()
        self.validation = self._validation()
        sha256 = weights_sha256(self._prior)
        self.info = PredictorInfo(command, config.seed, sha256, len(self.training), {})
        sizes = {"latent_size": self._prior.latent_dim, "shape_size": self._shape_prior.size}
        self.network = Predictor(replace(config.network, **sizes), self.info).to(self.device)
        if config.pretrained is not None:
            assert isinstance(self.network.network, ImageNetwork)
            self.network.network.backbone.begin_with(config.pretrained)
        self.average = weight_average(self.network, fast_at_first(config.ema_decay))
        # each process would see people of its own
        self.is_shared = isinstance(self.training, Labelled)
        if config.mixed_precision and self.device.type == "cuda":  # what is kept runs without
            self.network.network.trunk_dtype = torch.bfloat16
        if isinstance(self.training, Labelled):
            self._standardise()
        self.optimizer = optimizer(self.network, config)
        self.run_key = self._key(sha256)
        self._figures: dict[str, float] = {}

    @property
    def loop_config(self) -> LoopConfig:
        """How this recipe is trained."""
        return loop_config(self.config, self.config.device)

    def prepare(self, bar: Progress, step: int) -> None:
        """Show the first people, and say what it takes to be better than nothing."""
        if isinstance(self.training, LivePool):
            self.training.source.begin(step)
            self.training.fill()
            if step == 0:
                self._standardise()
        if self.processes.is_main:
            mean = MeanBody.of(draw(self.training, STANDARDISED_BY), self._prior.latent_dim)
            _say("mean body: ", mean.figures(self.validation, self.loss_of))

    def loss(self, step: int) -> Tensor:
        if isinstance(self.training, LivePool):
            self.training.keep_up()
        batch = self.processes.own_part(draw(self.training, self.config.batch_size))
        batch = looked_at_anew(batch) if self.config.vary else batch
        return self.loss_of(self.network(batch.looks), batch).mean()

    @torch.no_grad()
    def evaluate(self) -> float:
        if isinstance(self.training, LivePool):
            self.training.pause()
        self._figures = figures(self._averaged.eval(), self.loss_of, self.validation)
        return self._figures["nats"]

    def figures(self, loss: float, score: float, steps_per_second: float) -> Mapping[str, float]:
        return {"loss": loss, **self._figures, "steps_per_second": steps_per_second}

    def keep(self, path: Path, step: int, score: float) -> None:
        metrics = {"step": float(step), **self._figures}
        self._averaged.info = replace(self.info, samples=self._seen, metrics=metrics)
        self._averaged.save(path)

    def parts(self) -> dict[str, Part]:
        parts: dict[str, Part] = {
            "network": self.network,
            "average": self.average,
            "optimizer": self.optimizer,
        }
        return parts | {"pool": self.training} if isinstance(self.training, LivePool) else parts

    @property
    def _averaged(self) -> Predictor:
        assert isinstance(self.average.module, Predictor)
        return self.average.module

    @property
    def _seen(self) -> int:
        return self.training.total if isinstance(self.training, LivePool) else len(self.training)

    def _key(self, prior_sha256: str) -> str:
        """What must be the same when a run goes on: settings, data, body, prior and version."""
        settings = {k: v for k, v in asdict(self.config).items() if k not in _FREE}
        people = len(self.training) if isinstance(self.training, Labelled) else 0
        return run_key(settings, people, self.loss_of.model.body, prior_sha256)

    def _training(self) -> Labelled | LivePool:
        config = self.config
        generator = torch.Generator().manual_seed(config.seed)

        def known(new: Labelled) -> Labelled:
            chosen = torch.rand(len(new), generator=generator) < config.labels
            known = new.has_body & chosen.to(new.device)
            return replace(new, has_body=known, has_pose=known, has_root=known)

        if config.studio is None:
            return known(self._of_folders(config.crops, config.vary))
        source = self._source(config.studio, config.seed)
        return LivePool(source, config.live, known)

    def _validation(self) -> Labelled:
        config = self.config
        if config.studio is None or config.validation:
            return self._of_folders(config.validation)
        others = replace(config.studio, split="validation")
        return self._source(others, VALIDATION_SEED).several(config.live.validation)

    def _source(self, studio: StudioConfig, seed: int):
        shown, size = self.config.live.pictures, self.config.network.crop_px
        return crop_source(studio, self._prior, self._shape_prior, shown, seed, size)

    def _of_folders(self, folders: tuple[Path, ...], in_mirrors: bool = False) -> Labelled:
        crops, side = CropSet.load_all(folders), self.config.network.crop_px
        if crops.rgb.shape[1] < side:
            raise InputError(
                f"The crops have {crops.rgb.shape[1]} pixels a side, smaller than the {side} that "
                "the network looks at; make larger ones.",
                {"network looks at": "network.crop_px"},
            )
        crops = replace(crops, rgb=shrunk(crops.rgb, side))
        if in_mirrors:
            crops = CropSet.concatenate([crops, crops.mirrored()])
        return labelled_crops(crops, self._prior, self._shape_prior)

    @torch.no_grad()
    def _standardise(self) -> None:
        """Targets of about unit size, in the network and its average."""
        batch = draw(self.training, STANDARDISED_BY)
        for predictor in (self.network, self._averaged):
            standardise_targets(predictor, batch, self._prior.latent_dim)


def _say(title: str, what: Mapping[str, float]) -> None:
    print(title + ", ".join(f"{name} {value:.3f}" for name, value in what.items()), flush=True)


def train(config: TrainImagePredictorConfig, command: str = "") -> Path:
    """Train, and return the file of the best weights."""
    check_file_destination(config.out / WEIGHTS_NAME)
    processes = Processes.started(config.device)
    recipe = ImagePredictorRecipe(config, command)
    weights = Loop(recipe, recipe.loop_config, config.out, processes).run()
    info = Predictor.load(weights).info
    _say("", {"people": float(info.samples), **info.metrics})
    return weights
