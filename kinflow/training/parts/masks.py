"""Silhouettes of many people at once, nearly as `kinflow.evidence.silhouette` makes them of one.

BlazePose's mask and the selfie segmenter's are averaged where they agree on the whole. Three things
are simpler here. The segmenter sees of the image what lies in BlazePose's crop. Boxes are those of
the true dressed people, about as wrong as MoveNet's. And since nobody looked at the neighbours,
their claims to pixels are made of their true outlines, for as many as a detector would find.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from kinflow.body.bones import STICK_FIGURE_ROWS
from kinflow.checks import not_negative, share
from kinflow.evidence import selfie, silhouette
from kinflow.synth.studio.dice import Dice

Segmenter = Callable[[UInt8[Tensor, "people 256 256 3"]], Float[Tensor, "people 256 256"]]
"""Crops to the probability that a pixel shows anybody."""

_SIDE = selfie.CROP_PX
_NEAR_CELLS = 9  # across, of what the silhouette of a neighbouring pixel reaches
_NEAR = 0.3
_SKELETON_CELLS = 64
# How far outlines move at most, in pixels across, how soon that changes, how sharp they are.
_BRIM, _KNOTS, _SHARPNESS = 9, (12, 12), 12.0
# A neighbour's pixel as their own mask and skeleton would claim it.
_NEIGHBOUR_CLAIM = 0.65


@dataclass(frozen=True)
class MaskConfig:
    """What silhouettes differ in. Shares are probabilities.

    Attributes:
        box_std: error of the sides of a person's box, relative to its longer side.
        found_share: how often the neighbours were found and claim what is theirs.
        drawn_share: how often the silhouette is the true one with an outline that wanders, as
            another segmenter would draw it.
        drawn_error: largest size of these wanderings; above a half, holes and leaks appear.
    """

    box_std: float = 0.03
    found_share: float = 0.7
    drawn_share: float = 0.15
    drawn_error: float = 0.4

    def __post_init__(self) -> None:
        share(self, "box_std", "found_share", "drawn_share")
        not_negative(self, "drawn_error")


@dataclass(frozen=True)
class Boxes:
    """Boxes in axes parallel to the image's, about the middle of the crop, in sides of the crop."""

    low: Float[Tensor, "people 2"]
    high: Float[Tensor, "people 2"]

    @property
    def longest(self) -> Float[Tensor, " people"]:
        """The longer side."""
        return (self.high - self.low).amax(-1)

    @property
    def size(self) -> Float[Tensor, " people"]:
        """Side of the square of the same area."""
        return (self.high - self.low).clamp_min(1e-6).prod(-1).sqrt()


def turn(roll: Float[Tensor, " people"]) -> Float[Tensor, "people 2 2"]:
    """From the axes of a crop that is turned by `roll` to the image's."""
    cosine, sine = roll.cos(), roll.sin()
    return torch.stack([torch.stack([cosine, -sine], -1), torch.stack([sine, cosine], -1)], -2)


def centres(
    side: int, device: torch.device, low: float = -0.5, high: float = 0.5
) -> Float[Tensor, "side side 2"]:
    """(x, y) of the middles of cells, `side` of them from `low` to `high`."""
    at = low + (high - low) * (torch.arange(side, device=device) + 0.5) / side
    y, x = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([x, y], -1)


def boxes_of(
    shown: Bool[Tensor, "people rows columns"], to_axes: Float[Tensor, "people 2 2"]
) -> Boxes:
    """The boxes of pixels in axes that `to_axes` leads to; empty ones where there are none."""
    points = centres(shown.shape[-1], shown.device).flatten(0, 1)
    at = torch.einsum("pij,nj->pin", to_axes, points)
    shown = shown.flatten(1)[:, None]
    low = at.masked_fill(~shown, torch.inf).amin(-1)
    high = at.masked_fill(~shown, -torch.inf).amax(-1)
    half = 0.5 / _SIDE
    some = shown.any(-1)
    return Boxes(torch.where(some, low - half, 0.0), torch.where(some, high + half, 0.0))


def sampled(
    values: Float[Tensor, "people channels rows columns"],
    places: Float[Tensor, "people side side 2"],
    nearest: bool = False,
) -> Float[Tensor, "people channels side side"]:
    """Values of maps that reach from -0.5 to 0.5 at places there; zero outside."""
    mode = "nearest" if nearest else "bilinear"
    return F.grid_sample(values, 2 * places, mode=mode, align_corners=False)


