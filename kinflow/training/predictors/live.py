"""Samples while they are made: a studio shows people, the detector looks, a pool keeps the newest.

Nothing is written to disk and hardly anything is seen twice: with a GPU a training takes a million
pictures where folders hold some ten thousand. People of whom the detector says something else, or
nothing, are left out, as `kinflow data looks` does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from kinflow.checks import number, whole
from kinflow.datasets.same_person import LEAST_SCORE, LEAST_SHOWN, are_of
from kinflow.errors import InputError
from kinflow.evidence.batched_blazepose import BatchedBlazePose, BatchedLooks
from kinflow.predictors.looks import Looks
from kinflow.priors.base import PosePrior
from kinflow.priors.shape import ShapePrior
from kinflow.synth.studio import Studio, StudioBatch, StudioConfig
from kinflow.training.predictors.batches import Labelled, bodies
from kinflow.training.predictors.pool import Pool

_LEAST_KEPT = 0.02
_TRIES = 20
"""Draws after which there should be somebody."""
_STREAMS_APART = 1_000_003


@dataclass(frozen=True)
class LiveConfig:
    """How samples come and go.

    Attributes:
        pictures: drawn at once.
        first: samples with which training begins.
        pool: samples that are kept, the newest ones.
        drawing_share: share of the time that goes to new pictures.
        validation: samples of validation subjects, where no source of them is named.
        weight: share of a batch that comes from the studio, relative to those of sources beside.
    """

    pictures: int = 256
    first: int = 16_384
    pool: int = 200_000
    drawing_share: float = 0.6
    validation: int = 2048
    weight: float = 1.0

    def __post_init__(self) -> None:
        whole(self, "pictures", "first", "pool", "validation", at_least=1, at_most=10_000_000)
        number(self, "drawing_share", at_least=0, at_most=0.95)
        number(self, "weight", above=0)


@dataclass
class Throughput:
    """What a source has done so far, and in how many seconds."""

    pictures: int = 0
    kept: int = 0
    drawing_s: float = 0.0
    looking_s: float = 0.0
    labelling_s: float = 0.0

    def figures(self) -> dict[str, float]:
        """Pictures a second by stage, and how many of them became samples."""
        seconds = {
            "drawn": self.drawing_s,
            "looked_at": self.looking_s,
            "labelled": self.labelling_s,
        }
        speeds = {f"{name}_per_s": self.pictures / max(s, 1e-9) for name, s in seconds.items()}
        share = self.kept / max(self.pictures, 1)
        return {"pictures": float(self.pictures), "kept_share": share, **speeds}


class LiveSource:
    """Makes samples.

    Args:
        draw: shows that many people, as the generator has it.
        look: the detector.
        prior: of poses, on the device of both.
        shape_prior: of shapes.
        pictures: drawn at once.
        seed: another one shows others.
    """

    def __init__(
        self,
        draw: Callable[[int, torch.Generator], StudioBatch],
        look: Callable[[UInt8[Tensor, "people 256 256 3"]], BatchedLooks],
        prior: PosePrior,
        shape_prior: ShapePrior,
        pictures: int,
        seed: int = 0,
    ) -> None:
        self._draw, self._look = draw, look
        self._prior, self._shape_prior = prior, shape_prior
        self._pictures, self._seed = pictures, seed
        self._device = prior.one_of_its_numbers().device
        self._generator = torch.Generator(self._device)
        self.begin(0)
        self.throughput = Throughput()

    def begin(self, step: int) -> None:
        """Show what comes after that many steps: other people than those of a run before it."""
        self._generator.manual_seed(self._seed + _STREAMS_APART * step)

    @torch.no_grad()
    def next(self) -> Labelled:
        """The samples of the next pictures; there may be none."""
        done, times = self.throughput, [self._now()]
        shown = self._draw(self._pictures, self._generator)
        times.append(self._now())
        seen = self._look(shown.rgb)
        times.append(self._now())
        batch = _labelled(shown, seen, self._prior, self._shape_prior)
        good = _is_good(shown, seen)
        for tensor in batch.tensors():
            good &= tensor.isfinite().flatten(1).all(1) if tensor.dim() > 1 else tensor.isfinite()
        batch = batch[good.nonzero()[:, 0]]
        times.append(self._now())
        done.pictures += len(good)
        done.kept += len(batch)
        done.drawing_s += times[1] - times[0]
        done.looking_s += times[2] - times[1]
        done.labelling_s += times[3] - times[2]
        return batch

    def several(self, count: int) -> Labelled:
        """That many samples.

        Raises:
            InputError: the detector sees next to nobody.
        """
        parts, there, tries = [], 0, 0
        while there < count:
            parts.append(self.next())
            there, tries = there + len(parts[-1]), tries + 1
            if tries >= _TRIES and there < _LEAST_KEPT * tries * self._pictures:
                drawn = tries * self._pictures
                raise InputError(
                    f"The detector found {there} of {drawn} people that were drawn, which is "
                    "nothing to learn from; look at the options of the studio."
                )
        return Labelled.concatenate(parts)[:count]

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


def studio_source(
    studio: StudioConfig, prior: PosePrior, shape_prior: ShapePrior, pictures: int, seed: int
) -> LiveSource:
    """What a studio shows and BlazePose sees, on the device of the prior."""
    device = prior.one_of_its_numbers().device
    # pictures come in batches of one size, for which the quickest convolutions are worth a search
    torch.backends.cudnn.benchmark = device.type == "cuda"
    shows, looks = Studio(studio, device), BatchedBlazePose(device, half=device.type == "cuda")
    return LiveSource(shows.draw, looks, prior, shape_prior, pictures, seed)


class LivePool(Pool):
    """A pool that new samples flow into, as much of the time as its settings say.

    Args:
        source: makes samples.
        config: how they come and go.
        known: what of each is known.
    """

    def __init__(
        self, source: LiveSource, config: LiveConfig, known: Callable[[Labelled], Labelled]
    ) -> None:
        super().__init__(config.pool)
        self.source, self.config, self._known = source, config, known
        self._drawing_s = self.learning_s = 0.0
        self._left: float | None = None
        self.before = 0

    def fill(self) -> None:
        """Make the samples with which training begins."""
        first = min(self.config.first, self.capacity)
        while len(self) < first:
            self.add(self._known(self.source.several(min(self.config.pictures, first))))

    def keep_up(self) -> None:
        """Before a step: take new samples in, if it is time to."""
        now, share = time.perf_counter(), self.config.drawing_share
        if self._left is not None:
            self.learning_s += now - self._left
        if self._drawing_s * (1 - share) <= share * self.learning_s and share > 0:
            self.add(self._known(self.source.next()))
            self._drawing_s += time.perf_counter() - now
        self._left = time.perf_counter()

    def pause(self) -> None:
        """What comes now is no learning."""
        self._left = None

    @property
    def total(self) -> int:
        """Samples so far, those before an interruption counted in."""
        return self.before + self.seen

    def state_dict(self) -> dict[str, Tensor]:
        """How many there were: the samples themselves are not kept."""
        return {"total": torch.tensor(self.total)}

    def load_state_dict(self, states: Mapping[str, Tensor]) -> None:
        """Count on from there."""
        self.before = int(states["total"])


def _labelled(
    shown: StudioBatch, seen: BatchedLooks, prior: PosePrior, shape_prior: ShapePrior
) -> Labelled:
    """People with their truth; keypoints are those that show, wherever they are in truth."""
    looks = Looks(
        features=seen.features.half(),
        landmarks=seen.landmarks.float(),
        world_m=seen.world_m.float(),
        region=shown.region,
        focal_px=shown.focal_px,
        principal_px=shown.principal_px,
        joint_features=seen.joint_features.half(),
        map_features=seen.map_features.half(),
    )
    truth = bodies(shown.rotation, shown.phenotypes, shown.root_cam_m, prior, shape_prior)
    points = torch.cat([shown.keypoints_crop, shown.keypoint_shows[..., None].float()], -1)
    known = torch.ones_like(shown.keypoint_shows[:, 0])
    joints, parts = points.new_zeros(len(points), 33, 4), torch.zeros(len(points), 32, 32)
    return Labelled(
        looks, truth, known, known, known, points, joints, parts.to(points.device, torch.int16)
    )


def _is_good(shown: StudioBatch, seen: BatchedLooks) -> Bool[Tensor, " people"]:
    enough = shown.keypoint_shows.sum(1) >= LEAST_SHOWN
    same = are_of(seen.landmarks.float(), shown.keypoints_crop, shown.keypoint_shows)
    return enough & (seen.score >= LEAST_SCORE) & same
