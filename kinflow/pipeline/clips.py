"""One clip into a reconstruction: frames are seen, followed and fitted window by window.

Memory holds the bodies of all frames, but pictures and evidence of one window only. Now and then
all of it is kept on disk (`clip_memory.py`), so that another run goes on from there.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import dropwhile, groupby, islice
from pathlib import Path
from typing import Any

from kinflow.checks import flag, nested, number, whole
from kinflow.errors import InputError
from kinflow.evidence.camera_turns import ShotTurns
from kinflow.evidence.clip_people import ClipPeople, ClipPeopleConfig, SeenFrame
from kinflow.evidence.clip_range import MAX_FPS, ClipRange
from kinflow.evidence.image_sequences import DEFAULT_FPS, open_frames
from kinflow.evidence.turning_focal import turning_focal_px
from kinflow.files.names import printable
from kinflow.fitting.clip import ClipFitConfig, ClipFitter, FittedFrame, SeenPeople
from kinflow.fitting.clip_alone import ClipAlone
from kinflow.fitting.clip_tracks import gravity_of_shot, with_one_shape
from kinflow.fitting.gaps import with_gaps_filled
from kinflow.pipeline.clip_memory import ClipMemory, DoneFrame, OpenFrame
from kinflow.pipeline.reconstructor import Reconstructor
from kinflow.results import CameraTurn, Frame, Gravity, Reconstruction
from kinflow.tensors import full_precision
from kinflow.threads import ahead


@dataclass(frozen=True)
class ClipConfig:
    """How clips are worked on."""

    range: ClipRange = field(default_factory=ClipRange)
    sequence_fps: float = DEFAULT_FPS
    """Images a second, of sequences of images."""
    people: ClipPeopleConfig = field(default_factory=ClipPeopleConfig)
    fit: ClipFitConfig = field(default_factory=ClipFitConfig)
    moving_camera: bool = False
    """Whether to estimate how cameras turn; otherwise they are taken to stand still."""
    keep_every: int = 24
    """After so many frames the work is kept on disk."""

    def __post_init__(self) -> None:
        number(self, "sequence_fps", above=0, at_most=MAX_FPS)
        nested(self, range=ClipRange, people=ClipPeopleConfig, fit=ClipFitConfig)
        flag(self, "moving_camera")
        whole(self, "keep_every", at_least=1)


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
    before: int = 0
    """Frames of these that an earlier run has done."""

    @property
    def frames_per_s(self) -> float:
        """How quickly frames are done."""
        return (self.frames - self.before) / max(self.seconds, 1e-9)

    @property
    def left_s(self) -> float | None:
        """How long the rest will take; None where that is not known."""
        if self.of_frames is None or self.frames == self.before:
            return None
        return max(0, self.of_frames - self.frames) / self.frames_per_s


class ClipRun:
    """The work on one clip, and what is done of it.

    Args:
        path: the clip, or the folder or pattern of a sequence of images.
        reconstructor: the models.
        config: how it is worked on.
        memory: where the work is kept, and what an earlier run kept of it.

    Raises:
        InputError: it is no clip that can be decoded.
    """

    def __init__(
        self,
        path: Path,
        reconstructor: Reconstructor,
        config: ClipConfig,
        memory: ClipMemory | None = None,
    ) -> None:
        if reconstructor.crop_px is not None:
            raise InputError(
                "A predictor that looks at pictures is for photos; take another predictor here.",
                {"another predictor": "predictor"},
            )
        self._path, self._reconstructor, self._config = path, reconstructor, config
        self._memory = memory
        self.clip = open_frames(path, config.sequence_fps)
        camera = reconstructor.camera_of(self.clip.info.size)
        alone = reconstructor.alone_in_clips
        self._fitter: ClipFitter | ClipAlone = (
            ClipFitter(reconstructor.fitter, camera, config.fit)
            if alone is None
            else ClipAlone(alone, camera)
        )
        wanted = reconstructor.config.sequence_predictor is not None
        self.lacks_motion = alone is not None and wanted and alone.sequence is None
        """Whether networks alone see frame by frame, because no temporal network knows this
        predictor."""
        self._open: deque[OpenFrame] = deque()
        self._done: list[DoneFrame] = []
        self._known: set[int] = set()
        self._result: Reconstruction | None = None
        self._step = ClipStep(0, None, 0, 0.0)
        self._watcher: ClipPeople | None = None
        self.found_focal = False
        """Whether the focal length was found by how the camera turns."""
        self.is_finished = False
        self.kept_frames = 0
        """So many of the first frames need not be worked on again by a run that goes on."""
        self.went_on_from_s: float | None = None
        """How far an earlier run came that this one went on from."""

    def steps(self) -> Generator[ClipStep, None, None]:
        """Work on the clip while the steps are consumed, one for each frame that is seen.

        Raises:
            InputError: no frame lies in the range, or the work cannot be kept.
        """
        begin = time.perf_counter()
        self._step = ClipStep(0, self.clip.info.frames_in(self._config.range), 0, 0.0)
        config = self._reconstructor.config
        watched = self._recalled()
        if watched is None and self._config.moving_camera:
            self._find_focal()
        self._watcher = watcher = ClipPeople(
            self._reconstructor.detector,
            self._config.people,
            config.max_people,
            parts=config.follows_parts,
            camera=self._fitter.camera if self._config.moving_camera else None,
        )
        frames = self.clip.frames(self._config.range)
        if watched is not None:
            watcher.resume(watched)
            frames = dropwhile(lambda frame: frame.index <= watcher.last_seen, frames)
        if self.is_finished:
            return
        seen = watcher.watch_with_states(frames, self._config.keep_every)
        # pixels keep one core busy while the window before is fitted on another
        with closing(ahead(seen, self._config.fit.window)) as seen:
            yield from self._settled(seen, begin)
        self.is_finished = True
        self._keep(watcher.state())

    def _recalled(self) -> dict[str, Any] | None:
        """Go on from what an earlier run kept; the state of its watcher, None without any."""
        if self._memory is None:
            return None
        done, state = self._memory.recalled()
        if state is None:
            return None
        self._done, self._open, self._known = done, state["open"], state["known"]
        self._fitter.resume(state["fitter"])
        self.found_focal, self.is_finished = state["found_focal"], state["is_finished"]
        self.went_on_from_s = self.done_s
        count, people = len(done) + len(self._open), len(self._known)
        self._step = replace(self._step, frames=count, people=people, before=count)
        self.kept_frames = count
        return state["watcher"]

    def _keep(self, watched: dict[str, Any]) -> None:
        """Keep the work as it is, with the state of the watcher after the same frames."""
        if self._memory is None:
            return
        state = {
            "watcher": watched,
            "fitter": self._fitter.state(),
            "open": self._open,
            "known": self._known,
            "found_focal": self.found_focal,
            "is_finished": self.is_finished,
        }
        self._memory.keep(self._done, state)
        self.kept_frames = len(self._done) + len(self._open)

    def _find_focal(self) -> None:
        """Take the focal length by which the camera turns, where none was given."""
        config, size = self._reconstructor.config, self.clip.info.size
        if config.focal_px is not None or config.fov_deg is not None:
            return
        pictures = (frame.rgb for frame in self.clip.frames(self._config.range))
        focal_px = turning_focal_px(pictures, size, self._config.people.focal)
        if focal_px is not None:
            self._fitter.camera = self._reconstructor.camera_of(size, focal_px)
            self.found_focal = True

    @property
    def fov_deg(self) -> float:
        """The field of view that is used."""
        return self._fitter.camera.fov_deg

    def _settled(
        self, frames: Iterable[tuple[SeenFrame, dict[str, Any] | None]], begin: float
    ) -> Generator[ClipStep, None, None]:
        """Fit frames as they come, a step for each."""
        device = self._reconstructor.config.device
        for frame, watched in frames:
            self._known.update(frame.identities)
            self._open.append(OpenFrame(frame.index, frame.time_s, frame.shot, frame.R_first_cam))
            with full_precision(device):
                self._settle(self._fitter.add(_people_of(frame)))
            if watched is not None:
                self._keep(watched)
            self._step = replace(
                self._step,
                frames=self._step.frames + 1,
                people=len(self._known),
                seconds=time.perf_counter() - begin,
            )
            yield self._step
        with full_precision(device):
            self._settle(self._fitter.finish())

    def end_early(self) -> None:
        """Settle the frames that were seen so far, for whoever stops here and goes on in another
        run: what is kept for that stays as it is.

        Where the work was interrupted between two lines that belong together, the last frames are
        left out.
        """
        if self.is_finished:
            return
        open_s = self._fitter.open_s
        if open_s != [frame.time_s for frame in islice(self._open, len(open_s))]:
            return
        with full_precision(self._reconstructor.config.device):
            self._settle(self._fitter.finish())

    def step(self) -> ClipStep:
        """How far the work is."""
        return self._step

    @property
    def has_people(self) -> bool:
        """Whether there is anybody in the frames that are done."""
        return self._result is not None or any(frame.fitted.people for frame in self._done)

    @property
    def done_s(self) -> float:
        """Time in the clip of the last frame that is done."""
        return self._done[-1].seen.time_s if self._done else 0.0

    @property
    def camera_moves(self) -> bool:
        """Whether the camera moved in the frames that were seen."""
        return self._watcher is not None and self._watcher.camera_moves

    @property
    def turns(self) -> tuple[ShotTurns, ...]:
        """How the camera turned, shot by shot; empty where it is taken to stand still."""
        return () if self._watcher is None else self._watcher.turns

    @property
    def shots(self) -> int:
        """How many shots there are so far."""
        return len({frame.seen.shot for frame in self._done})

    def result(self, source: str) -> Reconstruction:
        """The people of all frames that are done.

        Raises:
            InputError: there is nobody in them.
        """
        if self._result is not None:
            return replace(self._result, source=source)
        done = tuple(self._done)
        if not self.has_people:
            raise InputError(
                f"No person was found in the {len(done)} frames of {printable(self._path)} that "
                "were looked at; use a clip in which people are larger or clearer."
            )
        shots = [frame.seen.shot for frame in done]
        times_s = [frame.seen.time_s for frame in done]
        turns = [frame.seen.R_first_cam for frame in done]
        up: list[Gravity | None] = []
        for _, shot in groupby(done, key=lambda frame: frame.seen.shot):
            mine = list(shot)
            turned = [frame.seen.R_first_cam for frame in mine]
            up += gravity_of_shot([frame.fitted.gravity for frame in mine], turned)
        camera = self._fitter.camera
        frames = [
            Frame(
                f.seen.index,
                f.seen.time_s,
                camera,
                gravity,
                turn=turn if turn is None else CameraTurn.of(turn),
            )
            for f, gravity, turn in zip(done, up, turns, strict=True)
        ]
        people = with_one_shape([f.fitted.people for f in done], self._fitter.late_children)
        people = with_gaps_filled(people, times_s, shots, turns, up, self._fitter.bridge)
        result = Reconstruction.of_frames(frames, people, source)
        turned = any(turn is not None for turn in turns)
        motion = "turns" if turned else "moves" if self.camera_moves else "still"
        result = replace(result, camera_motion=motion)
        if self.is_finished:
            # the bodies are kept on disk; here the result has taken their place
            self._result = result
            self._done = [replace(f, fitted=replace(f.fitted, people=())) for f in done]
        return result

    def _settle(self, fitted: Sequence[FittedFrame]) -> None:
        """Frames are done in the order in which they were seen."""
        seen = [self._open.popleft() for _ in fitted]
        # at once: whoever interrupts finds all of a window or nothing of it
        self._done += [DoneFrame(frame, found) for frame, found in zip(seen, fitted, strict=True)]


def _people_of(frame: SeenFrame) -> SeenPeople:
    turn = frame.R_first_cam
    return SeenPeople(frame.time_s, frame.shot, frame.evidence, frame.identities, turn)
