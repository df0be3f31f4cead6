"""Crops as losses take them, from folders or before a studio."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from kinflow.datasets.same_person import LEAST_SHOWN
from kinflow.predictors.looks import Looks
from kinflow.priors.base import PosePrior
from kinflow.priors.shape import ShapePrior
from kinflow.synth.crops import CropSet
from kinflow.synth.studio import Studio, StudioBatch, StudioConfig
from kinflow.training.predictors.batches import Labelled, bodies
from kinflow.training.predictors.live import LiveSource

_AT_ONCE = 1024


@torch.no_grad()
def labelled_crops(crops: CropSet, prior: PosePrior, shape_prior: ShapePrior) -> Labelled:
    """People whose bodies are known, on the prior's device; those of whom hardly anything shows, or
    whose numbers are none, are left out."""
    device = prior.one_of_its_numbers().device
    parts = [
        _labelled(
            CropSet(**{n: v[rows].to(device) for n, v in vars(crops).items()}), prior, shape_prior
        )
        for rows in torch.arange(len(crops)).split(_AT_ONCE)
    ]
    return Labelled.concatenate(parts)


def _labelled(crops: CropSet, prior: PosePrior, shape_prior: ShapePrior) -> Labelled:
    people = len(crops)
    nothing = crops.region.new_zeros(people, 0)  # no detector looked
    points = nothing.new_zeros(people, 33, 3)
    looks = Looks(
        features=nothing,
        joint_features=points[..., :0],
        map_features=nothing,
        landmarks=points,
        world_m=points,
        region=crops.region,
        focal_px=crops.focal_px,
        principal_px=crops.principal_px,
        crop=crops.rgb,
    )
    truth = bodies(crops.rotation, crops.phenotypes, crops.root_cam_m, prior, shape_prior)
    shows = crops.keypoint_shows
    seen = torch.cat([crops.keypoints_crop, shows[..., None].float()], -1)
    batch = Labelled(looks, truth, torch.ones_like(shows[:, 0]), seen)
    good = shows.sum(1) >= LEAST_SHOWN
    for tensor in vars(truth).values():
        good &= tensor.flatten(1).isfinite().all(1) if tensor.dim() > 1 else tensor.isfinite()
    return batch[good.nonzero()[:, 0]]


class CropSource(LiveSource):
    """Shows people at whom no detector looks.

    Args:
        draw: shows that many people, as the generator has it.
        prior: of poses, on the device where people are shown.
        shape_prior: of shapes.
        pictures: drawn at once.
        seed: another one shows others.
        crop_px: side of the pictures.
    """

    def __init__(
        self,
        draw: Callable[[int, torch.Generator], StudioBatch],
        prior: PosePrior,
        shape_prior: ShapePrior,
        pictures: int,
        seed: int,
        crop_px: int,
    ) -> None:
        super().__init__(draw, _nobody_looks, prior, shape_prior, pictures, seed)
        self._crop_px = crop_px

    @torch.no_grad()
    def next(self) -> Labelled:
        """The people of the next pictures; there may be none."""
        begin = self._now()
        shown = self._draw(self._pictures, self._generator)
        crops = CropSet.of(shown, self._crop_px)
        drawn = self._now()
        batch = _labelled(crops, self._prior, self._shape_prior)
        self.throughput.pictures += len(shown)
        self.throughput.kept += len(batch)
        self.throughput.drawing_s += drawn - begin
        self.throughput.labelling_s += self._now() - drawn
        return batch


def crop_source(
    studio: StudioConfig,
    prior: PosePrior,
    shape_prior: ShapePrior,
    pictures: int,
    seed: int,
    crop_px: int,
) -> CropSource:
    """What a studio shows, on the device of the prior."""
    device = prior.one_of_its_numbers().device
    torch.backends.cudnn.benchmark = device.type == "cuda"
    shows = Studio(studio, device)
    return CropSource(shows.draw, prior, shape_prior, pictures, seed, crop_px)


def _nobody_looks(crops: Tensor):
    raise AssertionError("no detector looks at these pictures")
