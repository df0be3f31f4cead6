"""What is around people: photographs, rooms with a floor, shapes; and what stands before them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.synth.studio.colors import any_color
from kinflow.synth.studio.dice import Dice
from kinflow.synth.studio.models import CROP_PX
from kinflow.synth.studio.staging import Stage

_SHAPES = 9
_ANKLES = [KEYPOINT_INDEX["left_ankle"], KEYPOINT_INDEX["right_ankle"]]


@dataclass(frozen=True)
class Pixels:
    """Where the crops' pixels are, (batch, 256, 256)."""

    image_px: Float[Tensor, "batch 256 256 2"]
    inside: Bool[Tensor, "batch 256 256"]
    """In the image."""

    @staticmethod
    def of(stage: Stage) -> Pixels:
        """The pixels of the crops of a stage."""
        count = len(stage.region)
        centre = (torch.arange(CROP_PX, device=stage.region.device) + 0.5) / CROP_PX - 0.5
        y, x = torch.meshgrid(centre, centre, indexing="ij")
        points = torch.stack([x, y], -1).view(1, -1, 2).expand(count, -1, -1)
        image_px = stage.to_image(points).view(count, CROP_PX, CROP_PX, 2)
        inside = ((image_px >= 0) & (image_px < stage.image_size[:, None, None])).all(-1)
        return Pixels(image_px, inside)


def textures(
    at: Float[Tensor, "batch 256 256 2"], photos: UInt8[Tensor, "photos 3 h w"] | None, dice: Dice
) -> Float[Tensor, "batch 3 256 256"]:
    """Something to look at everywhere: photographs if there are any, else shapes.

    Args:
        at: where, in pictures of which 0 to 1 is shown.
        photos: pictures to choose from.
        dice: source of randomness.
    """
    if photos is None:
        return shapes(at, dice)
    count = len(at)
    chosen = photos[dice.whole(count, below=len(photos))].float() / 255
    zoom = dice.uniform(count, 1, 1, 1, low=0.5, high=1.0)
    shift = dice.uniform(count, 1, 1, 2, low=-1.0, high=1.0) * (1 - zoom)
    flip = torch.ones(count, 1, 1, 2, device=at.device)
    flip[..., 0] = torch.where(dice.chance(count, 1, 1, share=0.5), -1.0, 1.0)
    where = (2 * at - 1) * zoom * flip + shift
    found = F.grid_sample(chosen, where, padding_mode="reflection", align_corners=False)
    tint = 1 + dice.normal(count, 3, 1, 1, std=0.1)
    return (found * tint).clamp(0, 1)


def shapes(at: Float[Tensor, "batch 256 256 2"], dice: Dice) -> Float[Tensor, "batch 3 256 256"]:
    """A gradient with ellipses, boxes and bars of many sizes."""
    count = len(at)
    ends = any_color(dice, count, 2)
    ramp = at[..., 1].clamp(0, 1)[:, None]
    canvas = ends[:, 0, :, None, None] * (1 - ramp) + ends[:, 1, :, None, None] * ramp
    for _ in range(_SHAPES):
        inside = _shape(at, dice.uniform(count, 2), 0.5 * dice.uniform(count) ** 2 + 0.01, dice)
        canvas = torch.where(inside[:, None], any_color(dice, count)[:, :, None, None], canvas)
    return canvas + _grain(count, dice) * 0.5


def surroundings(
    stage: Stage,
    pixels: Pixels,
    points_m: Float[Tensor, "batch 33 3"],
    floor_m: Float[Tensor, " batch"],
    photos: UInt8[Tensor, "photos 3 h w"] | None,
    photo_share: float,
    dice: Dice,
) -> Float[Tensor, "batch 3 256 256"]:
    """What is behind people: a photograph, or a floor and whatever is beyond it.

    Args:
        stage: cameras and regions.
        pixels: of the crops.
        points_m: keypoints, whose shadows fall on the floor.
        floor_m: height of the floor in world axes about the camera.
        photos: pictures to choose from.
        photo_share: how often one is all of the background.
        dice: source of randomness.
    """
    count = len(floor_m)
    at = pixels.image_px / stage.image_size.amax(1)[:, None, None, None]
    drawn = shapes(at, dice)
    if photos is not None:
        mostly = dice.chance(count, 1, 1, 1, share=0.5 + 0.5 * photo_share)
        drawn = torch.where(mostly, textures(at, photos, dice), drawn)
    ray = (pixels.image_px - stage.principal_px[:, None, None]) / stage.focal_px[
        :, None, None, None
    ]
    ray = torch.cat([ray, torch.ones_like(ray[..., :1])], -1)
    ray = ray.flatten(1, 2) @ stage.R_cam_world
    away = floor_m[:, None] / ray[..., 1]
    place = (away[..., None] * ray)[..., (0, 2)]
    feet = (points_m[:, _ANKLES] @ stage.R_cam_world)[..., (0, 2)]
    reach = feet.norm(dim=-1).amax(1) + dice.uniform(count, low=0.5, high=8.0)
    hit = (away > 0) & (place.norm(dim=-1) < reach[:, None])
    hit &= (floor_m < -0.05)[:, None]
    square = (count, CROP_PX, CROP_PX)
    floor = _floor(place.nan_to_num(0, 0, 0).clamp(-50, 50).view(*square, 2), photos, dice)
    gap = (place[:, :, None] - feet[:, None]).norm(dim=-1).amin(-1)
    depth = dice.uniform(count, 1, high=0.6)
    shade = 1 - depth * torch.exp(-((gap / dice.uniform(count, 1, low=0.1, high=0.5)) ** 2))
    floor = floor * shade.nan_to_num(1.0).view(count, 1, CROP_PX, CROP_PX)
    indoors = dice.chance(count, 1, 1, share=1 - (photo_share if photos is not None else 0.2))
    shows = hit.view(square) & indoors
    return torch.where(shows[:, None], floor, drawn)


