"""What motion costs: points of a body that speed up, and feet that slide while they stand.

Terms tie two or three frames of a chain to each other (`kinflow.optim.arrow`). Points are in the
frame of a camera that stands still, which is as good as the world's.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.energy.layout import TangentLayout
from kinflow.energy.terms import robustify
from kinflow.optim.arrow import ChainTerm

REFERENCE_RATE_HZ = 30.0
"""Spreads of accelerations are those of single frames at this rate."""


def acceleration(
    points_m: Float[Tensor, "frames points 3"],
    jacobian: Float[Tensor, "frames points 3 unknowns"] | None,
    times_s: Float[Tensor, " frames"],
    inverse_std: Float[Tensor, " points"],
    cutoff: float,
    layout: TangentLayout,
) -> ChainTerm:
    """Accelerations of points by three frames each, in standard deviations.

    Frames may be unevenly apart: a = 2 (v1 - v0) / (t2 - t0), v0 and v1 being the velocities of the
    two steps. So that the energy of a second does not depend on the frame rate, each is weighed by
    the time that it stands for.

    Args:
        points_m: positions.
        jacobian: their derivatives; its columns are those of `layout`.
        times_s: of the frames, increasing.
        inverse_std: of each point's acceleration, in s²/m, at the reference rate.
        cutoff: in standard deviations; where somebody starts or hits something, more is no worse.
        layout: the unknowns.
    """
    first, second = times_s[1:-1] - times_s[:-2], times_s[2:] - times_s[1:-1]
    whole = first + second
    share = (0.5 * whole * REFERENCE_RATE_HZ).sqrt()
    c = torch.stack([2 / (first * whole), -2 / (first * second), 2 / (second * whole)], 1)
    c = c * share[:, None]
    return _combined(points_m, jacobian, c, inverse_std.expand(len(c), -1), cutoff, layout)


def sliding(
    points_m: Float[Tensor, "frames points 3"],
    jacobian: Float[Tensor, "frames points 3 unknowns"] | None,
    times_s: Float[Tensor, " frames"],
    inverse_std: Float[Tensor, "steps points"],
    cutoff: float,
    layout: TangentLayout,
) -> ChainTerm:
    """Velocities of points that should stand still, in standard deviations.

    Args:
        points_m, jacobian, times_s, cutoff, layout: as in `acceleration`.
        inverse_std: of the velocity of each point in the step to the next frame, in s/m; 0 where it
            may move.
    """
    step = times_s[1:] - times_s[:-1]
    c = torch.stack([-1 / step, 1 / step], 1) * (step * REFERENCE_RATE_HZ).sqrt()[:, None]
    return _combined(points_m, jacobian, c, inverse_std, cutoff, layout)


def _combined(
    points_m: Tensor,
    jacobian: Tensor | None,
    coefficients: Float[Tensor, "links span"],
    inverse_std: Float[Tensor, "links points"],
    cutoff: float,
    layout: TangentLayout,
) -> ChainTerm:
    """Residuals that are linear in the points of a few frames in a row, robust for each point."""
    links, span = coefficients.shape
    weight = (coefficients[:, :, None] * inverse_std[:, None])[..., None]  # links span points 1
    rows = [points_m[i : i + links] for i in range(span)]
    r = sum(weight[:, i] * rows[i] for i in range(span))
    assert isinstance(r, Tensor)
    count = r.shape[1] * 3
    if jacobian is None:
        r, _ = robustify(r, None, cutoff)
        empty = r.new_zeros(1, links, span, count, 0)
        return ChainTerm(r.flatten(1)[None], empty, empty[:, :, 0])
    own, common = jacobian[..., layout.frame], jacobian[..., layout.shared]
    size = own.shape[-1]
    columns = [weight[:, i, ..., None] * own[i : i + links] for i in range(span)]
    shared = sum(weight[:, i, ..., None] * common[i : i + links] for i in range(span))
    assert isinstance(shared, Tensor)
    r, J = robustify(r, torch.cat([*columns, shared], -1), cutoff)
    assert J is not None
    J = J.flatten(1, 2)
    frames = J[..., : span * size].unflatten(-1, (span, size)).transpose(1, 2)
    return ChainTerm(r.flatten(1)[None], frames[None], J[None, ..., span * size :])
