"""Recordings as latents of a pose prior with their roots, and their steps at several rates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.datasets.motion_sets import RATE_HZ, MotionSet
from kinflow.priors.average_adult import joint_positions_m
from kinflow.priors.base import PosePrior
from kinflow.priors.dynamics.state import LatentMotion, contexts, steps

STRIDES = (1, 2, 3)
"""Frames of 30 Hz from one to the next: 30, 15 and 10 Hz."""
LONGEST = 46
"""Frames of 30 Hz that courses reach ahead at most."""
_CHUNK = 4096


@dataclass(frozen=True)
class Steps:
    """Steps with what came before, as the density wants them."""

    x: Float[Tensor, "rows x"]
    context: Float[Tensor, "rows q"]
    dt_s: Float[Tensor, "rows 1"]


@dataclass(frozen=True)
class Recorded:
    """All frames of a set as one motion; frames of two sequences never make a step.

    Attributes:
        motion: the frames.
        last: for each stride, rows with two frames before them.
        weight: of each such row, by which subjects are balanced.
        inner: for each stride, rows with a frame before them and `LONGEST` frames of 30 Hz after.
        inner_weight: of each such row.
        joints_m: of the average adult about the root, in the root's frame.
        R_free: rotations of the free joints.
    """

    motion: LatentMotion
    last: dict[int, Tensor]
    weight: dict[int, Tensor]
    inner: dict[int, Tensor]
    inner_weight: dict[int, Tensor]
    joints_m: Float[Tensor, "frames 22 3"]
    R_free: Float[Tensor, "frames 19 3 3"]

    @staticmethod
    @torch.no_grad()
    def of(data: MotionSet, prior: PosePrior, balance_power: float = -0.5) -> Recorded:
        z = torch.cat([prior.encode(chunk) for chunk in data.R_free.split(_CHUNK)])
        codes = data.subject_codes()
        share = torch.bincount(codes).double().pow(balance_power)[codes]
        last = {stride: data.last_frames(3, stride) for stride in STRIDES}
        weight = {stride: share[rows] for stride, rows in last.items()}
        inner = {stride: _inner_rows(data.sequence, stride) for stride in STRIDES}
        inner_weight = {stride: share[rows] for stride, rows in inner.items()}
        motion = LatentMotion(z, data.R_root, data.root_m)
        joints_m = torch.cat([joint_positions_m(chunk) for chunk in data.R_free.split(_CHUNK)])
        return Recorded(motion, last, weight, inner, inner_weight, joints_m, data.R_free)

    def windows(self, rows: Int[Tensor, "rows"], frames: int, stride: int = 1) -> LatentMotion:
        """Motions of some frames each, which end at `rows`."""
        back = torch.arange(frames - 1, -1, -1) * stride
        return self.motion_at(rows[:, None] - back)

    def motion_at(self, rows: Int[Tensor, "*shape"]) -> LatentMotion:
        """The frames of some rows."""
        motion = self.motion
        return LatentMotion(motion.z[rows], motion.R_root[rows], motion.root_m[rows])

    def steps(self, rows: Int[Tensor, "rows"], stride: int) -> Steps:
        """The steps onto `rows`."""
        window = self.windows(rows, 3, stride)
        dt_s = torch.full((len(rows), 1), stride / RATE_HZ)
        context = contexts(window.frames(0, 2), dt_s)[:, 0]
        return Steps(steps(window.frames(1, 3), dt_s)[:, 0], context, dt_s)

    def drawn(self, count: int, stride: int) -> Steps:
        """Some steps at random, by the global generator."""
        chosen = torch.multinomial(self.weight[stride], count, replacement=True)
        return self.steps(self.last[stride][chosen], stride)


def _inner_rows(sequence: Int[Tensor, "frames"], stride: int) -> Int[Tensor, "rows"]:
    rows = torch.arange(stride, len(sequence) - LONGEST)
    return rows[sequence[rows - stride] == sequence[rows + LONGEST]]
