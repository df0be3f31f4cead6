"""Whether a recording runs at the speed that its file says.

Some files are labelled with twice the frame rate that they hold. Two laws tell: nothing falls
faster than gravity lets it, and nobody who walks takes many short steps a second. (Walking people
take 1.6 to 2.2 steps a second; who runs takes up to 3.5, but long ones.)
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

GRAVITY_M_S2 = 9.81

_FALL_S, _FALL_FACTOR = 0.27, 1.7
"""The hips are not the centre of mass, so they may go down somewhat faster than that falls."""
_WALK_S, _LEAST_SPEED_M_S = 2.0, 0.5
_MOST_STEPS_HZ, _SHORT_STEP_M = 2.6, 0.75


def fall_m_s2(root_m: Float[Tensor, "frames 3"], rate_hz: float) -> float:
    """Largest downward acceleration of the root over about a quarter of a second; 0 if none.

    By parabolas through all heights of a window.
    """
    frames = max(5, round(_FALL_S * rate_hz) + 1)
    if len(root_m) < frames:
        return 0.0
    s = torch.arange(frames, dtype=torch.float64) / rate_hz
    parabolas = torch.linalg.pinv(torch.stack([torch.ones_like(s), s, 0.5 * s * s], -1))
    acceleration = root_m[:, 1].double().unfold(0, frames, 1) @ parabolas[2]
    return max(0.0, -float(acceleration.min()))


def walking(
    root_m: Float[Tensor, "frames 3"],
    ankles_m: Float[Tensor, "frames 2 3"],
    rate_hz: float,
) -> tuple[float, float] | None:
    """Steps a second and metres a step, medians over windows in which somebody goes somewhere.

    A step is a change of the foot that is in front. None where nobody goes two seconds straight.
    """
    frames = round(_WALK_S * rate_hz) + 1
    found: list[tuple[float, float]] = []
    for begin in range(0, len(root_m) - frames + 1, max(1, frames // 2)):
        path = root_m[begin : begin + frames, (0, 2)]
        way = path[-1] - path[0]
        length = float(way.norm())
        steps_m = torch.diff(path, dim=0).norm(dim=-1).sum()
        if length < _LEAST_SPEED_M_S * _WALK_S or length < 0.9 * float(steps_m):
            continue
        ahead = ankles_m[begin : begin + frames, :, (0, 2)] @ (way / length)
        changes = int((torch.diff((ahead[:, 0] > ahead[:, 1]).int()) != 0).sum())
        if changes >= 2:
            found.append((changes / _WALK_S, length / changes))
    if not found:
        return None
    cadence_hz, step_m = torch.tensor(found).median(0).values.tolist()
    return cadence_hz, step_m


def timing_fault(
    root_m: Float[Tensor, "frames 3"],
    ankles_m: Float[Tensor, "frames 2 3"],
    rate_hz: float,
) -> str | None:
    """Why a recording cannot have its frame rate; None if nothing speaks against it."""
    fall = fall_m_s2(root_m, rate_hz)
    if fall > _FALL_FACTOR * GRAVITY_M_S2:
        return f"somebody falls with {fall:.1f} m/s²"
    walk = walking(root_m, ankles_m, rate_hz)
    if walk is not None and walk[0] > _MOST_STEPS_HZ and walk[1] < _SHORT_STEP_M:
        return f"somebody walks {walk[0]:.1f} steps a second of {walk[1]:.2f} m"
    return None
