"""Learning rates as functions of the number of steps done."""

import math
from collections.abc import Callable

Schedule = Callable[[int], float]
"""From the steps done so far to the learning rate of the next one."""

WARM_UP_STEPS = 100


def cosine(peak: float, steps: int) -> Schedule:
    """From the peak down to zero after `steps`, along half a wave."""

    def learning_rate(step: int) -> float:
        return peak * (0.5 + 0.5 * math.cos(math.pi * step / steps))

    return learning_rate


def warm_up_and_cosine(peak: float, steps: int, warm_up: int = WARM_UP_STEPS) -> Schedule:
    """Rises linearly over the first `warm_up` steps, under a cosine that ends after `steps`."""

    def learning_rate(step: int) -> float:
        wave = 0.5 + 0.5 * math.cos(math.pi * step / steps)
        return peak * _risen(step, warm_up) * wave

    return learning_rate


def constant_and_linear_end(
    peak: float, steps: int, end: float, warm_up: int = WARM_UP_STEPS
) -> Schedule:
    """Rises linearly, stays, and falls linearly to zero over the last share `end` of `steps`.

    Since it is constant for most of the time, a run may be made longer afterwards.
    """
    falling = max(1, round(end * steps))

    def learning_rate(step: int) -> float:
        return peak * (_risen(step, warm_up) * min(1.0, (steps - step) / falling))

    return learning_rate


def _risen(step: int, warm_up: int) -> float:
    return min(1.0, (step + 1) / warm_up)