def silhouettes(
    rgb: UInt8[Tensor, "people 256 256 3"],
    own: Float[Tensor, "people 256 256"],
    landmarks: Float[Tensor, "people 33 3"],
    dressed: Bool[Tensor, "people 256 256"],
    other: Bool[Tensor, "people 256 256"],
    region: Float[Tensor, "people 4"],
    segmenter: Segmenter,
    config: MaskConfig,
    dice: Dice,
) -> Float[Tensor, "people 256 256"]:
    """Silhouettes in the axes of the crops.

    Args:
        rgb: the crops.
        own: BlazePose's masks.
        landmarks: (x, y, confidence) of BlazePose in the axes of the crop.
        dressed: pixels of each person that show.
        other: pixels of other people.
        region: (x, y, side, roll) of the crops in the image, in pixels and radians.
        segmenter: of whole crops.
        config: what differs from one silhouette to the next.
        dice: source of randomness.
    """
    R_image_crop = turn(region[:, 3])
    box = _roughly(boxes_of(dressed, R_image_crop), config.box_std, dice)
    places = torch.einsum("pij,rcj->prci", R_image_crop, centres(_SIDE, rgb.device))
    anyone = _anyone(rgb, places, R_image_crop, box, segmenter)
    near = F.max_pool2d(own[:, None], _NEAR_CELLS, 1, _NEAR_CELLS // 2)[:, 0] > _NEAR
    anyone = anyone * near
    both = ((own > 0.5) & (anyone > 0.5)).sum((1, 2))
    either = ((own > 0.5) | (anyone > 0.5)).sum((1, 2)).clamp_min(1)
    large = box.size * region[:, 2] >= silhouette.MIN_SHARPENED_PX
    agree = (large & (both > silhouette.MIN_AGREEMENT * either))[:, None, None]
    mask = torch.where(agree, (own + anyone) / 2, own)
    found = dice.chance(len(rgb), share=config.found_share)[:, None, None]
    mask = torch.where(found & other, mask * _share(mask, landmarks), mask)
    drawn = dice.chance(len(rgb), share=config.drawn_share)[:, None, None]
    mask = torch.where(drawn, _drawn(dressed, config.drawn_error, dice), mask)
    margin = silhouette.BOX_MARGIN * box.longest[:, None]
    low, high = ((b + m)[:, None, None] for b, m in ((box.low, -margin), (box.high, margin)))
    return mask * ((places > low) & (places < high)).all(-1)


def _roughly(box: Boxes, std: float, dice: Dice) -> Boxes:
    noise = dice.normal(2, len(box.low), 2, std=std) * box.longest[:, None]
    low, high = torch.stack([box.low, box.high]) + noise
    return Boxes(low, torch.maximum(low + 1e-3, high))


def _anyone(
    rgb: Tensor, places: Tensor, R_image_crop: Tensor, box: Boxes, segmenter: Segmenter
) -> Float[Tensor, "people 256 256"]:
    """The segmenter's answer, which looks at an upright square, in the axes of the crops."""
    side = (selfie.BOX_MARGIN * box.longest).clamp_min(1e-3)[:, None, None, None]
    middle = ((box.low + box.high) / 2)[:, None, None]
    square = middle + side * centres(_SIDE, rgb.device)
    at = torch.einsum("pji,prcj->prci", R_image_crop, square)
    crops = sampled(rgb.permute(0, 3, 1, 2).float(), at)
    probability = segmenter(crops.round().byte().permute(0, 2, 3, 1).contiguous())
    return sampled(probability[:, None].float(), (places - middle) / side)[:, 0]


def _drawn(
    dressed: Bool[Tensor, "people 256 256"], error: float, dice: Dice
) -> Float[Tensor, "people 256 256"]:
    """The true silhouette, its outline moved by up to some pixels here and there."""
    count = len(dressed)
    soft = F.avg_pool2d(dressed[:, None].float(), _BRIM, 1, _BRIM // 2)
    knots = dice.uniform(count, 1, 1, 1, high=error) * dice.normal(count, 1, *_KNOTS)
    moved = soft - 0.5 + F.interpolate(knots, size=(_SIDE, _SIDE), mode="bilinear")
    return (_SHARPNESS * moved[:, 0]).sigmoid()


def _share(
    mask: Float[Tensor, "people 256 256"], landmarks: Float[Tensor, "people 33 3"]
) -> Float[Tensor, "people 256 256"]:
    """The share of each neighbour's pixel that is left to the person."""
    claim = mask * _nearness(landmarks)
    return claim / (claim + _NEIGHBOUR_CLAIM)


def _nearness(landmarks: Float[Tensor, "people 33 3"]) -> Float[Tensor, "people 256 256"]:
    """Weight in (0, 1] that falls with the distance to the visible skeleton."""
    ends = landmarks[:, torch.tensor(STICK_FIGURE_ROWS, device=landmarks.device)]
    a, b = ends[:, :, 0, None, None], ends[:, :, 1, None, None]
    along, to = (b - a)[..., :2], centres(_SKELETON_CELLS, landmarks.device) - a[..., :2]
    t = (to * along).sum(-1) / along.square().sum(-1).clamp_min(1e-9)
    distance = (to - t.clamp(0, 1)[..., None] * along).norm(dim=-1)
    seen = torch.minimum(a[..., 2], b[..., 2]) > silhouette.BONE_CONFIDENCE
    distance = torch.where(seen, distance, torch.inf).amin(1)
    distance = torch.where(distance.isinf(), 0.0, distance)  # no bone that is certain: no weights
    weight = torch.exp2(-distance / silhouette.CLAIM_FRACTION)
    return F.interpolate(weight[:, None], size=(_SIDE, _SIDE), mode="bilinear")[:, 0]