def _floor(place: Tensor, photos: Tensor | None, dice: Dice) -> Tensor:
    """Tiles, boards or one colour, or a photographed texture."""
    count = len(place)
    angle = dice.uniform(count, 1, 1, high=torch.pi)
    x = place[..., 0] * angle.cos() - place[..., 1] * angle.sin()
    y = place[..., 0] * angle.sin() + place[..., 1] * angle.cos()
    size = dice.uniform(count, 1, 1, low=0.15, high=0.7)
    long = torch.where(dice.chance(count, 1, 1, share=0.5), 1.0, 6.0)
    odd = ((x / size).floor() + (y / (long * size)).floor()) % 2
    contrast = dice.uniform(count, 1, 1, high=0.6) * dice.chance(count, 1, 1, share=0.7)
    ends = any_color(dice, count, 2)[..., None, None]
    tiles = ends[:, 0] + (odd * contrast)[:, None] * (ends[:, 1] - ends[:, 0])
    tiles = tiles + 0.4 * _grain(count, dice)
    if photos is None:
        return tiles
    scale = dice.uniform(count, 1, 1, low=0.1, high=0.5)
    found = textures(torch.stack([x * scale, y * scale], -1), photos, dice)
    return torch.where(dice.chance(count, 1, 1, 1, share=0.4), found, tiles)


def occluders(
    keypoints_crop: Float[Tensor, "batch 33 2"],
    roll: Float[Tensor, " batch"],
    share: float,
    at_table: Bool[Tensor, " batch"],
    dice: Dice,
) -> Bool[Tensor, "batch 256 256"]:
    """Pixels that something stands before: a table's edge below, things, a post.

    Args:
        keypoints_crop: of the people, in the axes of their crops.
        roll: of their regions.
        share: of people who are hidden partly.
        at_table: people who sit at a table, the edge of which is anywhere from their hips to their
            elbows; others have one that is lower.
        dice: source of randomness.
    """
    count = len(keypoints_crop)
    centre = (torch.arange(CROP_PX, device=dice.device) + 0.5) / CROP_PX - 0.5
    y, x = torch.meshgrid(centre, centre, indexing="ij")
    at = torch.stack([x, y], -1).expand(count, -1, -1, -1)
    tilt = -roll + dice.normal(count, std=0.06)
    down = torch.stack([-tilt.sin(), tilt.cos()], -1)
    across = torch.stack([tilt.cos(), tilt.sin()], -1)
    hips = keypoints_crop[:, [23, 24]].mean(1)
    knees = keypoints_crop[:, [25, 26]].mean(1)
    pivot = hips + dice.uniform(count, 1, low=-0.35, high=0.9) * (knees - hips)
    shoulders = keypoints_crop[:, [11, 12]].mean(1)
    edge = hips + dice.uniform(count, 1, low=-0.05, high=0.5) * (shoulders - hips)
    pivot = torch.where(at_table[:, None], edge, pivot)
    offset = at - pivot[:, None, None]
    below = (offset * down[:, None, None]).sum(-1)
    aside = (offset * across[:, None, None]).sum(-1)
    width = dice.uniform(count, 1, 1, low=0.12, high=1.2)
    width = torch.where(at_table[:, None, None], width + 0.3, width)
    table = (below > 0) & (aside.abs() < width)
    post = aside.abs() < dice.uniform(count, 1, 1, low=0.01, high=0.07)
    chosen = keypoints_crop[torch.arange(count, device=dice.device), dice.whole(count, below=33)]
    thing = _shape(at, chosen, dice.uniform(count, low=0.03, high=0.2), dice)
    kind = dice.kinds(count, (0.5, 0.1, 0.4)).masked_fill(at_table, 0)[:, None, None]
    hidden = torch.where(kind == 0, table, torch.where(kind == 1, post, thing))
    return hidden & (dice.chance(count, 1, 1, share=share) | at_table[:, None, None])


def _shape(at: Tensor, centre: Tensor, reach: Tensor, dice: Dice) -> Bool[Tensor, "batch h w"]:
    """An ellipse, box or bar at a place."""
    count = len(at)
    angle = dice.uniform(count, 1, 1, high=torch.pi)
    dx, dy = (at - centre[:, None, None]).unbind(-1)
    u = dx * angle.cos() + dy * angle.sin()
    v = dy * angle.cos() - dx * angle.sin()
    a = reach[:, None, None] * dice.uniform(count, 1, 1, low=0.3, high=1.0)
    b = reach[:, None, None] * dice.uniform(count, 1, 1, low=0.05, high=1.0)
    u, v = (u / a).abs(), (v / b).abs()
    boxed = dice.chance(count, 1, 1, share=0.5)
    return torch.where(boxed, torch.maximum(u, v) < 1, u * u + v * v < 1)


def _grain(count: int, dice: Dice) -> Float[Tensor, "batch 1 256 256"]:
    """Smooth noise of a few sizes."""
    total = 0.0
    for cells in (6, 24, 70):
        knots = dice.normal(count, 1, cells, cells, std=0.1) * dice.uniform(count, 1, 1, 1)
        total = total + F.interpolate(knots, (CROP_PX, CROP_PX), mode="bilinear")
    return total
