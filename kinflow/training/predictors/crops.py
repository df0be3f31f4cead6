"""Crops as losses take them, from folders or before a studio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
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
_SCALED, _TURNED_RAD, _MOVED = 0.2, 0.5, 0.06
"""How far crops are varied: logarithm of the size, radians, share of the side."""


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
    # bodies and keypoints say all that joints and parts would
    joints = nothing.new_zeros(people, 33, 4)
    parts = torch.zeros(people, 32, 32, dtype=torch.int16, device=nothing.device)
    known = torch.ones_like(shows[:, 0])
    batch = Labelled(looks, truth, known, known, known, seen, joints, parts)
    good = shows.sum(1) >= LEAST_SHOWN
    for tensor in vars(truth).values():
        good &= tensor.flatten(1).isfinite().all(1) if tensor.dim() > 1 else tensor.isfinite()
    return batch[good.nonzero()[:, 0]]


def looked_at_anew(batch: Labelled) -> Labelled:
    """The same people in crops that lie a little elsewhere, larger or smaller and turned: what was
    not in the crop is black. Bodies and cameras stay as they are.
    """
    looks = batch.looks
    assert looks.crop is not None, "crops are what is looked at"
    people, device = len(batch), batch.device
    draw = 2 * torch.rand(4, people, device=device) - 1
    scale, turn = (_SCALED * draw[0]).exp(), _TURNED_RAD * draw[1]
    shift = _MOVED * draw[2:].T
    R = _turns(turn)
    # a point of the new crop is at shift + scale R point of the old one
    theta = torch.cat([scale[:, None, None] * R, 2 * shift[..., None]], -1)
    pixels = looks.crop.permute(0, 3, 1, 2).float()
    grid = F.affine_grid(theta, list(pixels.shape), align_corners=False)
    crop = F.grid_sample(pixels, grid, align_corners=False).round().to(torch.uint8)
    x, y, side, roll = looks.region.unbind(-1)
    centre = torch.stack([x, y], -1) + side[:, None] * _applied(_turns(roll), shift)
    region = torch.cat([centre, torch.stack([side * scale, roll + turn], -1)], -1)
    xy, weight = batch.points.split([2, 1], -1)
    moved = _applied(R.mT[:, None], xy - shift[:, None]) / scale[:, None, None]
    return replace(
        batch,
        looks=replace(looks, crop=crop.permute(0, 2, 3, 1).contiguous(), region=region),
        points=torch.cat([moved, weight], -1),
    )


def _turns(angle: Float[Tensor, " people"]) -> Float[Tensor, "people 2 2"]:
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([cosine, -sine, sine, cosine], -1).unflatten(-1, (2, 2))


def _applied(R: Tensor, vectors: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch 2"]:
    return (R @ vectors[..., None])[..., 0]


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
