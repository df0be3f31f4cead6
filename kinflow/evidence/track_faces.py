"""How old the people of a clip look, by a few of their faces.

Frames go by and are not kept, so faces are looked at as they come: further and further apart, and
whenever one is seen clearly better than all before. What is wrong with somebody's face (its light,
a cap, its age being hard to tell) is wrong in all frames alike, so that many looks together know
hardly more than a good one and count as one. What is wrong with one frame (blur, a hand, somebody
else's face) is outvoted: whoever is to look young has to do so in more than half of the best looks.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import UInt8

from kinflow.checks import number, positive, whole
from kinflow.evidence.faces import FaceAges, size_of_face_px
from kinflow.evidence.types import FaceAge, PersonEvidence
from kinflow.files.snapshots import Resumable


@dataclass(frozen=True)
class TrackFacesConfig:
    """When to look at a face of somebody who is followed."""

    most: int = 7
    """So many looks count, those at the faces that are seen best."""
    gap_s: float = 0.1
    """The second look is so much later than the first; every further gap is twice as long."""
    longest_gap_s: float = 4.0
    """As long as gaps become."""
    clearly: float = 1.3
    """A face is looked at sooner, but not within `gap_s`, if it is so much larger than all that
    were looked at."""

    def __post_init__(self) -> None:
        whole(self, "most", at_least=1, at_most=1000)
        positive(self, "gap_s", "longest_gap_s")
        number(self, "clearly", at_least=1, at_most=1e6)


@dataclass(frozen=True)
class LookAtFace:
    """What one look told."""

    size_px: float
    age: FaceAge


@dataclass
class FacesOfTrack:
    """The looks at the faces of one person so far."""

    looks: int = 0
    """All of them, with those that told nothing."""
    looked_s: float = 0.0
    """When the last one was."""
    largest_px: float = 0.0
    """Size of the face that was seen best."""
    best: list[LookAtFace] = field(default_factory=list)
    """Those that count."""

    @property
    def age(self) -> FaceAge | None:
        """How old the person looks: the answer of the look in the middle, from old to young, and of
        an even number the older one of the two; None where no look told anything."""
        if not self.best:
            return None
        ages = sorted((look.age for look in self.best), key=lambda age: age.child)
        return ages[(len(ages) - 1) // 2]


class TrackFaces(Resumable):
    """Looks at faces of people who are followed.

    Args:
        ages: the network.
        config: when to look.
    """

    changing = ("_tracks",)

    def __init__(self, ages: FaceAges, config: TrackFacesConfig = TrackFacesConfig()) -> None:
        self._ages, self._config = ages, config
        self._tracks: dict[int, FacesOfTrack] = {}

    def look(
        self,
        image_rgb: UInt8[np.ndarray, "height width 3"],
        time_s: float,
        people: Sequence[PersonEvidence],
        numbers: Sequence[int],
    ) -> tuple[PersonEvidence, ...]:
        """The people of a frame with how old their faces look, by the frames so far.

        Args:
            image_rgb: the frame.
            time_s: its time, later than that of the one before.
            people: everybody who is seen.
            numbers: who they are.
        """
        return tuple(
            replace(one, face_age=self._of(image_rgb, time_s, one, number_))
            for one, number_ in zip(people, numbers, strict=True)
        )

    def forget(self, others_than: Collection[int]) -> None:
        """Forget everybody whose track has ended.

        Args:
            others_than: who is still followed.
        """
        self._tracks = {who: seen for who, seen in self._tracks.items() if who in others_than}

    def _of(
        self, image_rgb: np.ndarray, time_s: float, person: PersonEvidence, number_: int
    ) -> FaceAge | None:
        track = self._tracks.setdefault(number_, FacesOfTrack())
        keypoints_px = person.keypoints_px.numpy()
        size_px = size_of_face_px(keypoints_px)
        if size_px and self._is_due(track, time_s, size_px):
            age = self._ages.look(image_rgb, keypoints_px)
            track.looks, track.looked_s = track.looks + 1, time_s
            if age is not None:
                track.largest_px = max(track.largest_px, size_px)
                looks = [*track.best, LookAtFace(size_px, age)]
                looks.sort(key=lambda look: -look.size_px)
                track.best = looks[: self._config.most]
        return track.age

    def _is_due(self, track: FacesOfTrack, time_s: float, size_px: float) -> bool:
        config = self._config
        if not track.looks:
            return True
        since_s = time_s - track.looked_s + 1e-6
        doublings = min(track.looks - 1, 30)
        if since_s >= min(config.gap_s * 2**doublings, config.longest_gap_s):
            return True
        better = bool(track.best) and size_px >= config.clearly * track.largest_px
        return better and since_s >= config.gap_s
