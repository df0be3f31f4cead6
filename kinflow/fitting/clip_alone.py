"""The people of a clip by networks alone, without a fit.

It takes the place of `ClipFitter` and is used like it. Frames wait for those after them, which tell
a temporal network what they show, and so that many people are seen at once; without one, for a
predictor that it does not know, bodies are of single frames and tremble. Frames that lack somebody
are filled by `gaps.py`, and `clip_tracks.py` gives a person one shape, as for fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kinflow.files.snapshots import Resumable
from kinflow.fitting.clip import FittedFrame, SeenPeople
from kinflow.fitting.network_alone import NetworkAlone
from kinflow.geometry.pinhole import Camera
from kinflow.results import stored

_AT_ONCE = 24
_AROUND = 12
"""Frames before and after those that are settled together, by which a temporal network knows them:
as many in all as it sees at once."""


class ClipAlone(Resumable):
    """People of one clip, whose frames come in one after the other.

    Args:
        alone: the network.
        camera: of all frames.
    """

    changing = ("camera", "_frames", "_before")

    bridge = None
    """Through frames that lack somebody people go evenly: no motion is known here."""

    late_children: frozenset[int] = frozenset()
    """Faces are not looked at here."""

    def __init__(self, alone: NetworkAlone, camera: Camera) -> None:
        self.camera, self._alone = camera, alone
        self._frames: list[SeenPeople] = []
        self._before: list[SeenPeople] = []
        self._after = 0 if alone.sequence is None else _AROUND

    def add(self, frame: SeenPeople) -> list[FittedFrame]:
        """One more frame; what is settled by it, in order, which mostly is nothing."""
        done: list[FittedFrame] = []
        if self._frames and frame.shot != self._frames[-1].shot:
            done = self.finish()
        self._frames.append(frame)
        if len(self._frames) < _AT_ONCE + self._after:
            return done
        return done + self._settled(_AT_ONCE)

    @property
    def open_s(self) -> list[float]:
        """Times of the frames that are still open."""
        return [frame.time_s for frame in self._frames]

    def finish(self) -> list[FittedFrame]:
        """All frames that are still open; what comes after them has no part of them."""
        done = self._settled(len(self._frames)) if self._frames else []
        self._before = []
        return done

    def _settled(self, count: int) -> list[FittedFrame]:
        """The first of the open frames."""
        first = len(self._before)
        frames = [*self._before, *self._frames]
        wanted = range(first, first + count)
        self._frames = self._frames[count:]
        self._before = frames[: wanted.stop][-self._after :] if self._after else []
        return list(self._fitted(frames, wanted))

    def _fitted(self, frames: Sequence[SeenPeople], wanted: range) -> Iterator[FittedFrame]:
        seen, turns = [f.evidence for f in frames], [f.R_first_cam for f in frames]
        when = [(frame.time_s, frame.identities) for frame in frames]
        fits = self._alone.fit_frames(seen, self.camera, turns, when, wanted)
        for row, fit in zip(wanted, fits, strict=True):
            frame = frames[row]
            named = [
                stored(replace(person, person=identity, hypotheses=()))
                for person, identity in zip(fit.people, frame.identities, strict=True)
            ]
            people = tuple(sorted(named, key=lambda person: person.person))
            yield FittedFrame(people, fit.gravity)
