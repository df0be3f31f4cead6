"""Where people are in their pictures, and which region of them a detector looks at.

A camera of random pitch, roll and field of view; the person somewhere in the image, now and then
cut by its edge. The region is what MoveNet's keypoints, a box or the detector's own last answer
would make of the person, about as wrong as these are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.body.keypoints import COCO17_ROWS, KEYPOINT_INDEX
from kinflow.body.sides import SIDES
from kinflow.evidence.blazepose import BEYOND_KEYPOINTS, BODY_TORSOS, REGION_MARGIN
from kinflow.geometry.rotations import about_axis
from kinflow.synth.studio.config import StudioConfig
from kinflow.synth.studio.dice import Dice

LONG_SIDE_PX = 1000.0
_ASPECTS = ((1.0, 1.0), (1.0, 0.75), (0.75, 1.0), (1.0, 0.5625), (0.5625, 1.0), (1.0, 0.667))
_NEAREST_M = 0.45
_UPRIGHT = ((1.0, 0, 0), (0, -1.0, 0), (0, 0, -1.0))
_ANY_ROLL_SHARE = 0.04
_WHOLE_RANGE, _CUT_RANGE = (0.35, 0.98), (0.9, 2.2)
"""Extent of people who are shown as a whole and of others, as a share of the image."""
_LEAST_SHOWN = 0.3
"""Less than this share of somebody says nothing of them."""
_HIPS, _SHOULDERS = (
    [KEYPOINT_INDEX[f"{side}_{name}"] for side in SIDES] for name in ("hip", "shoulder")
)


@dataclass(frozen=True)
class Stage:
    """Cameras and regions, a row for each picture."""

    R_cam_world: Float[Tensor, "batch 3 3"]
    focal_px: Float[Tensor, " batch"]
    principal_px: Float[Tensor, "batch 2"]
    image_size: Float[Tensor, "batch 2"]
    root_cam_m: Float[Tensor, "batch 3"]
    region: Float[Tensor, "batch 4"]
    """(x, y, side, roll)."""

    def project(self, points_cam_m: Float[Tensor, "batch points 3"]) -> Tensor:
        """Pixels of the image, (batch, points, 2)."""
        z = points_cam_m[..., 2:].clamp_min(0.05)
        flat = self.focal_px[:, None, None] * points_cam_m[..., :2] / z
        return flat + self.principal_px[:, None]

    def to_crop(self, points_px: Float[Tensor, "batch points 2"]) -> Tensor:
        """Axes of the region, from -0.5 to 0.5 within it, (batch, points, 2)."""
        x, y = (points_px - self.region[:, None, :2]).unbind(-1)
        cosine, sine = (f(self.region[:, 3])[:, None] for f in (torch.cos, torch.sin))
        turned = torch.stack([cosine * x + sine * y, cosine * y - sine * x], -1)
        return turned / self.region[:, None, 2:3]

    def to_image(self, points: Float[Tensor, "batch points 2"]) -> Tensor:
        """Inverse of `to_crop`."""
        x, y = (points * self.region[:, None, 2:3]).unbind(-1)
        cosine, sine = (f(self.region[:, 3])[:, None] for f in (torch.cos, torch.sin))
        turned = torch.stack([cosine * x - sine * y, cosine * y + sine * x], -1)
        return turned + self.region[:, None, :2]


def cameras(count: int, config: StudioConfig, dice: Dice) -> Stage:
    """Cameras that look at nobody yet."""
    degree = math.pi / 180
    pitch = _between(dice, count, config.pitch_deg) * degree
    roll = dice.normal(count, std=config.roll_std_deg * degree)
    anyhow = dice.uniform(count, low=-math.pi, high=math.pi)
    roll = torch.where(dice.chance(count, share=_ANY_ROLL_SHARE), anyhow, roll)
    upright = torch.tensor(_UPRIGHT, device=dice.device)
    R = about_axis("z", roll) @ upright @ about_axis("x", pitch)
    aspects = torch.tensor(_ASPECTS, device=dice.device)
    size = LONG_SIDE_PX * aspects[dice.whole(count, below=len(_ASPECTS))]
    fov = _between(dice, count, config.fov_deg) * degree
    focal = LONG_SIDE_PX / 2 / torch.tan(fov / 2)
    nowhere = torch.zeros(count, 3, device=dice.device)
    return Stage(R, focal, size / 2, size, nowhere, torch.zeros(count, 4, device=dice.device))


def placed(
    stage: Stage, points_m: Float[Tensor, "batch points 3"], config: StudioConfig, dice: Dice
) -> Stage:
    """The stage with its person before the camera.

    Args:
        stage: cameras.
        points_m: of the person about the root, in the camera's axes; shown as a whole or, of those
            whom the image's edge cuts, from the top on.
        config: how many are cut.
        dice: source of randomness.
    """
    extent = points_m.amax(1) - points_m.amin(1)
    count, size = len(points_m), stage.image_size
    whole = _with_root(stage, points_m, extent, _WHOLE_RANGE, dice)
    cut = _with_root(stage, points_m, extent, _CUT_RANGE, dice)
    px = cut.project(points_m + cut.root_cam_m[:, None])
    shown = ((px >= 0) & (px < size[:, None])).all(-1).float().mean(1)
    chosen = dice.chance(count, share=config.cut_share) & (shown > _LEAST_SHOWN)
    root = torch.where(chosen[:, None], cut.root_cam_m, whole.root_cam_m)
    return replace(stage, root_cam_m=root)


def _with_root(
    stage: Stage, points_m: Tensor, extent_m: Tensor, sizes: tuple[float, float], dice: Dice
) -> Stage:
    """People as large as a range of shares of the image, anywhere in it.

    Of those who are larger than the image the top shows, where heads mostly are.
    """
    count, low, high = len(points_m), points_m.amin(1), points_m.amax(1)
    share = dice.uniform(count, low=math.log(sizes[0]), high=math.log(sizes[1])).exp()
    wanted_px = share[:, None] * stage.image_size
    # where the middle of the body is seen, by its extent at the depth of its middle
    middle = (stage.focal_px[:, None] * extent_m[:, :2] / wanted_px).amax(1)
    middle = torch.maximum(middle, _NEAREST_M + extent_m[:, 2] / 2)
    half_px = stage.focal_px[:, None] * extent_m[:, :2] / middle[:, None] / 2
    slack = stage.image_size - 2 * half_px
    at = half_px + dice.uniform(count, 2) * slack
    top = half_px[:, 1] + dice.uniform(count, low=0.0, high=0.2) * stage.image_size[:, 1]
    at[:, 1] = torch.where(slack[:, 1] < 0, top, at[:, 1])
    # now and then the person is partly beyond a side
    beyond = dice.chance(count, share=0.15) if sizes[1] > 1 else dice.chance(count, share=0.0)
    sign = torch.where(dice.chance(count, share=0.5), 1.0, -1.0)
    over = dice.uniform(count, low=-0.3, high=0.5) * half_px[:, 0]
    edge = stage.image_size[:, 0] / 2 * (1 + sign) - sign * over
    at[:, 0] = torch.where(beyond, edge, at[:, 0])
    centre = (low + high) / 2
    shift = (at - stage.principal_px) / stage.focal_px[:, None] * middle[:, None]
    root = torch.cat([shift - centre[:, :2], (middle - centre[:, 2])[:, None]], 1)
    return replace(stage, root_cam_m=root)


def looked_at(
    stage: Stage,
    keypoints_px: Float[Tensor, "batch 33 2"],
    seen: Bool[Tensor, "batch 33"],
    dice: Dice,
) -> Stage:
    """The stage with the regions that a detector would look at.

    Args:
        stage: people before cameras.
        keypoints_px: true keypoints.
        seen: which of them the image shows.
        dice: source of randomness.
    """
    count = len(keypoints_px)
    hips, shoulders = keypoints_px[:, _HIPS].mean(1), keypoints_px[:, _SHOULDERS].mean(1)
    size = (keypoints_px.amax(1) - keypoints_px.amin(1)).norm(dim=-1)
    # the detector's own last answer knows the whole body, MoveNet what is seen of it
    own = dice.chance(count, share=0.6)
    rows = torch.tensor(COCO17_ROWS, device=dice.device)
    coco, coco_seen = keypoints_px[:, rows], seen[:, rows]
    std = torch.where(coco_seen, 0.015, 0.06) * size[:, None]
    coco = coco + std[..., None] * dice.normal(count, len(COCO17_ROWS), 2)
    reach_all = (keypoints_px - hips[:, None]).norm(dim=-1).amax(1)
    coco_reach = torch.where(coco_seen, (coco - hips[:, None]).norm(dim=-1), 0.0).amax(1)
    torso = BODY_TORSOS * (shoulders - hips).norm(dim=-1)
    unseen = ~seen[:, _HIPS].any(1)
    off = torch.where(unseen, 0.06, 0.012) * size
    centre = hips + off[:, None] * dice.normal(count, 2)
    spread = torch.where(unseen, 0.12, 0.05)
    radius = torch.where(own, reach_all, BEYOND_KEYPOINTS * torch.maximum(coco_reach, torso))
    radius = radius * (spread * dice.normal(count)).exp()
    up = shoulders - hips + 0.012 * size[:, None] * dice.normal(count, 2)
    roll = torch.atan2(up[:, 0], -up[:, 1])
    # a box, upright, around what is seen
    far = torch.where(seen[..., None], keypoints_px, -torch.inf).amax(1)
    near = torch.where(seen[..., None], keypoints_px, torch.inf).amin(1)
    boxed = dice.chance(count, share=0.08) & (seen.sum(1) > 3)
    centre = torch.where(boxed[:, None], (far + near) / 2, centre)
    radius = torch.where(boxed, 1.1 * (far - near).amax(1) / 2, radius)
    roll = torch.where(boxed, torch.zeros_like(roll), roll)
    side = (2 * REGION_MARGIN * radius).clamp_min(16.0)
    region = torch.cat([centre, side[:, None], roll[:, None]], 1)
    return replace(stage, region=region)


def _between(dice: Dice, count: int, ends: tuple[float, float]) -> Tensor:
    return dice.uniform(count, low=ends[0], high=ends[1])
