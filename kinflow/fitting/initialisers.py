"""Where fits begin: sources that propose bodies for people, each under a name of its own.

The search (`multistart.py`) starts from whatever it is given: the gallery of poses (`gallery.py`)
and the facing pose (`facing.py`) are two sources, a network that guesses bodies is one more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Int
from torch import Tensor

from kinflow.energy.body_energy import Targets
from kinflow.energy.unknowns import Unknowns


@dataclass(frozen=True)
class Proposals:
    """Bodies to start from, any number for each person."""

    unknowns: Unknowns
    person: Int[Tensor, " proposals"]
    """Row of the targets that each body is for."""
    source: str
    """Name of who proposes them."""


@runtime_checkable
class Initialiser(Protocol):
    """Proposes bodies for people."""

    def propose(self, targets: Targets, names: tuple[str, ...]) -> Proposals:
        """Bodies to start from.

        Args:
            targets: one row a person, of one photo or of many.
            names: keypoint names, the order of the points in `targets`.
        """
        ...
