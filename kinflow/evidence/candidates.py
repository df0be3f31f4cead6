"""Whom to look at: those MoveNet is sure of, and those it is not."""

from __future__ import annotations

from dataclasses import dataclass

from kinflow.checks import not_negative, share, whole
from kinflow.evidence.movenet import Detection
from kinflow.evidence.people import person_size, same_person, without_duplicates

# Two who embrace or stand behind one another look like one person found twice; only what is more
# alike than this is not looked at again.
CERTAINLY_SAME = 0.72


@dataclass(frozen=True)
class WeakConfig:
    """Candidates below `DetectorConfig.min_score`, of which BlazePose has to be more certain.

    In groups, from behind and in dim light most people score that little, but so do motorcycles
    and birds.
    """

    min_score: float = 0.1
    """Least MoveNet score at all."""
    min_presence: float = 0.9
    """Least BlazePose score."""
    min_agreement: float = 0.5
    """Least similarity of BlazePose's and MoveNet's keypoints."""
    min_px: float = 40.0
    """Least size, the square root of the area of the box: smaller ones are far in the background,
    and there is somebody in any texture of that size."""
    at_most: int = 16
    """Most of them that are looked at in a photo; the surest come first."""

    def __post_init__(self) -> None:
        share(self, "min_score", "min_presence", "min_agreement")
        not_negative(self, "min_px")
        whole(self, "at_most", at_most=10_000)


def sure_candidates(found: list[Detection], min_score: float) -> list[Detection]:
    """Each person once, largest first."""
    sure = without_duplicates([person for person in found if person.score >= min_score])
    return sorted(sure, key=lambda person: person_size(person.box_px), reverse=True)


def weak_candidates(
    found: list[Detection], sure: list[Detection], config: WeakConfig
) -> list[Detection]:
    """Whoever else may be there, surest first."""
    others = [
        person
        for person in found
        if person.score >= config.min_score
        and person_size(person.box_px) >= config.min_px
        and not any(same_person(person, other, CERTAINLY_SAME, CERTAINLY_SAME) for other in sure)
    ]
    weak = without_duplicates(others)
    return sorted(weak, key=lambda person: person.score, reverse=True)[: config.at_most]
