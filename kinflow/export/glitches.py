"""Frames in which a joint of a recorded motion is somewhere else for a moment: spikes and flips.

A glitch begins with a turn, or a way, that is faster than bodies move, and ends with another one
that brings the joint back to where it was. Whatever jumps and stays there is left alone: which side
of the jump is wrong cannot be told.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float64

FASTEST_TURN_RAD_S = np.radians(60.0) * 30.0
"""As `kinflow.datasets.plausible.MAX_STEP_DEG` has it for frames at 30 a second."""
FASTEST_ROOT_M_S = 12.0
_LEAST_TURN_RAD, _LEAST_WAY_M = np.radians(15.0), 0.1
"""Jumps are at least this large, or noise at high frame rates would be some."""
_OF_USUAL = 6.0
"""Nor are they less than so many times the usual step."""
_LONGEST_S = 0.5
_BACK = 0.5
"""Who is back is nearer to where they were than this part of the jump."""
_EDGE_FRAMES = 3
"""A jump within so many frames of either end leaves those outside it for glitches."""

Distance = Callable[[int, int], float]


def turn_glitches(
    R: Float64[np.ndarray, "frames 3 3"], period_s: float
) -> Bool[np.ndarray, " frames"]:
    """Frames in which the rotation of one joint is a glitch."""

    def distance(a: int, b: int) -> float:
        return float(np.arccos(np.clip((np.sum(R[a] * R[b]) - 1) / 2, -1, 1)))

    limit = max(FASTEST_TURN_RAD_S * period_s, _LEAST_TURN_RAD)
    return _glitches(distance, len(R), limit, period_s)


def way_glitches(
    positions_m: Float64[np.ndarray, "frames 3"], period_s: float
) -> Bool[np.ndarray, " frames"]:
    """Frames in which a position is a glitch."""

    def distance(a: int, b: int) -> float:
        return float(np.linalg.norm(positions_m[a] - positions_m[b]))

    limit = max(FASTEST_ROOT_M_S * period_s, _LEAST_WAY_M)
    return _glitches(distance, len(positions_m), limit, period_s)


def _glitches(distance: Distance, frames: int, limit: float, period_s: float) -> np.ndarray:
    bad = np.zeros(frames, bool)
    steps = [distance(frame, frame + 1) for frame in range(frames - 1)]
    limit = max(limit, _OF_USUAL * float(np.median(steps)) if steps else 0.0)
    longest = max(1, round(_LONGEST_S / period_s))
    frame = 0
    while frame < frames - 1:
        jump = steps[frame]
        if jump > limit:
            back = _back(distance, frame, min(frame + 1 + longest, frames - 1), _BACK * jump)
            if back is not None:
                bad[frame + 1 : back] = True
                frame = back
                continue
            if frame < _EDGE_FRAMES:
                bad[: frame + 1] = True
            elif frame >= frames - 1 - _EDGE_FRAMES:
                bad[frame + 1 :] = True
        frame += 1
    return bad if not bad.all() else np.zeros(frames, bool)


def _back(distance: Distance, frame: int, last: int, near: float) -> int | None:
    """The first frame after a jump that is near the one before it; None where there is none."""
    for later in range(frame + 2, last + 1):
        if distance(frame, later) < near:
            return later
    return None
