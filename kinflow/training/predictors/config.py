"""Options of `kinflow train predictor`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from kinflow.checks import nested, one_of, path, refuse, whole
from kinflow.predictors.network import NetworkConfig
from kinflow.priors.storage import DEFAULT as DEFAULT_PRIOR
from kinflow.training.predictors.regimes import Regime
from kinflow.training.predictors.run_options import RunOptions
from kinflow.training.predictors.sources import Source, TypedSource


@dataclass(frozen=True, kw_only=True)
class TrainPredictorConfig(RunOptions):
    """Train a predictor on a mixture of datasets, folders of looks and a studio; started again, it
    goes on where it was.

    Attributes:
        sources: what is learned from, each as one text: the name of a dataset (`kinflow data list`)
            or `looks`, its folder, and then any of `split=`, `weight=` (share of a batch relative
            to the others), `use=` (labels: body, pose, joints, keypoints, parts, seen), `at_most=`
            and `fov_deg=`, such as 'coco ~/coco split=train2017 weight=2 use=keypoints,parts'.
        studio: what is shown while the network learns, beside sources or alone.
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
    """

    sources: tuple[TypedSource, ...] = ()
    validation: tuple[TypedSource, ...] = ()
    looks: Path | None = None
    recipe: Regime = "fs"
    prior: str = DEFAULT_PRIOR
    start: str | None = None
    pool: int = 8192
    network: NetworkConfig = NetworkConfig()
    batch_size: int = 256
    steps: int = 6000

    def __post_init__(self) -> None:
        super().__post_init__()
        path(self, "looks", or_none=True)
        one_of(self, "recipe", get_args(Regime))
        for name in ("sources", "validation"):
            if not all(isinstance(source, Source) for source in getattr(self, name)):
                refuse(f"{name} has to be a tuple of sources.")
        nested(self, network=NetworkConfig)
        whole(self, "pool", at_least=1)
        if self.studio is None and not self.sources:
            refuse("there is nothing to learn from: name sources, or show people in a studio.")
        if self.studio is None and not self.validation:
            refuse("validation has to name sources of other people, who choose the weights.")

    @property
    def kept(self) -> Path:
        """Folder that keeps what the detector sees of datasets."""
        return self.out / "looks" if self.looks is None else self.looks
