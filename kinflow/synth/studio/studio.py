"""Pictures of people by the thousand: drawn, dressed, lit and photographed on one device.

    studio = Studio(StudioConfig(poses=Path("poses.safetensors")), torch.device("cuda"))
    batch = studio.draw(256, generator)

Each picture is a crop as the detector gets it, with everything true of the person in it.
`kinflow.synth.world_picture` paints whole worlds for tests, one at a time on a CPU; here many are
made at once for networks to learn from, with clothes as geometry and photographs behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from kinflow.synth.studio.backdrop import Pixels, occluders, surroundings, textures
from kinflow.synth.studio.backgrounds import load_backgrounds
from kinflow.synth.studio.config import StudioConfig
from kinflow.synth.studio.dice import Dice
from kinflow.synth.studio.lens import photographed
from kinflow.synth.studio.models import CROP_PX, Layer, Models
from kinflow.synth.studio.people import People
from kinflow.synth.studio.staging import Stage, cameras, looked_at, placed

UNKNOWN_PART = 255
_STAGING_POINTS = 400
_MOST_HIDDEN, _MOST_BEHIND_TABLE = 0.5, 0.7
_LEAST_SHOWN = 6


@dataclass(frozen=True)
class StudioBatch:
    """Crops of people and what is true of them; pixels and radians of images as in `Looks`."""

    rgb: UInt8[Tensor, "batch 256 256 3"]
    """Black outside of the image."""
    parts: UInt8[Tensor, "batch 256 256"]
    """Parts of the naked body, 0 for the background, 255 where nothing is to be said."""
    dressed: Bool[Tensor, "batch 256 256"]
    """Pixels that show the dressed person."""
    other: Bool[Tensor, "batch 256 256"]
    """Pixels that show other people."""
    inside: Bool[Tensor, "batch 256 256"]
    """Pixels of the image."""
    rotation: Float[Tensor, "batch 22 3 3"]
    """Local rotations; entry 0 turns the root into the camera's frame."""
    phenotypes: Float[Tensor, "batch 6"]
    root_cam_m: Float[Tensor, "batch 3"]
    up_cam: Float[Tensor, "batch 3"]
    focal_px: Float[Tensor, " batch"]
    principal_px: Float[Tensor, "batch 2"]
    image_size: Float[Tensor, "batch 2"]
    region: Float[Tensor, "batch 4"]
    """(x, y, side, roll)."""
    keypoints_px: Float[Tensor, "batch 33 2"]
    keypoints_crop: Float[Tensor, "batch 33 2"]
    """In the axes of the crop, from -0.5 to 0.5 within it."""
    keypoint_shows: Bool[Tensor, "batch 33"]
    """In the image, and nothing else stands before it."""
    keypoint_visible: Bool[Tensor, "batch 33"]
    """Nor does the own body."""

    def __len__(self) -> int:
        return len(self.rgb)


