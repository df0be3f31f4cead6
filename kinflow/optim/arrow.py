"""The Gauss-Newton model of chains: frames tied to their neighbours and to shared unknowns.

With the frames' unknowns first and the shared ones last, the Hessian is a band of blocks with a
border, which is shaped like an arrow:

    [ A   B ]        A: blocks (t, u) with |t - u| <= reach, one frame's unknowns each
    [ B'  C ]        B: every frame against the shared unknowns, C: these against themselves

A is factored block by block along the chain (banded Cholesky), the shared unknowns follow from the
Schur complement C - B' inv(A) B, and the frames from back substitution: time and memory grow with
the number of frames, not with its cube (Triggs et al., Bundle Adjustment: A Modern Synthesis, 2000,
section 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinflow.optim.dense import DAMPED_FLOOR, DenseModel, step_scale


@dataclass(frozen=True)
class ChainTerm:
    """Residuals that tie some frames in a row to each other and to the shared unknowns.

    Link i depends on the frames i to i + span - 1: a span of 1 is a term of single frames, of 2 one
    of neighbours, of 3 one with two frames before.
    """

    residuals: Float[Tensor, "problems links residuals"]
    jacobian: Float[Tensor, "problems links span residuals unknowns"]
    """With respect to the unknowns of each of the frames."""
    shared: Float[Tensor, "problems links residuals shared"]
    """With respect to the shared unknowns."""


@dataclass(frozen=True)
class ArrowStep:
    """A step of all unknowns of a chain."""

    frames: Float[Tensor, "problems frames unknowns"]
    shared: Float[Tensor, "problems shared"]

    def __getitem__(self, rows: Any) -> ArrowStep:
        return ArrowStep(self.frames[rows], self.shared[rows])


@dataclass(frozen=True)
class ArrowModel:
    """Energy, slope and curvature of a batch of chains."""

    energy: Float[Tensor, " problems"]
    gradient: Float[Tensor, "problems frames unknowns"]
    shared_gradient: Float[Tensor, "problems shared"]
    band: Float[Tensor, "problems frames lags unknowns unknowns"]
    """Block (t, t - lag) of A; lag 0 is the diagonal; blocks before the first frame are zero."""
    border: Float[Tensor, "problems frames unknowns shared"]
    corner: Float[Tensor, "problems shared shared"]

    @staticmethod
    def of(chain: Sequence[ChainTerm], shared: DenseModel) -> ArrowModel:
        """The model of all terms.

        Args:
            chain: terms of frames; one of them has a span of 1, whose links are all frames.
            shared: what depends on the shared unknowns alone (it may be zero). Terms are summed up
                in its precision: a chain that hardly bends is badly conditioned in single.

        Raises:
            ValueError: no term says how many frames there are.
        """
        frames = max((t.residuals.shape[1] + t.jacobian.shape[2] - 1 for t in chain), default=0)
        if not frames:
            raise ValueError("a chain needs at least one term of its frames")
        problems, _, _, _, size = chain[0].jacobian.shape
        lags = max(term.jacobian.shape[2] for term in chain)
        zeros = shared.gradient.new_zeros
        model = ArrowModel(
            energy=shared.energy.clone(),
            gradient=zeros(problems, frames, size),
            shared_gradient=shared.gradient.clone(),
            band=zeros(problems, frames, lags, size, size),
            border=zeros(problems, frames, size, shared.gradient.shape[-1]),
            corner=shared.hessian.clone(),
        )
        for term in chain:
            model._add(term)
        return model

    def _add(self, term: ChainTerm) -> None:
        r, J, S = term.residuals, term.jacobian, term.shared
        links, span = J.shape[1:3]
        self.energy.add_(0.5 * r.to(self.energy).square().sum((1, 2)))
        self.shared_gradient.add_(torch.einsum("nlrs,nlr->ns", S, r))
        self.corner.add_(torch.einsum("nlrs,nlrq->nsq", S, S))
        for i in range(span):
            at = slice(i, i + links)
            transposed = J[:, :, i].mT
            self.gradient[:, at] += (transposed @ r[..., None])[..., 0]
            self.border[:, at] += transposed @ S
            for k in range(i + 1):
                self.band[:, at, i - k] += transposed @ J[:, :, k]

    def step(self, damping: Float[Tensor, " problems"], max_step: float) -> ArrowStep:
        """The damped step; no frame, nor the shared unknowns, move further than `max_step`."""
        step = self._damped(damping)
        longest = torch.maximum(step.frames.norm(dim=-1).amax(1), step.shared.norm(dim=-1))
        scale = step_scale(longest, max_step)
        return ArrowStep(step.frames * scale[:, None, None], step.shared * scale[:, None])

    def expected_gain(self, damping: Float[Tensor, " problems"]) -> Float[Tensor, " problems"]:
        """By how much the damped step would lower the energy if the model were right."""
        step = self._damped(damping)
        slope = (self.gradient * step.frames).sum((1, 2)) + (
            self.shared_gradient * step.shared
        ).sum(1)
        return -0.5 * slope

    def __getitem__(self, rows: Any) -> ArrowModel:
        return ArrowModel(**{name: value[rows] for name, value in vars(self).items()})

    def replace(self, rows: Int[Tensor, " rows"], values: ArrowModel) -> None:
        """Exchange, in place, the models of some problems."""
        for name, value in vars(values).items():
            getattr(self, name)[rows] = value

    def _damped(self, damping: Tensor) -> ArrowStep:
        diagonal = torch.diagonal(self.band[:, :, 0], dim1=-2, dim2=-1)
        own = torch.diagonal(self.corner, dim1=-2, dim2=-1)
        corner = self.corner + torch.diag_embed(damping[:, None] * (own + DAMPED_FLOOR))
        added = damping[:, None, None] * (diagonal + DAMPED_FLOOR)
        factor, failed = _band_cholesky(self.band, added)
        # the gradient and the border are solved for together, as columns
        right = torch.cat([self.gradient[..., None], self.border], -1)
        solved = _band_solve(factor, right)
        y, Y = solved[..., 0], solved[..., 1:]
        schur = corner - torch.einsum("ntus,ntuq->nsq", self.border, Y)
        slope = self.shared_gradient - torch.einsum("ntus,ntu->ns", self.border, y)
        schur_factor, schur_failed = torch.linalg.cholesky_ex(schur)
        shared = -torch.cholesky_solve(slope[..., None], schur_factor)[..., 0]
        frames = -y - (Y @ shared[:, None, :, None])[..., 0]
        usable = ~failed & (schur_failed == 0)
        usable &= frames.isfinite().all(-1).all(-1) & shared.isfinite().all(-1)
        return ArrowStep(
            torch.where(usable[:, None, None], frames, torch.zeros_like(frames)),
            torch.where(usable[:, None], shared, torch.zeros_like(shared)),
        )


def _band_cholesky(
    band: Float[Tensor, "problems frames lags unknowns unknowns"],
    added: Float[Tensor, "problems frames unknowns"],
) -> tuple[list[list[Tensor]], Bool[Tensor, " problems"]]:
    """Blocks L[t][lag] of the lower factor of a block-banded matrix, and which problems failed.

    `added` is what damping adds to the matrix's diagonal.
    """
    frames, lags = band.shape[1:3]
    factor: list[list[Tensor]] = []
    failed = torch.zeros(len(band), dtype=torch.bool, device=band.device)
    for t in range(frames):
        row: list[Tensor] = [band[:, t, 0]] * min(lags, t + 1)
        for lag in range(len(row) - 1, 0, -1):
            earlier = factor[t - lag]
            block = band[:, t, lag]
            for further in range(lag + 1, len(row)):
                if further - lag < len(earlier):
                    block = block - row[further] @ earlier[further - lag].mT
            row[lag] = torch.linalg.solve_triangular(earlier[0], block.mT, upper=False).mT
        own = band[:, t, 0] + torch.diag_embed(added[:, t])
        for lag in range(1, len(row)):
            own = own - row[lag] @ row[lag].mT
        row[0], info = torch.linalg.cholesky_ex(own)
        failed |= info != 0
        factor.append(row)
    return factor, failed


def _band_solve(
    factor: list[list[Tensor]], right: Float[Tensor, "problems frames unknowns columns"]
) -> Float[Tensor, "problems frames unknowns columns"]:
    """Solve L L' x = right for every column."""
    frames = len(factor)
    forward: list[Tensor] = []
    for t, row in enumerate(factor):
        value = right[:, t]
        for lag in range(1, len(row)):
            value = value - row[lag] @ forward[t - lag]
        forward.append(torch.linalg.solve_triangular(row[0], value, upper=False))
    back: list[Tensor] = [right[:, 0]] * frames
    for t in range(frames - 1, -1, -1):
        value = forward[t]
        for later in range(t + 1, min(frames, t + len(factor[-1]))):
            value = value - factor[later][later - t].mT @ back[later]
        back[t] = torch.linalg.solve_triangular(factor[t][0].mT, value, upper=True)
    return torch.stack(back, 1)
