"""What a studio shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from kinflow.checks import not_negative, numbers_of, one_of, path, share, whole
from kinflow.datasets.poses import Split


@dataclass(frozen=True)
class StudioConfig:
    """People before a camera, as crops that a detector looks at. Shares are probabilities.

    Attributes:
        poses: pose set of `kinflow data poses`.
        split: whose poses.
        backgrounds: file of `kinflow data backgrounds`; without one all backgrounds are made up.
        photo_share: how often the background is a photograph, where there are any.
        prior_share: of poses that are samples of the shipped prior.
        exchange_share: of poses with the arms, and of those with the legs, of another one.
        bent_share: of poses whose joints are bent a little further.
        bent_std_rad: by how much.
        straight_share: of people who hold knees and elbows as straight as people in photographs
            do, in place of as in motion capture.
        facing_share: of people who turn to the camera, as those who are photographed do.
        sitting_share: of people who sit, ride or squat.
        lying_share: of people who lie.
        table_share: of people on chairs who sit at a table, which hides what is below its edge.
        shape_spread: multiple of the spread of adults.
        wide_share: of bodies from all over the shape space.
        child_share: of children.
        child_ages: range of their phenotype `age`; 0.11 is two years, 0.54 fourteen.
        fov_deg: range of the field of view over the longer side.
        pitch_deg: range of the camera's pitch, positive where it looks down.
        roll_std_deg: spread of its roll.
        cut_share: of people whom the image's edge cuts.
        occluder_share: of people whom something hides partly.
        other_shares: of pictures with nobody else, one and two others.
        seed: another seed has other prior samples.
    """

    poses: Path
    split: Split = "train"
    backgrounds: Path | None = None
    photo_share: float = 0.6
    prior_share: float = 0.1
    exchange_share: float = 0.2
    bent_share: float = 0.3
    bent_std_rad: float = 0.12
    straight_share: float = 0.85
    facing_share: float = 0.4
    sitting_share: float = 0.34
    lying_share: float = 0.12
    table_share: float = 0.45
    shape_spread: float = 1.25
    wide_share: float = 0.12
    child_share: float = 0.22
    child_ages: tuple[float, float] = (0.11, 0.6)
    fov_deg: tuple[float, float] = (25.0, 85.0)
    pitch_deg: tuple[float, float] = (-25.0, 45.0)
    roll_std_deg: float = 6.0
    cut_share: float = 0.35
    occluder_share: float = 0.3
    other_shares: tuple[float, float, float] = (0.5, 0.35, 0.15)
    seed: int = 0

    def __post_init__(self) -> None:
        path(self, "poses")
        path(self, "backgrounds", or_none=True)
        one_of(self, "split", get_args(Split))
        share(self, *(name for name in vars(self) if name.endswith("_share")))
        not_negative(self, "bent_std_rad", "shape_spread", "roll_std_deg")
        numbers_of(self, "child_ages", count=2, at_least=0, at_most=1, ascending=True)
        numbers_of(self, "fov_deg", count=2, at_least=1, at_most=170, ascending=True)
        numbers_of(self, "pitch_deg", count=2, at_least=-80, at_most=80, ascending=True)
        numbers_of(self, "other_shares", count=3, at_least=0, at_most=1)
        whole(self, "seed")
