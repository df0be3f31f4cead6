"""Who is who from frame to frame.

Each track predicts where its person is now, by constant velocity that fades out; what is seen is
matched with the predictions all at once, by the least total of differences in pose and place
(`assignment.py`). Who is not seen stays on for up to two seconds, for which more and more is taken
for the same person; who was seen only once or twice is nobody.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.sides import SIDES
from kinflow.checks import not_negative, number, positive, share, whole
from kinflow.evidence.assignment import assign
from kinflow.evidence.clothes import Clothes, unlikeness
from kinflow.evidence.people import person_size
from kinflow.files.snapshots import Resumable

_TORSO = [KEYPOINT_INDEX[f"{side}_{joint}"] for joint in ("shoulder", "hip") for side in SIDES]
_SEEN = 0.3
_WORN_S = 0.63
"""Clothes are averaged over this time: light changes, and keypoints err."""
_STEADY_S = 0.2
"""Velocities are averaged over this time: a track that takes somebody else for its person for a
moment goes on in its own direction."""


@dataclass(frozen=True)
class TrackingConfig:
    """When two sightings are of the same person."""

    births: int = 3
    """Whoever is seen in fewer frames than this is nobody."""
    gap_s: float = 2.0
    """A track ends when its person was not seen for longer than this."""
    doubtful_gap_s: float = 0.4
    """The same for tracks with fewer frames than `births`."""
    dearest: float = 0.7
    """Most that a match may cost, of 1 for people who have nothing in common."""
    stale: float = 0.3
    """What a match with somebody costs more who was not seen in the frame before: whoever is in
    sight is rather the one who was in sight."""
    coasting_s: float = 0.5
    """A velocity loses all but a third of itself in this time."""
    blur: float = 0.15
    """How far off, in sizes of the person, a keypoint or a place costs 0.4 of its share."""
    blur_per_s: float = 0.7
    """By how much that grows with every second since the person was seen."""
    sizes: float = 1.8
    """People whose sizes have a greater ratio than this are different ones."""
    clothes: float = 2.0
    """What a match costs more between people who wear nothing alike. Clothes choose between
    people who come into question by pose and place; they rule nobody out."""

    def __post_init__(self) -> None:
        whole(self, "births", at_least=1, at_most=1000)
        positive(self, "gap_s", "doubtful_gap_s", "coasting_s", "blur", "blur_per_s")
        share(self, "dearest", "stale")
        not_negative(self, "clothes")
        number(self, "sizes", above=1)


@dataclass(frozen=True)
class Sighting:
    """A person in a frame, or where one is expected, in pixels of the image."""

    keypoints_px: Float[np.ndarray, "33 3"]
    """(x, y, confidence) in BlazePose's order."""
    box_px: Float[np.ndarray, " 4"]
    """(x0, y0, x1, y1)."""
    clothes: Clothes | None = None
    """What the person wears; None where that was not looked at."""

    @property
    def size_px(self) -> float:
        """Side of the square with the area of the box."""
        return person_size(self.box_px)

    @property
    def center_px(self) -> Float[np.ndarray, "2"]:
        """The middle of the torso, or of the box where too little of that was seen."""
        torso = self.keypoints_px[_TORSO]
        if (torso[:, 2] > _SEEN).all():
            return torso[:, :2].mean(axis=0)
        return (self.box_px[:2] + self.box_px[2:]) / 2

    def moved(self, shift_px: Float[np.ndarray, "2"]) -> Sighting:
        """The same person elsewhere."""
        keypoints = self.keypoints_px.copy()
        keypoints[:, :2] += shift_px
        return replace(self, keypoints_px=keypoints, box_px=self.box_px + np.tile(shift_px, 2))

    def touches(self, other: Sighting) -> bool:
        """Whether the boxes of two people overlap."""
        (x0, y0, x1, y1), (u0, v0, u1, v1) = self.box_px, other.box_px
        return bool(x0 < u1 and u0 < x1 and y0 < v1 and v0 < y1)


@dataclass
class FollowedTrack:
    """What is known of one person so far."""

    identity: int
    last: Sighting
    seen_s: float
    hits: int = 1
    velocity_px_s: np.ndarray = field(default_factory=lambda: np.zeros(2))
    clothes: Clothes | None = None
    """Seen while nobody else was near; None as long as that never was."""

    def expected(self, time_s: float, coasting_s: float) -> Sighting:
        gap_s = time_s - self.seen_s
        return self.last.moved(
            self.velocity_px_s * coasting_s * (1 - math.exp(-gap_s / coasting_s))
        )

    def see(self, sighting: Sighting, time_s: float, alone: bool) -> None:
        """Go on with a sighting.

        Args:
            sighting: of the person.
            time_s: its time.
            alone: whether nobody else is near, so that what is seen of clothes is the person's.
        """
        step_s = time_s - self.seen_s
        if alone and sighting.clothes is not None:
            now, fresh = sighting.clothes, 1 - math.exp(-step_s / _WORN_S)
            self.clothes = now if self.clothes is None else self.clothes.blended(now, fresh)
        moved_px = sighting.center_px - self.last.center_px
        # over a long gap the average is all there is; from frame to frame it is noisy
        weight = 1.0 if self.hits == 1 else 1 - math.exp(-step_s / _STEADY_S)
        self.velocity_px_s = self.velocity_px_s + weight * (moved_px / step_s - self.velocity_px_s)
        self.last, self.seen_s, self.hits = sighting, time_s, self.hits + 1


