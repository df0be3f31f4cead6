"""The same person through frames: one identity, one shape, a body wherever the person is seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.errors import InputError
from kinflow.results.person import Person


@dataclass(frozen=True)
class Track:
    """The bodies of one person, at most one a frame; frames that lack the person have none.

    Raises:
        InputError: there is no body, they are not of one person or differ in shape, or their frames
            do not increase.
    """

    bodies: tuple[Person, ...]
    """In the order of their frames."""

    def __post_init__(self) -> None:
        if not self.bodies:
            raise InputError("A track has to have at least one body.")
        if any(body.person != self.identity for body in self.bodies):
            raise InputError(f"The track of person {self.identity} holds bodies of others.")
        for before, after in pairwise(self.bodies):
            if before.frame == after.frame:
                raise InputError(
                    f"Person {self.identity} has two bodies in frame {after.frame}; a frame holds "
                    "each person once."
                )
            if before.frame > after.frame:
                raise InputError(
                    f"The bodies of person {self.identity} are not in the order of their frames."
                )
        if not all(torch.equal(body.shape, self.shape) for body in self.bodies[1:]):
            raise InputError(
                f"The bodies of person {self.identity} differ in shape; a track has one."
            )

    @property
    def identity(self) -> int:
        """The number of the person, the `person` of all bodies."""
        return self.bodies[0].person

    @property
    def shape(self) -> Float[Tensor, " shape"]:
        """The shape of the person in all frames."""
        return self.bodies[0].shape


def tracks_of(people: Iterable[Person]) -> tuple[Track, ...]:
    """Bodies of several frames, in any order, as one track for each identity, the lowest first.

    Raises:
        InputError: a person has two bodies in one frame, or bodies of different shape.
    """
    bodies: dict[int, list[Person]] = {}
    for person in people:
        bodies.setdefault(person.person, []).append(person)
    return tuple(
        Track(tuple(sorted(bodies[identity], key=lambda body: body.frame)))
        for identity in sorted(bodies)
    )