class Studio:
    """Draws pictures on a device.

    Args:
        config: what they show.
        device: where.
    """

    def __init__(self, config: StudioConfig, device: torch.device | str = "cpu") -> None:
        self.config, self.device = config, torch.device(device)
        self._people = People(config, self.device)
        self._models = Models(self.device)
        self._photos = None
        if config.backgrounds is not None:
            self._photos = load_backgrounds(config.backgrounds).to(self.device)

    @torch.no_grad()
    def draw(self, count: int, generator: torch.Generator) -> StudioBatch:
        """Some pictures; the generator has to be of the studio's device."""
        config, dice = self.config, Dice(generator)
        stage = cameras(count, config, dice)
        pose, at_table = self._people.poses(count, dice)
        shape = self._people.shapes(count, dice)
        pose[:, 0] = stage.R_cam_world @ pose[:, 0]
        shaped = self._models.body.with_shape(shape)
        posed = shaped.with_pose(pose, torch.zeros(count, 3, device=self.device))
        relative = posed.vertices_m()
        thinned = relative[:, :: max(1, relative.shape[1] // _STAGING_POINTS)]
        stage = placed(stage, thinned, config, dice)
        posed = shaped.with_pose(pose, stage.root_cam_m)
        vertices = relative + stage.root_cam_m[:, None]
        keypoints_m = posed.keypoints_m()[:, :33]
        keypoints_px = stage.project(keypoints_m)
        in_image = ((keypoints_px >= 0) & (keypoints_px < stage.image_size[:, None])).all(-1)
        stage = looked_at(stage, keypoints_px, in_image, dice)
        crop = stage.to_crop(keypoints_px)
        naked = self._models.naked(posed, vertices, stage)
        person = self._models.dressed(posed, vertices, stage, dice)
        pixels = Pixels.of(stage)
        floor_m = (vertices @ stage.R_cam_world)[..., 1].amin(1)
        canvas = surroundings(
            stage, pixels, keypoints_m, floor_m, self._photos, config.photo_share, dice
        )
        before, behind, strangers = self._others(person, dice)
        canvas = torch.where(behind[:, None], strangers, canvas)
        canvas = torch.where(person.shown[:, None], person.color, canvas)
        canvas = torch.where(before[:, None], strangers, canvas)
        hidden = occluders(crop, stage.region[:, 3], config.occluder_share, at_table, dice)
        hidden = _bearable(hidden, person.shown, at_table)
        canvas = torch.where(hidden[:, None], self._thing(pixels, stage, dice), canvas)
        rgb = photographed(canvas, dice) * pixels.inside[..., None].to(torch.uint8)
        covered = before | hidden
        shows = in_image & ~_at(covered, crop)
        parts = naked.parts.masked_fill(covered | ~pixels.inside, UNKNOWN_PART)
        return StudioBatch(
            rgb=rgb,
            parts=parts,
            dressed=person.shown & ~covered & pixels.inside,
            other=(before | (behind & ~person.shown)) & ~hidden & pixels.inside,
            inside=pixels.inside,
            rotation=pose,
            phenotypes=shape,
            root_cam_m=stage.root_cam_m,
            up_cam=stage.R_cam_world[:, :, 1],
            focal_px=stage.focal_px,
            principal_px=stage.principal_px,
            image_size=stage.image_size,
            region=stage.region,
            keypoints_px=keypoints_px,
            keypoints_crop=crop,
            keypoint_shows=shows,
            keypoint_visible=shows & naked.keypoint_visible,
        )

    def _thing(self, pixels: Pixels, stage: Stage, dice: Dice) -> Tensor:
        at = pixels.image_px / stage.image_size.amax(1)[:, None, None, None]
        found = textures(at, self._photos, dice)
        plain = found.mean((2, 3), keepdim=True) + 0.3 * (found - found.mean((2, 3), keepdim=True))
        return torch.where(dice.chance(len(at), 1, 1, 1, share=0.5), plain, found)

    def _others(self, person: Layer, dice: Dice) -> tuple[Tensor, Tensor, Tensor]:
        """Pixels of other people who stand before and behind, and what they look like.

        Everybody is somebody else's neighbour: the batch, shifted and moved aside.
        """
        count = len(person.shown)
        before = torch.zeros_like(person.shown)
        behind, colors = before.clone(), torch.zeros_like(person.color)
        number = dice.kinds(count, self.config.other_shares)
        for k in (1, 2):
            color, shown = _moved_aside(person.color.roll(k, 0), person.shown.roll(k, 0), dice)
            shown = shown & (number >= k)[:, None, None]
            area = person.shown.sum((1, 2)).clamp_min(1)
            share = (shown & person.shown).sum((1, 2)) / area
            front = dice.chance(count, share=0.35) & (share < 0.4)
            in_front = shown & front[:, None, None]
            colors = torch.where(shown[:, None], color, colors)
            before = before | in_front
            behind = (behind | shown) & ~in_front
        return before, behind, colors


def _moved_aside(color: Tensor, shown: Tensor, dice: Dice) -> tuple[Tensor, Tensor]:
    """People at another place and of another size in their crops."""
    count = len(color)
    zoom = 1 / dice.uniform(count, low=0.6, high=1.25)
    sign = torch.where(dice.chance(count, share=0.5), 1.0, -1.0)
    aside = sign * dice.uniform(count, low=0.25, high=1.1) * zoom
    mirror = torch.where(dice.chance(count, share=0.5), 1.0, -1.0)
    theta = torch.zeros(count, 2, 3, device=color.device)
    theta[:, 0, 0], theta[:, 1, 1] = mirror * zoom, zoom
    theta[:, 0, 2] = aside
    theta[:, 1, 2] = dice.normal(count, std=0.15)
    grid = F.affine_grid(theta, [count, 1, CROP_PX, CROP_PX], align_corners=False)
    mask = F.grid_sample(shown[:, None].float(), grid, mode="nearest", align_corners=False)
    return F.grid_sample(color, grid, mode="nearest", align_corners=False), mask[:, 0] > 0.5


def _bearable(hidden: Tensor, shown: Tensor, at_table: Tensor) -> Tensor:
    """Hiding places that leave enough of a person; of who sits at a table less is left."""
    share = (hidden & shown).sum((1, 2)) / shown.sum((1, 2)).clamp_min(1)
    most = torch.where(at_table, _MOST_BEHIND_TABLE, _MOST_HIDDEN)
    return hidden & (share < most)[:, None, None]


def _at(mask: Bool[Tensor, "batch 256 256"], crop: Float[Tensor, "batch 33 2"]) -> Tensor:
    """The mask at points of the crop; False outside of it."""
    cell = ((crop + 0.5) * CROP_PX).floor().long()
    within = ((cell >= 0) & (cell < CROP_PX)).all(-1)
    x, y = cell.clamp(0, CROP_PX - 1).unbind(-1)
    return mask[torch.arange(len(mask), device=mask.device)[:, None], y, x] & within
