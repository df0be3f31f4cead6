"""Averages of weights along a run, which predict better than the last weights do."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

_Tensors = tuple[Tensor, ...] | list[Tensor]
Decay = Callable[[int], float]
"""From the number of weights averaged so far to the share that they keep."""


def mean_at_first(decay: float) -> Decay:
    """The plain mean of all weights so far, until the exponential average is the slower one."""
    return lambda count: min(decay, 1.0 - 1.0 / (count + 1))


def fast_at_first(decay: float) -> Decay:
    """The usual warm-up (1 + n) / (10 + n), which forgets the first weights soon."""
    return lambda count: min(decay, (count + 1) / (count + 10))


def weight_average(network: nn.Module, decay: Decay) -> AveragedModel:
    """The average of a network's weights and running statistics; it begins as they are now.

    What is not a real number, such as a count of batches, stays as it is.
    """

    def average(averages: _Tensors, current: _Tensors, count: Tensor | int) -> None:
        share = 1.0 - decay(int(count))
        pairs = [p for p in zip(averages, current, strict=True) if p[0].is_floating_point()]
        for dtype in {averaged.dtype for averaged, _ in pairs}:
            own = [pair for pair in pairs if pair[0].dtype == dtype]
            # one call for all of them: on a GPU the calls cost more than the sums
            torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
                [averaged for averaged, _ in own], [value for _, value in own], share
            )

    averaged = AveragedModel(network, multi_avg_fn=average, use_buffers=True).eval()
    set_count(averaged, 1)
    return averaged


def set_count(average: AveragedModel, count: int) -> None:
    """Say how many weights an average is made of, for one that goes on from a checkpoint."""
    with torch.no_grad():
        average.n_averaged.fill_(count)
