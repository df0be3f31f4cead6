"""What a pipeline tells whoever drives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from kinflow.pipeline.clips import ClipStep
from kinflow.results import Reconstruction


@dataclass(frozen=True)
class Begun:
    """The pipeline turns to a photo; a later event of the same photo ends that."""

    photo: Path
    folder: Path
    """Where its results go."""


@dataclass(frozen=True)
class PutOff:
    """Somebody else works on a photo, or the worker that did has died; it is begun again when all
    others are done."""

    photo: Path
    folder: Path


@dataclass(frozen=True)
class Progress:
    """How far the work on a clip is."""

    photo: Path
    """The clip."""
    folder: Path
    step: ClipStep


@dataclass(frozen=True)
class Outcome:
    """What became of one photo or clip: a reconstruction and its folder, or a sentence why not."""

    photo: Path
    folder: Path
    seconds: float
    """What the photo took, waiting for others included."""
    result: Reconstruction | None = None
    """Its people; None where there is a problem, and where the results were there already."""
    problem: str = ""
    """Why there are no results; empty where there are."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Words of `problem` that speak of an option, and its name (`KinflowError.options`)."""
    unexpected: bool = False
    """Whether the problem lies in kinflow rather than in the photo."""
    notes: tuple[str, ...] = ()
    """What the user should know about how their input was read, and about results that cannot be
    right: sentences that begin with the name of a file."""
    already: bool = False
    """Whether the results were there already."""


Event: TypeAlias = Begun | Progress | PutOff | Outcome
"""All there are. Every `Begun` is followed, for clips after `Progress`, by a `PutOff` or an
`Outcome` of the same photo, and every photo has one `Outcome`, unless the pipeline is stopped
before its turn. What several workers of a cluster do comes mixed."""
