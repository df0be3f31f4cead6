"""One clip into a reconstruction: frames are seen, followed and fitted window by window.

Memory holds the bodies of all frames, but pictures and evidence of one window only.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from kinflow.checks import flag, nested, whole
from kinflow.errors import InputError
from kinflow.evidence.clip_people import ClipPeople, ClipPeopleConfig, SeenFrame
from kinflow.evidence.video_files import Clip, ClipRange
from kinflow.files.names import printable
from kinflow.fitting.clip import fit_clip, one_gravity, with_one_focal, with_one_shape
from kinflow.pipeline.reconstructor import Reconstructor
from kinflow.results import Frame, Gravity, Person, Reconstruction
from kinflow.tensors import full_precision
from kinflow.threads import ahead


@dataclass(frozen=True)
class ClipConfig:
    """How clips are worked on."""

    range: ClipRange = field(default_factory=ClipRange)
    people: ClipPeopleConfig = field(default_factory=ClipPeopleConfig)
    window: int = 48
    """Frames that are fitted at a time."""
    parts: bool = False
    """Find body parts in the frames and align bodies with them; takes as long as all the rest."""

    def __post_init__(self) -> None:
        nested(self, range=ClipRange, people=ClipPeopleConfig)
        whole(self, "window", at_least=1, at_most=100_000)
        flag(self, "parts")


@dataclass(frozen=True)
class ClipStep:
    """How far the work on a clip is."""

    frames: int
    """Frames that are done."""
    of_frames: int | None
    """About how many there are; None where the clip does not say."""
    people: int
    """Different people so far."""
    seconds: float
    """What they took."""
    drawn: int = 0
    """Frames that are drawn, once all are done."""

    @property
    def frames_per_s(self) -> float:
        """How quickly frames are done."""
        return self.frames / max(self.seconds, 1e-9)

    @property
    def left_s(self) -> float | None:
        """How long the rest will take; None where that is not known."""
        if self.of_frames is None or self.frames == 0:
            return None
        return max(0, self.of_frames - self.frames) / self.frames_per_s


@dataclass(frozen=True)
class _FittedFrame:
    index: int
    time_s: float
    shot: int
    people: tuple[Person, ...]
    gravity: Gravity | None


class ClipRun:
    """The work on one clip, and what is done of it.

    Args:
        path: the clip.
        reconstructor: the models.
        config: how it is worked on.

    Raises:
        InputError: it is no clip that can be decoded.
    """

    def __init__(self, path: Path, reconstructor: Reconstructor, config: ClipConfig) -> None:
        self._path, self._reconstructor, self._config = path, reconstructor, config
        self.clip = Clip.open(path)
        self._camera = reconstructor.camera_of(self.clip.info.size)
        self._focal_is_open = reconstructor.config.fit.estimate_focal
        self._done: list[_FittedFrame] = []
        self._step = ClipStep(0, None, 0, 0.0)
        self.is_finished = False

    def steps(self) -> Generator[ClipStep, None, None]:
        """Work on the clip while the steps are consumed, one for each frame that is seen.

        Raises:
            InputError: no frame lies in the range.
        """
        begin = time.perf_counter()
        of_frames = self.clip.info.frames_in(self._config.range)
        config = self._reconstructor.config
        watcher = ClipPeople(
            self._reconstructor.detector,
            self._config.people,
            config.max_people,
            parts=self._config.parts and config.parts,
        )
        frames = watcher.watch(self.clip.frames(self._config.range))
        # pixels keep one core busy while the window before is fitted on another
        with closing(ahead(frames, self._config.window)) as frames:
            yield from self._in_windows(frames, of_frames, begin)
        self.is_finished = True

    def _in_windows(
        self, frames: Iterable[SeenFrame], of_frames: int | None, begin: float
    ) -> Generator[ClipStep, None, None]:
        window: list[SeenFrame] = []
        identities: set[int] = set()
        for seen, frame in enumerate(frames, 1):
            window.append(frame)
            identities.update(frame.identities)
            seconds = time.perf_counter() - begin
            self._step = ClipStep(seen, of_frames, len(identities), seconds)
            yield self._step
            if len(window) == self._config.window:
                self._fit(window)
                window = []
        if window:
            self._fit(window)

    def step(self) -> ClipStep:
        """How far the work is."""
        return self._step

    @property
    def frames_done(self) -> int:
        """Frames whose people are fitted."""
        return len(self._done)

    @property
    def has_people(self) -> bool:
        """Whether there is anybody in the frames that are done."""
        return any(frame.people for frame in self._done)

    @property
    def done_s(self) -> float:
        """Time in the clip of the last frame that is done."""
        return self._done[-1].time_s if self._done else 0.0

    @property
    def shots(self) -> int:
        """How many shots there are so far."""
        return len({frame.shot for frame in self._done})

    def result(self, source: str) -> Reconstruction:
        """The people of all frames that are done.

        Raises:
            InputError: there is nobody in them.
        """
        done = tuple(self._done)
        if not self.has_people:
            raise InputError(
                f"No person was found in the {len(done)} frames of {printable(self._path)} that "
                "were looked at; use a clip in which people are larger or clearer."
            )
        up = {
            shot: one_gravity([frame.gravity for frame in done if frame.shot == shot])
            for shot in {frame.shot for frame in done}
        }
        frames = [Frame(frame.index, frame.time_s, self._camera, up[frame.shot]) for frame in done]
        people = with_one_shape([frame.people for frame in done])
        return Reconstruction.of_frames(frames, people, source)

    def _fit(self, window: list[SeenFrame]) -> None:
        """Fit the people of some frames; what is done grows by all of them at once."""
        evidence = [frame.evidence for frame in window]
        fitter = self._reconstructor.fitter
        with full_precision(self._reconstructor.config.device):
            if self._focal_is_open and any(frame.people for frame in evidence):
                self._camera = with_one_focal(fitter, evidence, self._camera)
                self._focal_is_open = False
            found = fit_clip(fitter, evidence, [frame.identities for frame in window], self._camera)
        # at once: whoever interrupts finds all of a window or nothing of it
        self._done += [
            _FittedFrame(frame.index, frame.time_s, frame.shot, people, gravity)
            for frame, people, gravity in zip(window, found.people, found.gravity, strict=True)
        ]
