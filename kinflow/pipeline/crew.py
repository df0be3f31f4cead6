"""Workers that share the work of one run, as whoever hands it out sees them.

`kinflow.pipeline.ray_crew` has real ones, on the machines of a cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from kinflow.pipeline.events import Event


@dataclass(frozen=True)
class Assignment:
    """One photo or clip for a worker."""

    photo: Path
    folder: Path
    patience_s: float | None = None
    """How long to wait for somebody else who works on it; None to put it off."""


@dataclass(frozen=True)
class Told:
    """What a worker says of a photo."""

    worker: int
    event: Event


@dataclass(frozen=True)
class Free:
    """A worker has done what it was given, or as much of it as it was allowed to."""

    worker: int


@dataclass(frozen=True)
class Died:
    """A worker is no more: killed, crashed or lost with its machine."""

    worker: int
    reason: str


News: TypeAlias = Told | Free | Died


@runtime_checkable
class Crew(Protocol):
    """Workers by number, who never get a number twice."""

    def hire(self) -> int:
        """A new worker, which may still be on its way."""
        ...

    def give(self, worker: int, assignments: Sequence[Assignment]) -> None:
        """Let a worker that is free work on these, one after another."""
        ...

    def news(self, patience_s: float) -> list[News]:
        """What has happened, in order for each worker; empty where nothing did for so long.

        Raises:
            KinflowError: a worker says that nothing can be worked on.
        """
        ...

    def halt(self, worker: int) -> None:
        """Let a worker write what is done of its clip, or finish its photo, and begin no more."""
        ...

    def dismiss(self, worker: int) -> None:
        """End a worker at once; there is no news of it afterwards."""
        ...
