"""How surely a body's shape is known: standard deviations of phenotypes that hold for known people.

Laplace's approximation takes what a network believes for more certain than it is (fits count its
spread less, see `BeliefConfig.std_scale`), and keypoints for independent. So each phenotype has a
factor: chosen on rendered adults, so that as many of them as should are within the intervals of 50
and 90 % of a normal distribution. `python benchmarks/uncertainty.py` and
`python benchmarks/network_alone.py` print the factors, and how many people that they were not
fitted to are within the intervals that follow. Nobody is less known than somebody of whom nothing
is known but that people differ.

The spread of `age` is that of adults taken for adults and of children taken for children: who is
the one and was taken for the other is further away.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

ALONE = (1.20, 1.29, 1.32, 1.19, 1.37, 1.44)
"""Factors on Laplace's deviations, in the order of `PHENOTYPES`."""
WITH_NETWORK = (2.67, 3.62, 2.65, 2.33, 2.94, 3.09)
"""Likewise of people of whom a network believes something."""
OF_NETWORK = (0.99, 0.33, 1.08, 0.91, 0.76, 1.01)
"""Factors on the deviations of a network's samples, of bodies that nobody fitted. Samples of an
adult include children, hence the small one of `age`."""
MOST = (0.33, 0.22, 0.27, 0.31, 0.09, 0.26)
"""By how much rendered people differ from the average adult."""
LEAST = 0.005
"""Half a percent of a phenotype changes nothing that could be seen."""


@dataclass(frozen=True)
class ShapeSigns:
    """What tells how far the phenotypes of fitted bodies may be elsewhere."""

    laplace: Float[Tensor, "*batch 6"]
    """Laplace's approximation."""
    believed: Bool[Tensor, "*batch"]
    """Of whom a network believes something."""

    def __getitem__(self, row: int) -> ShapeSigns:
        """One of a batch."""
        return ShapeSigns(self.laplace[row], self.believed[row])

    def std(self) -> Float[Tensor, "*batch 6"]:
        """Standard deviations as they are stated."""
        factor = torch.where(self.believed[..., None], self._row(WITH_NETWORK), self._row(ALONE))
        return within_people(factor * self.laplace)

    def _row(self, factors: tuple[float, ...]) -> Float[Tensor, "6"]:
        return self.laplace.new_tensor(factors)


def std_of_network(deviation: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 6"]:
    """Standard deviations of phenotypes of bodies that a network alone told.

    Args:
        deviation: root mean square by which its samples differ from them.
    """
    return within_people(deviation.new_tensor(OF_NETWORK) * deviation)


def within_people(std: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 6"]:
    """The same deviations, no larger than those of people and no less than can be told."""
    return std.clamp_min(LEAST).minimum(std.new_tensor(MOST))
