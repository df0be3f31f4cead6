"""The people of several photos in a row, and the bodies that were found for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from jaxtyping import Int64
from torch import Tensor

from kinflow.energy.body_energy import Targets
from kinflow.evidence.types import ImageEvidence, PersonEvidence
from kinflow.fitting.gravity import Ground
from kinflow.fitting.multistart import Candidates
from kinflow.geometry.pinhole import Camera


@dataclass(frozen=True)
class People:
    """The people of several photos in a row."""

    seen: tuple[PersonEvidence, ...]
    cameras: tuple[Camera, ...]
    """What each was seen with."""
    rows: tuple[range, ...]
    """Those of each photo."""

    @staticmethod
    def of(photos: Sequence[ImageEvidence], cameras: Sequence[Camera]) -> People:
        ends = list(accumulate(len(photo.people) for photo in photos))
        return People(
            tuple(person for photo in photos for person in photo.people),
            tuple(c for photo, c in zip(photos, cameras, strict=True) for _ in photo.people),
            tuple(
                range(end - len(photo.people), end) for photo, end in zip(photos, ends, strict=True)
            ),
        )

    @property
    def photo(self) -> Int64[Tensor, " people"]:
        """Number of the photo that each is in."""
        return torch.tensor([n for n, mine in enumerate(self.rows) for _ in mine])


@dataclass(frozen=True)
class FoundBodies:
    """The bodies that were found for the people of several photos, photo by photo."""

    rows: tuple[range, ...]
    """The people of each photo."""
    cameras: tuple[Camera, ...]
    """What each photo was taken with."""
    ground: list[Ground]
    """What is up in each photo, and the floor."""
    targets: Targets
    """What everybody was fitted to, a row for each."""
    candidates: Candidates
    """Distinct bodies of everybody, by person, best first."""

    def of(self, person: int) -> tuple[Targets, Candidates]:
        """The row and the bodies of one of them."""
        bodies = self.candidates[self.candidates.of(person)]
        return self.targets[person : person + 1], bodies
