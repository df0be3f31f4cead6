"""Through frames that each have several explanations: the cheapest path (Viterbi 1967), and what is
between its stations."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.energy.unknowns import Unknowns
from kinflow.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix


def cheapest_path(
    costs: Sequence[Float[Tensor, " _"]], steps: Sequence[Float[Tensor, "_ _"]]
) -> list[int]:
    """Which explanation of each frame to take.

    Args:
        costs: of each frame's explanations; any number a frame, at least one.
        steps: cost of going from each of one frame's to each of the next one's, one matrix fewer
            than there are frames.
    """
    total, back = costs[0], []
    for cost, step in zip(costs[1:], steps, strict=True):
        through = total[:, None] + step
        best = through.min(0)
        back.append(best.indices)
        total = best.values + cost
    path = [int(total.argmin())]
    for came_from in reversed(back):
        path.append(int(came_from[path[-1]]))
    return path[::-1]


def between(
    keys: Unknowns, key_times_s: Float[Tensor, " keys"], times_s: Float[Tensor, " frames"]
) -> Unknowns:
    """Bodies at all times from those at some: turned and moved evenly, of the mean shape.

    Times outside of the keys' have the nearest key's body.
    """
    last = len(keys) - 1
    right = torch.searchsorted(key_times_s, times_s, right=True).clamp(min(1, last), last)
    left = (right - 1).clamp_min(0)
    gap = (key_times_s[right] - key_times_s[left]).clamp_min(1e-9)
    a = ((times_s - key_times_s[left]) / gap).clamp(0, 1)[:, None]
    turn = matrix_to_rotvec(keys.R_cam_root[right] @ keys.R_cam_root[left].mT)
    return Unknowns(
        rotvec_to_matrix(a * turn) @ keys.R_cam_root[left],
        keys.t_cam_root_m[left] + a * (keys.t_cam_root_m[right] - keys.t_cam_root_m[left]),
        keys.z[left] + a * (keys.z[right] - keys.z[left]),
        keys.s.mean(0).expand(len(times_s), -1),
        keys.log_focal.mean().expand(len(times_s)),
    )


def evenly(count: int, at_most: int) -> Int[Tensor, " chosen"]:
    """So many of `count` rows, the first and the last among them, or all if they are fewer."""
    return torch.linspace(0, count - 1, min(count, at_most)).round().long()


def sparse_rows(times_s: Sequence[float], gap_s: float, kept: int) -> list[int]:
    """As few rows as leave no gap of more than `gap_s` that was not there, the last among them.

    Args:
        times_s: of all rows, increasing.
        gap_s: the longest time from one to the next.
        kept: so many of the first are among them in any case.
    """
    chosen = list(range(max(kept, 1)))
    for row, time_s in enumerate(times_s):
        last = chosen[-1]
        if row > last + 1 and time_s - times_s[last] > gap_s:
            chosen.append(row - 1)
    return chosen if chosen[-1] == len(times_s) - 1 else [*chosen, len(times_s) - 1]
