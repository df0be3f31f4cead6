"""What the part parser sees of pictures: squares around people, as the product lays them.

`kinflow.evidence.parts` has the same steps for one person. In training each square is a little
turned, moved and scaled, and evidence is left out now and then, for the parser has to make do with
what there is: no pixels, no depth, COCO's keypoints, or keypoints and masks from elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from kinflow.body.keypoints import COCO17_ROWS, MIRROR_KEYPOINTS
from kinflow.body.parts import MIRROR_PARTS
from kinflow.checks import not_negative, numbers_of, share
from kinflow.evidence.part_network import GRID, PICTURE, PartInput, part_input
from kinflow.evidence.parts import CERTAIN, MARGIN
from kinflow.synth.studio.dice import Dice
from kinflow.training.parts.masks import Boxes, boxes_of, centres, sampled, turn
from kinflow.training.parts.pictures import IGNORED, Pictures

_MIRROR_ROWS = torch.tensor(MIRROR_KEYPOINTS[:33])
_MIRROR_LABELS = torch.arange(256).to(torch.uint8)
_MIRROR_LABELS[: len(MIRROR_PARTS)] = torch.tensor(MIRROR_PARTS, dtype=torch.uint8)
_COCO = torch.zeros(33, dtype=torch.bool)
_COCO[list(COCO17_ROWS)] = True


@dataclass(frozen=True)
class ViewsConfig:
    """How people lie in the network's view, and what is left out. Shares are probabilities.

    Attributes:
        mirror_share: how often people are mirrored.
        turn_std_deg: of the rotation in the image plane.
        any_turn_share: how often it is any angle at all.
        margin: range of the room around what is seen, relative to its longer side.
        shift: of the square, relative to the same.
        no_picture_share: how often there are no pixels.
        no_depth_share: how often there is no depth.
        coco_share: how often only COCO's 17 keypoints are known.
        sloppy_share: how often keypoints are worse than the detector's.
        sloppy_std: largest spread of that error, relative to the side of the square.
    """

    mirror_share: float = 0.5
    turn_std_deg: float = 6.0
    any_turn_share: float = 0.04
    margin: tuple[float, float] = (0.05, 0.16)
    shift: float = 0.03
    no_picture_share: float = 0.1
    no_depth_share: float = 0.1
    coco_share: float = 0.04
    sloppy_share: float = 0.25
    sloppy_std: float = 0.02

    def __post_init__(self) -> None:
        not_negative(self, "turn_std_deg", "shift", "sloppy_std")
        share(self, *(name for name in vars(self) if name.endswith("_share")))
        numbers_of(self, "margin", count=2, at_least=0, ascending=True)


PLAIN = ViewsConfig(
    mirror_share=0.0,
    turn_std_deg=0.0,
    any_turn_share=0.0,
    margin=(MARGIN, MARGIN),
    shift=0.0,
    no_picture_share=0.0,
    no_depth_share=0.0,
    coco_share=0.0,
    sloppy_share=0.0,
)
"""Squares as the product lays them, with all that is known."""


@dataclass(frozen=True)
class PartBatch:
    """Arguments of `part_network.part_input`, and the target."""

    keypoints_cells: Float[Tensor, "batch 33 3"]
    depth_m: Float[Tensor, "batch 33"]
    mask: Float[Tensor, "batch 96 96"]
    inside: Float[Tensor, "batch 96 96"]
    pixels: UInt8[Tensor, "batch 192 192 3"]
    target: Int[Tensor, "batch 96 96"]
    """Labels, `IGNORED` where nothing is to be said."""

    def input(self) -> PartInput:
        """What the network sees."""
        return part_input(
            self.keypoints_cells,
            self.depth_m,
            self.mask,
            self.inside,
            self.pixels,
        )


def views(pictures: Pictures, config: ViewsConfig, generator: torch.Generator) -> PartBatch:
    """One view of each person."""
    dice, count = Dice(generator), len(pictures)
    mirrored = dice.chance(count, share=config.mirror_share)
    to_view = _axes(pictures.roll, mirrored, config, dice)
    keypoints = torch.cat(
        [
            torch.einsum("pij,pkj->pki", to_view, pictures.keypoints_crop[..., :2]),
            pictures.keypoints_crop[..., 2:],
        ],
        -1,
    )
    keypoints = _worse(_exchanged(keypoints, mirrored), config, dice)
    has_depth = ~dice.chance(count, share=config.no_depth_share)[:, None]
    depth_m = _exchanged(pictures.depth_m, mirrored) * has_depth
    low, side = _squares(pictures.mask > 255 * CERTAIN, to_view, keypoints, config, dice)
    places = low[:, None, None] + side[:, None, None, None] * centres(PICTURE, low.device, 0.0, 1.0)
    fine = torch.einsum("pji,prcj->prci", to_view, places)
    cells = fine.unflatten(1, (GRID, 2)).unflatten(3, (GRID, 2)).mean((2, 4))
    seen = torch.cat([pictures.rgb, pictures.mask[..., None]], -1).permute(0, 3, 1, 2)
    seen = sampled(seen.float(), fine)
    flat = torch.stack([pictures.labels.float(), pictures.inside.float()], 1)
    label, inside = sampled(flat, cells, nearest=True).unbind(1)
    target = torch.where(inside > 0.5, label.round().long(), IGNORED)
    mirror = _MIRROR_LABELS.to(target.device).long()
    target = torch.where(mirrored[:, None, None], mirror[target], target)
    pixels = seen[:, :3] * ~dice.chance(count, share=config.no_picture_share)[:, None, None, None]
    at = (keypoints[..., :2] - low[:, None]) / side[:, None, None] * GRID
    return PartBatch(
        keypoints_cells=torch.cat([at, keypoints[..., 2:]], -1),
        depth_m=depth_m,
        mask=F.avg_pool2d(seen[:, 3], 2) / 255 * inside,
        inside=inside,
        pixels=pixels.round().byte().permute(0, 2, 3, 1),
        target=target,
    )


def _axes(
    roll: Tensor, mirrored: Tensor, config: ViewsConfig, dice: Dice
) -> Float[Tensor, "people 2 2"]:
    """From a crop's axes to the view's: those of the image, turned a little, mirrored or not."""
    count = len(roll)
    angle = dice.normal(count, std=math.radians(config.turn_std_deg))
    any_angle = dice.uniform(count, low=-math.pi, high=math.pi)
    angle = torch.where(dice.chance(count, share=config.any_turn_share), any_angle, angle)
    sign = torch.where(mirrored, -1.0, 1.0)[:, None]
    rotation = turn(roll + angle)
    return torch.stack([sign * rotation[:, 0], rotation[:, 1]], 1)


def _exchanged(values: Tensor, mirrored: Tensor) -> Tensor:
    """Rows of the keypoints of the other side for people who are mirrored."""
    shape = (-1, *(1 for _ in values.shape[1:]))
    return torch.where(mirrored.view(shape), values[:, _MIRROR_ROWS.to(values.device)], values)


def _worse(keypoints: Tensor, config: ViewsConfig, dice: Dice) -> Float[Tensor, "people 33 3"]:
    """Keypoints as other detectors might have given them, now and then."""
    count = len(keypoints)
    std = dice.uniform(count, high=config.sloppy_std)
    std = std * dice.chance(count, share=config.sloppy_share)
    extent = keypoints[..., :2].amax(1) - keypoints[..., :2].amin(1)
    noise = (std * extent.amax(-1))[:, None, None] * dice.normal(count, 33, 2)
    coco = _COCO.to(keypoints.device) | ~dice.chance(count, share=config.coco_share)[:, None]
    return torch.cat([keypoints[..., :2] + noise, keypoints[..., 2:] * coco[..., None]], -1)


def _squares(
    shown: Bool[Tensor, "people 256 256"],
    to_view: Tensor,
    keypoints: Tensor,
    config: ViewsConfig,
    dice: Dice,
) -> tuple[Float[Tensor, "people 2"], Float[Tensor, " people"]]:
    """Top-left corners and sides of the squares around masks and certain keypoints."""
    mask = boxes_of(shown, to_view)
    certain = (keypoints[..., 2] > CERTAIN)[..., None]
    points = keypoints[..., :2]
    low = points.masked_fill(~certain, torch.inf).amin(1)
    high = points.masked_fill(~certain, -torch.inf).amax(1)
    box = Boxes(torch.minimum(mask.low, low), torch.maximum(mask.high, high))
    longest = box.longest.clamp_min(1e-2)
    margin = dice.uniform(len(low), low=config.margin[0], high=config.margin[1])
    side = longest * (1 + 2 * margin)
    shift = longest[:, None] * dice.uniform(len(low), 2, low=-config.shift, high=config.shift)
    return (box.low + box.high) / 2 + shift - side[:, None] / 2, side
