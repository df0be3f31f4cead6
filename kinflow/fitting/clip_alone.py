"""The people of a clip by a predictor alone, frame by frame: no motion, no fit.

It takes the place of `ClipFitter` and is used like it. Frames wait for each other only so that the
network sees many people at once. Frames that lack somebody are filled by `gaps.py`, and
`clip_tracks.py` gives a person one shape, as for fits.
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


class ClipAlone(Resumable):
    """People of one clip, whose frames come in one after the other.

    Args:
        alone: the network.
        camera: of all frames.
    """

    changing = ("camera", "_frames")

    bridge = None
    """Through frames that lack somebody people go evenly: no motion is known here."""

    def __init__(self, alone: NetworkAlone, camera: Camera) -> None:
        self.camera, self._alone = camera, alone
        self._frames: list[SeenPeople] = []

    def add(self, frame: SeenPeople) -> list[FittedFrame]:
        """One more frame; what is settled by it, in order, which mostly is nothing."""
        done: list[FittedFrame] = []
        if self._frames and frame.shot != self._frames[-1].shot:
            done = self.finish()
        self._frames.append(frame)
        return done if len(self._frames) < _AT_ONCE else done + self.finish()

    @property
    def open_s(self) -> list[float]:
        """Times of the frames that are still open."""
        return [frame.time_s for frame in self._frames]

    def finish(self) -> list[FittedFrame]:
        """All frames that are still open."""
        frames, self._frames = self._frames, []
        return list(self._settled(frames)) if frames else []

    def _settled(self, frames: Sequence[SeenPeople]) -> Iterator[FittedFrame]:
        seen, turns = [f.evidence for f in frames], [f.R_first_cam for f in frames]
        fits = self._alone.fit_frames(seen, self.camera, turns)
        for frame, fit in zip(frames, fits, strict=True):
            named = [
                stored(replace(person, person=identity, hypotheses=()))
                for person, identity in zip(fit.people, frame.identities, strict=True)
            ]
            people = tuple(sorted(named, key=lambda person: person.person))
            yield FittedFrame(people, fit.gravity)
