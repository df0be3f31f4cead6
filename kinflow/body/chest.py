"""Breasts of women alone: a chest that is flat until `gender` is nearly a woman's.

Anny blends a man and a woman linearly, so that everybody halfway between has half of a woman's
breasts; and halfway is where people end up of whose sex nothing is known. Here breasts begin at
`BREASTS_FROM`, and from `BREASTS_WHOLE_FROM` on they are Anny's. All else is blended as it was:
joints, keypoints, height, and the width of ribs, waist and hips.

A breast is by how much a woman's chest differs from a man's beyond what the skin around it does:
the difference is continued inwards, as a plane over the front of the trunk, and what is left is the
breast. That is linear in the difference, so it applies to every corner of the table of phenotypes,
and the few directions in which grown-ups' breasts differ join the basis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinflow.body.parts import PART_INDEX
from kinflow.body.shape import AVERAGE_ADULT, PhenotypeSpace
from kinflow.body.skeleton import JOINT_INDEX, NUM_JOINTS

COMPONENTS = 16
"""Directions in which breasts differ."""

_WHOLE_M, _EDGE_M, _AROUND_M = 0.07, 0.11, 0.15
"""From the middle of a breast: all is breast up to the first, nothing from the second on, and the
skin between nearly there and the third is what is continued inwards."""
_NEARLY = 0.9
_ASIDE_M = (0.04, 0.12)
"""How far from the middle of the trunk breasts are."""
_BEFORE_M = 0.03
"""How far before the spine the front of the trunk is."""
_GROWN_UP = 3
"""First anchor of `age` that has breasts: young adults."""
_USUAL = 0.25
"""Weight of the outer anchors of muscle and weight, whom hardly anybody is like."""


@dataclass(frozen=True)
class _Breasts:
    """Which vertices breasts are made of, and what they would be without them."""

    inside: Int[Tensor, " inside"]
    around: Int[Tensor, " around"]
    share: Float[Tensor, " inside"]
    """How far each vertex is breast, 1 in the middle."""
    continued: Float[Tensor, "inside around"]
    """What fields on the skin around come to inside."""

    def of(self, field_m: Float[Tensor, "fields vertices 3"]) -> Float[Tensor, "fields inside 3"]:
        """What of differences between bodies is breasts."""
        beyond = field_m[:, self.inside] - self.continued @ field_m[:, self.around]
        return self.share[:, None] * beyond


def with_flat_chests(
    space: PhenotypeSpace,
    rest_mean_m: Float[Tensor, "points 3"],
    rest_basis_m: Float[Tensor, "rank points 3"],
    vertex_parts: Int[Tensor, " vertices"],
) -> tuple[PhenotypeSpace, Float[Tensor, "more points 3"]]:
    """The shape space and the basis of a body without breasts but for women.

    Args:
        space: of a body that blends man and woman linearly.
        rest_mean_m: its points at rest (22 joints, virtual points, vertices).
        rest_basis_m: the basis of these.
        vertex_parts: the part of each vertex.
    """
    assert space.counts[0] == 2 and not space.breasts, "breasts are made of a linear blend"
    first = len(rest_mean_m) - len(vertex_parts)
    basis_m = rest_basis_m[:, first:].double()
    breasts = _found(space, rest_mean_m, rest_basis_m, vertex_parts)
    man, woman = space.table.double().unflatten(0, (2, -1))
    grown_up, usual = _corners(space)
    difference = (woman - man) * grown_up[:, None]
    codes, directions = _compressed(difference, breasts.of(basis_m).flatten(1), usual)

    # both halves of the table have a woman's breasts: the space says how much of them is missing
    table = torch.cat([space.table.double(), codes.repeat(2, 1)], 1)
    added = torch.zeros(COMPONENTS, *rest_mean_m.shape, dtype=torch.float64)
    added[:, first + breasts.inside] = directions.unflatten(1, (-1, 3))
    return (
        replace(space, table=table.float(), breasts=COMPONENTS),
        torch.cat([rest_basis_m, added.float()]),
    )


def _corners(space: PhenotypeSpace) -> tuple[Tensor, Tensor]:
    """Of each corner but `gender`: whether it is grown up, and how usual it is."""
    _, ages, muscle, weight, height, proportions = space.counts
    age = (torch.arange(ages) >= _GROWN_UP).double()
    middling = torch.tensor([_USUAL, 1.0, _USUAL], dtype=torch.float64)
    assert muscle == weight == len(middling)
    others = torch.ones(height * proportions, dtype=torch.float64)
    usual = torch.einsum("a,m,w,o->amwo", age, middling, middling, others)
    grown_up = age.repeat_interleave(len(usual.flatten()) // ages)
    return grown_up, usual.flatten()


def _compressed(
    codes: Float[Tensor, "corners rank"],
    fields: Float[Tensor, "rank coordinates"],
    weight: Float[Tensor, " corners"],
) -> tuple[Float[Tensor, "corners few"], Float[Tensor, "few coordinates"]]:
    """Numbers and directions whose product is nearly that of codes and fields, nearest for corners
    of large weight."""
    # fields = mixed @ axes with orthonormal axes, so that the decomposition is a small one
    left, size, axes = torch.linalg.svd(fields, full_matrices=False)
    mixed = codes @ (left * size)
    _, _, right = torch.linalg.svd(weight.sqrt()[:, None] * mixed, full_matrices=False)
    return mixed @ right[:COMPONENTS].mT, right[:COMPONENTS] @ axes


def _found(
    space: PhenotypeSpace,
    rest_mean_m: Float[Tensor, "points 3"],
    rest_basis_m: Float[Tensor, "rank points 3"],
    vertex_parts: Int[Tensor, " vertices"],
) -> _Breasts:
    """The breasts of a body, by what differs between an average man and woman."""
    average = torch.tensor(AVERAGE_ADULT, dtype=torch.float32)
    man, woman = average.clone(), average.clone()
    man[0], woman[0] = 0.0, 1.0
    rest = (rest_mean_m + torch.tensordot(space.code(average), rest_basis_m, 1)).double()
    difference = torch.tensordot(space.code(woman) - space.code(man), rest_basis_m, 1).double()
    first = len(rest_mean_m) - len(vertex_parts)
    joints, vertices, forward = rest[:NUM_JOINTS], rest[first:], difference[first:, 2]
    low, high, neck = (joints[JOINT_INDEX[name]] for name in ("spine2", "spine3", "neck"))
    x, y, z = vertices.unbind(-1)
    before = z > torch.maximum(low[2], high[2]) + _BEFORE_M
    front = (vertex_parts == PART_INDEX["torso"]) & before & (y < neck[1])
    nearest, farthest = _ASIDE_M
    likely = front & (x.abs() > nearest) & (x.abs() < farthest) & (y > low[1]) & (y < high[1])
    middles = torch.stack([vertices[_largest(forward, likely & (x * s > 0))] for s in (1, -1)])
    far = torch.cdist(vertices, middles).amin(1)
    inside = torch.nonzero(front & (far < _EDGE_M))[:, 0]
    around = torch.nonzero(front & (far > _NEARLY * _EDGE_M) & (far < _AROUND_M))[:, 0]
    falling = ((_EDGE_M - far[inside]) / (_EDGE_M - _WHOLE_M)).clamp(0, 1)
    continued = _plane(vertices[inside]) @ torch.linalg.pinv(_plane(vertices[around]))
    return _Breasts(inside, around, falling * falling * (3 - 2 * falling), continued)


def _largest(value: Float[Tensor, " vertices"], among: Bool[Tensor, " vertices"]) -> Tensor:
    return value.masked_fill(~among, -math.inf).argmax()


def _plane(points_m: Float[Tensor, "points 3"]) -> Float[Tensor, "points 3"]:
    """What planes over the front of the trunk are sums of: 1, x and y."""
    return torch.cat([torch.ones_like(points_m[:, :1]), points_m[:, :2]], 1)
