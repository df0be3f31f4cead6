"""Clothes and hair as geometry: how far they stand off the body, and what each place shows.

Everything is a function of where a point is on the body at rest, so that sleeves, folds and prints
move with the limbs. Clothes only ever add to the body.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.body.bones import BONE_OF_PART
from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.parts import PART_INDEX, PART_NAMES, part_indices
from kinflow.body.sides import SIDES
from kinflow.synth.studio.dice import Dice

SKIN, SHIRT, TROUSERS, SHOES, HAIR, OTHER = range(6)
MATERIALS = 6
_NEVER, _ALWAYS = -9.0, 9.0
_WAVES = 6
_EYE_M, _BROW_M, _LIPS_M = 0.011, 0.010, 0.022


@dataclass(frozen=True)
class Tailor:
    """What does not change from person to person, of a body's vertices (an average adult's)."""

    part: Int[Tensor, " vertices"]
    along: Float[Tensor, " vertices"]
    """From 0 at the near end of the part to 1 at the far one."""
    rest_m: Float[Tensor, "vertices 3"]
    scalp: Float[Tensor, " vertices"]
    """1 at the back and the top of the head, 0 at the face and below."""
    features: Float[Tensor, "vertices 4"]
    """1 where the whites of the eyes, the irises, the brows and the lips are."""

    @staticmethod
    def of(body: BodyModel) -> Tailor:
        """For all vertices of a body."""
        shaped = body.with_shape(body.shape_space.neutral())
        pose = torch.eye(3, device=body.faces.device).repeat(22, 1, 1)
        posed = shaped.with_pose(pose, pose.new_zeros(3))
        vertices, points = posed.vertices_m(), posed.keypoints_m()
        part = body.vertex_parts.long()
        return Tailor(
            part=part,
            along=_along(part, vertices, points),
            rest_m=vertices,
            scalp=_scalp(part, vertices, points),
            features=_features(vertices, points),
        )


@dataclass(frozen=True)
class Outfits:
    """What some people wear."""

    near: Int[Tensor, "batch 15"]
    """Material of each part up to `border`."""
    far: Int[Tensor, "batch 15"]
    border: Float[Tensor, "batch 15"]
    margin_m: Float[Tensor, "batch 6"]
    """How far each material stands off the skin."""
    hairline: Float[Tensor, " batch"]
    """Places of the head with a larger `scalp` show hair."""
    skirt: Bool[Tensor, " batch"]


def outfits(count: int, dice: Dice) -> Outfits:
    """Whatever people wear, both sides alike."""
    near = torch.zeros(count, len(PART_NAMES), dtype=torch.long, device=dice.device)
    far, border = near.clone(), torch.full(near.shape, _ALWAYS, device=dice.device)

    def wear(stem: str, first: Tensor, last: Tensor, at: Tensor) -> None:
        for row in part_indices(stem):
            near[:, row], far[:, row], border[:, row] = first, last, at

    def either(share: float, first: int | Tensor, second: int | Tensor) -> Tensor:
        chosen = dice.chance(count, share=share)
        first, second = (torch.as_tensor(x, device=dice.device) for x in (first, second))
        return torch.where(chosen, first, second)

    skin, always = torch.full_like(near[:, 0], SKIN), torch.full((count,), _ALWAYS).to(dice.device)
    never = -always
    shirt = either(0.05, SKIN, SHIRT)
    lower = either(0.15, SHIRT, TROUSERS)
    wear("head", skin, skin, always)
    wear("torso", shirt, lower, 0.9 + dice.normal(count, std=0.15))
    long_sleeves = dice.chance(count, share=0.45)
    sleeveless = dice.chance(count, share=0.2) & ~long_sleeves
    short_end = torch.where(sleeveless, never, dice.uniform(count, low=0.1, high=1.0))
    wear("upper_arm", shirt, skin, torch.where(long_sleeves, always, short_end))
    sleeve_end = dice.uniform(count, low=0.3, high=1.3)
    wear("lower_arm", shirt, skin, torch.where(long_sleeves, sleeve_end, never))
    wear("hand", either(0.08, OTHER, SKIN), skin, always)
    long_legs = dice.chance(count, share=0.6)
    shorts_end = torch.where(
        dice.chance(count, share=0.15), always, dice.uniform(count, low=0.1, high=1.1)
    )
    wear("upper_leg", lower, skin, torch.where(long_legs, always, shorts_end))
    below = either(0.6, SKIN, OTHER)
    top = torch.where(dice.chance(count, share=0.6), always, dice.uniform(count, low=0.1))
    boots = dice.chance(count, share=0.12)
    below = torch.where(boots, torch.full_like(below, SHOES), below)
    wear(
        "lower_leg",
        torch.where(long_legs, lower, below),
        below,
        torch.where(long_legs, top, dice.uniform(count, low=-0.5, high=0.6)),
    )
    wear("foot", either(0.85, SHOES, SKIN), skin, always)
    loose = dice.chance(count, 2, share=0.45)
    margin = torch.where(
        loose, dice.uniform(count, 2, low=0.012, high=0.05), dice.uniform(count, 2, high=0.014)
    )
    margins = torch.zeros(count, MATERIALS, device=dice.device)
    margins[:, SHIRT], margins[:, TROUSERS] = margin.T
    margins[:, SHOES] = dice.uniform(count, low=0.003, high=0.018)
    margins[:, HAIR] = dice.uniform(count, high=0.045)
    margins[:, OTHER] = dice.uniform(count, high=0.01)
    hairline = dice.uniform(count, low=0.15, high=0.6)
    hairline = torch.where(dice.chance(count, share=0.07), 2.0, hairline)
    return Outfits(near, far, border, margins, hairline, dice.chance(count, share=0.1))


@dataclass(frozen=True)
class Waves:
    """Smooth noise in space, one of each picture: sums of waves over points of the body at rest."""

    direction: Float[Tensor, "batch waves 3"]
    phase: Float[Tensor, "batch waves"]

    @staticmethod
    def random(count: int, period_m: tuple[float, float], dice: Dice) -> Waves:
        """Waves of any direction with periods in a range."""
        towards = torch.nn.functional.normalize(dice.normal(count, _WAVES, 3), dim=-1)
        period = dice.uniform(count, _WAVES, 1, low=period_m[0], high=period_m[1])
        return Waves(
            2 * torch.pi / period * towards, dice.uniform(count, _WAVES, high=2 * torch.pi)
        )

    def at(self, points_m: Float[Tensor, "points 3"]) -> Float[Tensor, "batch points"]:
        """The noise at points that all pictures share, of unit variance."""
        angle = self.direction @ points_m.T + self.phase[..., None]
        return angle.sin().sum(1) * (2 / _WAVES) ** 0.5

    def at_rows(
        self, row: Int[Tensor, " points"], points_m: Float[Tensor, "points 3"]
    ) -> Float[Tensor, " points"]:
        """The noise at points of different pictures."""
        total = torch.zeros_like(points_m[:, 0])
        for k in range(_WAVES):
            angle = (self.direction[row, k] * points_m).sum(-1) + self.phase[row, k]
            total = total + angle.sin()
        return total * (2 / _WAVES) ** 0.5


def standing_off_m(
    tailor: Tailor, worn: Outfits, dice: Dice
) -> tuple[Float[Tensor, "batch vertices"], Float[Tensor, "batch vertices"]]:
    """How far the surface of clothes and hair is from each vertex, and where hair begins to hang.

    Returns:
        along the normal, and downwards, both in metres.
    """
    part, along = tailor.part, tailor.along
    count = len(worn.near)
    swell = (1 + 0.5 * Waves.random(count, (0.15, 0.6), dice).at(tailor.rest_m)).clamp(0.1, 2.2)
    # softened at borders: a hem does not stand off like a shelf
    share = torch.sigmoid((worn.border[:, part] - along) / 0.03)
    near = worn.margin_m.gather(1, worn.near[:, part])
    far = worn.margin_m.gather(1, worn.far[:, part])
    off = (share * near + (1 - share) * far) * swell
    is_head = part == PART_INDEX["head"]
    hair = torch.sigmoid((tailor.scalp - worn.hairline[:, None]) / 0.05)
    off = torch.where(is_head, hair * worn.margin_m[:, HAIR : HAIR + 1] * swell, off)
    long_hair = dice.chance(count, 1, share=0.25) * dice.uniform(count, 1, low=0.05, high=0.25)
    back = (tailor.scalp - 0.55).clamp_min(0) * is_head
    low = (tailor.rest_m[is_head, 1].mean() - tailor.rest_m[:, 1]).clamp_min(0) * is_head
    return off, long_hair * (back * low / 0.06).clamp(0, 1)


def materials(
    worn: Outfits, row: Tensor, part: Tensor, along: Tensor, scalp: Tensor
) -> Int[Tensor, " points"]:
    """What points of people show: the material of each.

    Args:
        worn: by everybody.
        row: whose each point is.
        part: of the body it belongs to.
        along: how far along that part it is.
        scalp: `Tailor.scalp` there.
    """
    near, far = worn.near[row, part], worn.far[row, part]
    shown = torch.where(along < worn.border[row, part], near, far)
    hairy = (part == PART_INDEX["head"]) & (scalp > worn.hairline[row])
    return torch.where(hairy, torch.full_like(shown, HAIR), shown)


def _along(part: Tensor, vertices: Tensor, points: Tensor) -> Tensor:
    first, last = vertices.new_zeros(2, len(PART_NAMES), 3)
    for side in SIDES:
        for stem, names in BONE_OF_PART.items():
            row = PART_INDEX[f"{side}_{stem}"]
            first[row], last[row] = (points[KEYPOINT_INDEX[f"{side}_{n}"]] for n in names)
    torso = PART_INDEX["torso"]
    first[torso], last[torso] = (
        sum(points[KEYPOINT_INDEX[f"{side}_{name}"]] for side in SIDES) / 2
        for name in ("shoulder", "hip")
    )
    axis = last - first
    axis = axis / (axis * axis).sum(-1, keepdim=True).clamp_min(1e-9)
    return ((vertices - first[part]) * axis[part]).sum(-1)


def _scalp(part: Tensor, vertices: Tensor, points: Tensor) -> Tensor:
    ears = (points[KEYPOINT_INDEX["left_ear"]] + points[KEYPOINT_INDEX["right_ear"]]) / 2
    nose = points[KEYPOINT_INDEX["nose"]]
    reach = (nose - ears).norm()
    offset = (vertices - ears) / reach
    # behind the ears, or above the brows
    behind, above = 0.5 - 1.1 * offset[:, 2], 1.5 * (offset[:, 1] - 0.35)
    scalp = torch.maximum(behind, above).clamp(0, 1.0)
    chin = torch.sigmoid((offset[:, 1] + 0.9) / 0.1)
    return scalp * chin * (part == PART_INDEX["head"])


def _features(vertices: Tensor, points: Tensor) -> Tensor:
    """Soft masks of the face, from distances to its keypoints."""

    def near(point: Tensor, wide: float, high: float) -> Tensor:
        gap = (vertices - point) / vertices.new_tensor((wide, high, 0.03))
        return torch.sigmoid((1 - gap.norm(dim=-1)) / 0.15)

    zero = torch.zeros_like(vertices[:, 0])
    white, iris, brow = zero, zero, zero
    up = vertices.new_tensor((0.0, 1.0, 0.0))
    for side in SIDES:
        eye = points[KEYPOINT_INDEX[f"{side}_eye"]]
        white = torch.maximum(white, near(eye, 1.3 * _EYE_M, 0.6 * _EYE_M))
        iris = torch.maximum(iris, near(eye, 0.55 * _EYE_M, 0.55 * _EYE_M))
        brow = torch.maximum(brow, near(eye + 0.024 * up, 0.02, 0.45 * _BROW_M))
    left, right = points[KEYPOINT_INDEX["mouth_left"]], points[KEYPOINT_INDEX["mouth_right"]]
    lips = near((left + right) / 2, 1.1 * _LIPS_M, 0.009)
    return torch.stack([white, iris, brow, lips], -1)
