"""The trunk of the evidence network: tokens of joints, cells and the whole crop look at each other.

Each of the 33 landmarks is a token (the detector's maps where it lies, its place, its confidence
and its rough 3D), and so is each of 4 by 4 cells of the crop and the crop as a whole. A transformer
encoder of few layers (Vaswani et al. 2017, with normalisation first) works on them; a readout sees
them beside the plain numbers. On the way every joint says where it lies in space, which the readout
is told and the training corrects: poses follow from points more easily than from pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinflow.evidence.types import NUM_FEATURES, NUM_JOINT_FEATURES
from kinflow.predictors.looks import INPUT_SIZES, VIEW, WORLD_SCALE

_JOINTS, _CELLS = 33, 16
_POINT = 6
_TOLD = 16
"""Numbers of each joint's token that the readout is told."""
_GROUP_DROPPED, _JOINT_DROPPED, _NOISE = 0.1, 0.05, 0.05
_HIPS = [23, 24]
_STEP_M = 0.1


class Read(NamedTuple):
    """What the trunk makes of some people."""

    hidden: Float[Tensor, "people width"]
    points_m: Float[Tensor, "people 33 3"]
    """Keypoints about the middle of the hips, in the axes of the view."""


class Trunk(nn.Module):
    """From standardised numbers to what heads read.

    Args:
        width: of tokens.
        layers: of the encoder.
        heads: of its attention.
        readout: width of the readout.
        blocks: residual blocks of the readout.
        dropout: while training.
    """

    def __init__(
        self, width: int, layers: int, heads: int, readout: int, blocks: int, dropout: float
    ) -> None:
        super().__init__()
        plain = NUM_FEATURES + _JOINTS * _POINT + VIEW
        self.of_joint = nn.Linear(NUM_JOINT_FEATURES + _POINT, width)
        self.of_cell = nn.Linear(NUM_JOINT_FEATURES, width)
        self.of_crop = nn.Linear(plain, width)
        self.of_view = nn.Linear(VIEW, width, bias=False)
        self.place = nn.Parameter(0.3 * torch.randn(1 + _JOINTS + _CELLS, width))
        self.encoder = nn.ModuleList(_Layer(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.points = nn.Linear(width, 3)
        self.told = nn.Linear(width, _TOLD)
        known = plain + 2 * width + _JOINTS * (_TOLD + 3)
        self.first = nn.Linear(known, readout)
        self.blocks = nn.ModuleList(ResidualBlock(readout, dropout) for _ in range(blocks))

    def forward(
        self, x: Float[Tensor, "people inputs"], world_m: Float[Tensor, "people 33 3"]
    ) -> Read:
        """
        Args:
            x: standardised inputs.
            world_m: the detector's rough 3D keypoints, in the axes of the view.
        """
        crop, points, view, joints, cells = x.split(INPUT_SIZES, 1)
        joints = joints.unflatten(1, (_JOINTS, -1))
        cells = cells.unflatten(1, (_CELLS, -1))
        if self.training:
            crop, joints, cells = _spoilt(crop, joints, cells)
        plain = torch.cat([crop, points, view], 1)
        joints = torch.cat([joints, points.unflatten(1, (_JOINTS, -1))], -1)
        tokens = [self.of_crop(plain)[:, None], self.of_joint(joints), self.of_cell(cells)]
        hidden = torch.cat(tokens, 1) + self.place + self.of_view(view)[:, None]
        for layer in self.encoder:
            hidden = layer(hidden)
        hidden = self.norm(hidden)
        whole, joints, cells = hidden.split([1, _JOINTS, _CELLS], 1)
        points_m = about_hips(world_m + _STEP_M * self.points(joints).float())
        known = [
            plain,
            whole[:, 0],
            cells.mean(1),
            self.told(joints).flatten(1),
            WORLD_SCALE * points_m.flatten(1),
        ]
        read = self.first(torch.cat([v.to(whole.dtype) for v in known], 1))
        for block in self.blocks:
            read = block(read)
        return Read(F.silu(read), points_m)


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mixing = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.mixing = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.query_key_value(self.before_attention(x))
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.dropout(self.attended(seen))
        return x + self.dropout(self.mixing(self.before_mixing(x)))


class ResidualBlock(nn.Module):
    """Of a readout.

    Args:
        width: of what it reads.
        dropout: while training.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def _spoilt(crop: Tensor, joints: Tensor, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Maps with noise, of some people without one kind or some joints: renders are no photos, and
    what depends on one kind alone does not survive the difference.
    """
    people = len(crop)
    gone = torch.rand(3, people, device=crop.device) < _GROUP_DROPPED
    gone_joints = torch.rand(people, _JOINTS, device=crop.device) < _JOINT_DROPPED
    spoilt = [v + _NOISE * torch.randn_like(v) for v in (crop, joints, cells)]
    return (
        spoilt[0].masked_fill(gone[0, :, None], 0.0),
        spoilt[1].masked_fill((gone[1, :, None] | gone_joints)[..., None], 0.0),
        spoilt[2].masked_fill(gone[2, :, None, None], 0.0),
    )


def about_hips(points_m: Float[Tensor, "people 33 3"]) -> Float[Tensor, "people 33 3"]:
    """Keypoints about the middle of the hips."""
    return points_m - points_m[:, _HIPS].mean(1, keepdim=True)