class Tracker(Resumable):
    """Gives each person of each frame a number.

    Args:
        config: when two sightings are of the same person.
    """

    changing = ("_tracks", "_known", "_given", "_now_s", "_step_s", "_frames")

    def __init__(self, config: TrackingConfig = TrackingConfig()) -> None:
        self.config = config
        self._tracks: list[FollowedTrack] = []
        self._known: set[int] = set()
        self._given = 0
        self._now_s: float | None = None
        self._step_s = 0.0
        self._frames = 0

    def expected(self, time_s: float) -> dict[int, Sighting]:
        """Where everybody should be at a time, also those who are out of sight now."""
        self._begin(time_s)
        return {
            track.identity: track.expected(time_s, self.config.coasting_s) for track in self._tracks
        }

    def update(self, time_s: float, sightings: Sequence[Sighting]) -> list[int]:
        """The numbers of the people of a frame, in their order.

        Args:
            time_s: time of the frame, later than that of the one before.
            sightings: everybody who is seen.
        """
        self._begin(time_s)
        self._frames += 1
        cost = np.array([self._costs(track, sightings, time_s) for track in self._tracks]).reshape(
            len(self._tracks), len(sightings)
        )
        numbers = [-1] * len(sightings)
        cost[cost > self.config.dearest] = math.inf
        alone = [self._is_alone(seen, sightings, time_s) for seen in sightings]
        most = self.config.dearest + self.config.stale + self.config.clothes
        for row, column in assign(cost + self._stale() + self._unlike(sightings), most):
            track = self._tracks[row]
            track.see(sightings[column], time_s, alone[column])
            numbers[column] = track.identity
        for column, number_ in enumerate(numbers):
            if number_ < 0:
                new = FollowedTrack(self._given, sightings[column], time_s)
                new.clothes = new.last.clothes if alone[column] else None
                self._tracks.append(new)
                numbers[column] = self._given
                self._given += 1
        self._known |= {t.identity for t in self._tracks if t.hits >= self.config.births}
        return numbers

    def cut(self) -> None:
        """Another shot begins: everybody in it is new."""
        self._tracks = []

    def end(self) -> None:
        """No frame follows: who was seen too rarely is nobody, unless there are too few frames."""
        enough = min(self.config.births, self._frames)
        self._known |= {track.identity for track in self._tracks if track.hits >= enough}
        self._tracks = []

    def is_somebody(self, identity: int) -> bool | None:
        """Whether a number is of a person; None as long as that is open."""
        if identity in self._known:
            return True
        return None if any(track.identity == identity for track in self._tracks) else False

    def _begin(self, time_s: float) -> None:
        """Turn to a frame: tracks that nobody was seen of for too long end."""
        if self._now_s is not None and time_s > self._now_s:
            self._step_s = time_s - self._now_s
        self._now_s = time_s
        self._tracks = [
            track for track in self._tracks if time_s - track.seen_s <= self._longest_gap_s(track)
        ]

    def _stale(self) -> Float[np.ndarray, "tracks 1"]:
        """What a match with each track costs more."""
        latest_s = max((track.seen_s for track in self._tracks), default=0.0)
        missed = [track.seen_s < latest_s for track in self._tracks]
        return self.config.stale * np.array(missed, np.float64).reshape(-1, 1)

    def _unlike(self, sightings: Sequence[Sighting]) -> Float[np.ndarray, "tracks seen"]:
        """What matches cost more by what people wear."""
        unlike = [[unlikeness(t.clothes, seen.clothes) for seen in sightings] for t in self._tracks]
        return self.config.clothes * np.array(unlike).reshape(len(self._tracks), len(sightings))

    def _is_alone(self, seen: Sighting, sightings: Sequence[Sighting], time_s: float) -> bool:
        """Whether nobody else is near, hidden ones included."""
        others = [other for other in sightings if other is not seen]
        hidden = [
            track.expected(time_s, self.config.coasting_s)
            for track in self._tracks
            if track.identity in self._known and time_s - track.seen_s > 1.5 * self._step_s
        ]
        return not any(seen.touches(other) for other in (*others, *hidden))

    def _longest_gap_s(self, track: FollowedTrack) -> float:
        known = track.identity in self._known
        longest_s = self.config.gap_s if known else self.config.doubtful_gap_s
        # of slow clips, the next frame counts whenever it comes
        return max(longest_s, 1.5 * self._step_s)

    def _costs(
        self, track: FollowedTrack, sightings: Sequence[Sighting], time_s: float
    ) -> list[float]:
        """How unlike each person is to what a track expects."""
        expected = track.expected(time_s, self.config.coasting_s)
        return [self._cost(expected, time_s - track.seen_s, seen) for seen in sightings]

    def _cost(self, expected: Sighting, gap_s: float, seen: Sighting) -> float:
        """How unlike a person is to one who is expected, in [0, 1]; infinite for no match."""
        if not 1 / self.config.sizes < seen.size_px / expected.size_px < self.config.sizes:
            return math.inf
        blur_px = (self.config.blur + self.config.blur_per_s * gap_s) * expected.size_px
        place = float(np.linalg.norm(seen.center_px - expected.center_px)) / (2 * blur_px)
        weight = np.minimum(seen.keypoints_px[:, 2], expected.keypoints_px[:, 2])
        weight = np.where(weight > _SEEN, weight, 0.0)
        near = math.exp(-0.5 * place**2)
        if not weight.any():
            return 1 - near
        apart = np.linalg.norm(seen.keypoints_px[:, :2] - expected.keypoints_px[:, :2], axis=1)
        alike = float((weight * np.exp(-0.5 * (apart / blur_px) ** 2)).sum() / weight.sum())
        return 1 - 0.5 * (near + alike)
