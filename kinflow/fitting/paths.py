"""Through frames that each have several explanations: the cheapest path (Viterbi 1967)."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor


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
