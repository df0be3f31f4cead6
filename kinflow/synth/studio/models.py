"""Dressed people as pixels: the body is dressed, posed, drawn and lit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.body.model import PosedBody
from kinflow.body.part_mesh import PartMesh
from kinflow.body.parts import PART_INDEX
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.geometry.batch_raster import BatchRaster, rasterize_batch, surface_of
from kinflow.synth.studio.colors import Palette
from kinflow.synth.studio.dice import Dice
from kinflow.synth.studio.staging import Stage
from kinflow.synth.studio.wardrobe import (
    HAIR,
    SKIN,
    Outfits,
    Tailor,
    Waves,
    materials,
    outfits,
    standing_off_m,
)

CROP_PX = 256
_SKIRT_STEPS = 9
_INSIDE_FRACTION = 0.075
_WHITE, _DARK, _LIPS = (0.8, 0.78, 0.76), (0.12, 0.09, 0.08), (0.85, 0.55, 0.55)


@dataclass(frozen=True)
class Naked:
    """What is true of the bodies: parts and keypoints."""

    parts: UInt8[Tensor, "batch 256 256"]
    keypoint_visible: Bool[Tensor, "batch 33"]
    """Not hidden by the own body, nor outside of the crop."""


@dataclass(frozen=True)
class Layer:
    """Painted people without anything around them."""

    color: Float[Tensor, "batch 3 256 256"]
    shown: Bool[Tensor, "batch 256 256"]


class Models:
    """Bodies with all their triangles, to be drawn in crops.

    Args:
        device: where.
    """

    def __init__(self, device: torch.device) -> None:
        self.body = BodyModel.load(device=device)
        self.tailor = Tailor.of(self.body)
        mesh = PartMesh.of(self.body)
        self._face_parts = torch.from_numpy(mesh.face_parts).long().to(device)
        self._faces = self.body.faces.long()
        first = self.body.num_vertices
        strip = [
            corner
            for k in range(_SKIRT_STEPS - 1)
            for a, b in [(first + 2 * k, first + 2 * k + 1)]
            for corner in ((a, b, a + 2), (b, b + 2, a + 2))
        ]
        skirt = torch.tensor(strip, device=device)
        self._dressed_faces = torch.cat([self._faces, skirt])
        leg = torch.full((len(skirt),), PART_INDEX["left_upper_leg"], device=device)
        self._dressed_parts = torch.cat([self._face_parts, leg])
        extra = 2 * _SKIRT_STEPS
        attributes = torch.cat(
            [
                self.tailor.rest_m,
                self.tailor.along[:, None],
                self.tailor.scalp[:, None],
                self.tailor.features,
            ],
            1,
        )
        rows = torch.zeros(extra, attributes.shape[1], device=device)
        rows[:, :3] = torch.tensor((0.0, -0.4, 0.0), device=device)
        rows[:, 1] -= 0.03 * torch.arange(extra, device=device)
        self._attributes = torch.cat([attributes, rows])

    def naked(self, posed: PosedBody, vertices_m: Tensor, stage: Stage) -> Naked:
        """Parts of the bodies in their crops, and which keypoints they show."""
        raster = _drawn(vertices_m, self._faces, stage)
        parts = torch.where(raster.face >= 0, self._face_parts[raster.face.clamp_min(0)], 0)
        keypoints_m = posed.keypoints_m()[:, :33]
        crop = stage.to_crop(stage.project(keypoints_m))
        cell = ((crop + 0.5) * CROP_PX).floor().long()
        within = ((cell >= 0) & (cell < CROP_PX)).all(-1)
        x, y = cell.clamp(0, CROP_PX - 1).unbind(-1)
        surface = raster.depth_m[torch.arange(len(x), device=x.device)[:, None], y, x]
        rest = posed.shaped.rest_joints_m[..., 1]
        height = 1.12 * (rest.amax(1) - rest.amin(1))
        front = keypoints_m[..., 2] < surface + _INSIDE_FRACTION * height[:, None]
        return Naked(parts.to(torch.uint8), within & front)

    def dressed(self, posed: PosedBody, vertices_m: Tensor, stage: Stage, dice: Dice) -> Layer:
        """The people in clothes, in their crops."""
        count = len(vertices_m)
        worn = outfits(count, dice)
        normals = _normals(vertices_m, self._faces)
        off, hanging = standing_off_m(self.tailor, worn, dice)
        # a child's clothes are as loose for its size
        rest = posed.shaped.rest_joints_m[..., 1]
        scale = ((rest.amax(1) - rest.amin(1)) / 1.45).clamp(0.3, 1.3)[:, None, None]
        down = posed.R_joints[:, JOINT_INDEX["spine3"]] @ vertices_m.new_tensor((0.0, -1.0, 0.0))
        surface = vertices_m + scale * (
            off[..., None] * normals + hanging[..., None] * down[:, None]
        )
        surface = torch.cat([surface, _skirts(posed, worn, dice)], 1)
        raster = _drawn(surface, self._dressed_faces, stage)
        points = _crop_px(surface, stage)
        at = surface_of(raster, points, surface[..., 2], self._dressed_faces)
        row = torch.div(at.pixel, CROP_PX * CROP_PX, rounding_mode="floor")
        attributes = self._attributes[at.vertex % surface.shape[1]]
        attributes = (attributes * at.weight[..., None]).sum(1)
        part = self._dressed_parts[raster.face.flatten()[at.pixel]]
        normal = at.interpolate(_normals(surface, self._dressed_faces))
        color = self._colors(worn, row, part, attributes, normal, dice)
        flat = torch.zeros(count * CROP_PX * CROP_PX, 3, device=color.device)
        flat[at.pixel] = color
        image = flat.view(count, CROP_PX, CROP_PX, 3).permute(0, 3, 1, 2)
        return Layer(image, raster.face >= 0)

    def _colors(
        self,
        worn: Outfits,
        row: Tensor,
        part: Tensor,
        attributes: Tensor,
        normal: Tensor,
        dice: Dice,
    ) -> Float[Tensor, "points 3"]:
        """Colours of lit surface points."""
        count = len(worn.near)
        rest, along, scalp = attributes[:, :3], attributes[:, 3], attributes[:, 4]
        ragged = 0.04 * Waves.random(count, (0.05, 0.3), dice).at_rows(row, rest)
        material = materials(worn, row, part, along + ragged, scalp + ragged)
        palette = Palette.random(count, dice)
        color = palette.at(row, material, rest)
        bare = material == SKIN
        face = (part == PART_INDEX["head"]) & bare
        skin, hair = palette.first[row, SKIN], palette.first[row, HAIR]
        layers = ((_WHITE, 0), (_DARK, 1), (0.6 * hair, 2), (skin * skin.new_tensor(_LIPS), 3))
        for paint, column in layers:
            share = (attributes[:, 5 + column] * face)[:, None]
            paint = paint if isinstance(paint, Tensor) else color.new_tensor(paint)
            color = color + share * (paint - color)
        folds = torch.ones_like(along)
        for period, strength in (((0.2, 0.5), 0.14), ((0.06, 0.15), 0.14), ((0.02, 0.05), 0.1)):
            share = dice.uniform(count, high=strength)[row]
            folds = folds + share * Waves.random(count, period, dice).at_rows(row, rest)
        folds = folds.clamp(0.25, 1.9)
        light = _light(normal, row, count, dice)
        return color * (light * torch.where(bare, 0.75 + 0.25 * folds, folds))[:, None]


def _light(normal: Tensor, row: Tensor, count: int, dice: Dice) -> Float[Tensor, " points"]:
    """Brightness under one lamp, mostly from above, and the sky; edges of the body darken."""
    toward = normal.new_tensor((0.0, -0.7, -1.0))
    lamp = torch.nn.functional.normalize(dice.normal(count, 3) + toward, dim=-1)
    direct = (normal * lamp[row]).sum(-1).clamp(0, 1)
    ambient = dice.uniform(count, low=0.25, high=0.9)[row]
    rim = dice.uniform(count, high=0.5)[row] * (1 + normal[:, 2]).clamp(0, 1) ** 2
    sky = dice.uniform(count, low=-0.25, high=0.25)[row] * normal[:, 1]
    return ((ambient + (1.15 - ambient) * direct) * (1 - rim) + sky).clamp_min(0.05)


def _skirts(posed: PosedBody, worn: Outfits, dice: Dice) -> Float[Tensor, "batch extra 3"]:
    """A strip between the legs from the hips down; a point for who wears none."""
    count = len(posed.joints_m)
    joints = {name: posed.joints_m[:, JOINT_INDEX[name]] for name in JOINT_INDEX}
    length = torch.where(worn.skirt, dice.uniform(count, low=0.4, high=1.8), 0.0)
    steps = torch.linspace(0, 1, _SKIRT_STEPS, device=length.device)
    at = (length[:, None] * steps)[..., None]
    sides = []
    for side in ("left", "right"):
        hip, knee, ankle = (joints[f"{side}_{name}"][:, None] for name in ("hip", "knee", "ankle"))
        thigh = hip + at.clamp(0, 1) * (knee - hip)
        sides.append(thigh + (at - 1).clamp(0, 1) * (ankle - knee))
    strip = torch.stack(sides, 2).flatten(1, 2)
    return torch.where(worn.skirt[:, None, None], strip, joints["pelvis"][:, None])


def _crop_px(points_m: Tensor, stage: Stage) -> Tensor:
    return (stage.to_crop(stage.project(points_m)) + 0.5) * CROP_PX


def _drawn(vertices_m: Tensor, faces: Tensor, stage: Stage) -> BatchRaster:
    size = (CROP_PX, CROP_PX)
    return rasterize_batch(_crop_px(vertices_m, stage), vertices_m[..., 2], faces, size)


def _normals(vertices_m: Tensor, faces: Tensor) -> Float[Tensor, "batch vertices 3"]:
    """Unit normals of meshes whose triangles are counter-clockwise seen from outside."""
    a, b, c = vertices_m[:, faces].unbind(2)
    cross = torch.linalg.cross(b - a, c - a)
    normals = torch.zeros_like(vertices_m)
    for corner in range(3):
        normals.index_add_(1, faces[:, corner], cross)
    return torch.nn.functional.normalize(normals, dim=-1)
