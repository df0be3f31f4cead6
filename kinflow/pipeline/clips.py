"""One clip into a reconstruction: frames are seen, followed and fitted window by window.

Memory holds the bodies of all frames, but pictures and evidence of one window only.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from kinflow.checks import flag, nested, number
from kinflow.errors import InputError
from kinflow.evidence.camera_turns import CameraTurns
from kinflow.evidence.clip_people import ClipPeople, ClipPeopleConfig, SeenFrame
from kinflow.evidence.clip_range import MAX_FPS, ClipRange
from kinflow.evidence.image_sequences import DEFAULT_FPS, open_frames
from kinflow.evidence.turning_focal import turning_focal_px
from kinflow.files.names import printable
from kinflow.fitting.clip import ClipFitConfig, ClipFitter, FittedFrame, SeenPeople
from kinflow.fitting.clip_tracks import gravity_of_shot, with_gaps_filled, with_one_shape
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

    def __post_init__(self) -> None:
        number(self, "sequence_fps", above=0, at_most=MAX_FPS)
        nested(self, range=ClipRange, people=ClipPeopleConfig, fit=ClipFitConfig)
        flag(self, "moving_camera")


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
class _Done:
    """A frame that is done, without its evidence, which would take more than its bodies."""

    index: int
    time_s: float
    shot: int
    fitted: FittedFrame
    R_first_cam: Float[Tensor, "3 3"] | None


class ClipRun:
    """The work on one clip, and what is done of it.

    Args:
        path: the clip, or the folder or pattern of a sequence of images.
        reconstructor: the models.
        config: how it is worked on.

    Raises:
        InputError: it is no clip that can be decoded.
    """

    def __init__(self, path: Path, reconstructor: Reconstructor, config: ClipConfig) -> None:
        self._path, self._reconstructor, self._config = path, reconstructor, config
        self.clip = open_frames(path, config.sequence_fps)
        camera = reconstructor.camera_of(self.clip.info.size)
        self._fitter = ClipFitter(reconstructor.fitter, camera, config.fit)
        self._open: deque[SeenFrame] = deque()
        self._done: list[_Done] = []
        self._step = ClipStep(0, None, 0, 0.0)
        self._watcher: ClipPeople | None = None
        self.found_focal = False
        """Whether the focal length was found by how the camera turns."""
        self.is_finished = False

    def steps(self) -> Generator[ClipStep, None, None]:
        """Work on the clip while the steps are consumed, one for each frame that is seen.

        Raises:
            InputError: no frame lies in the range.
        """
        begin = time.perf_counter()
        of_frames = self.clip.info.frames_in(self._config.range)
        config = self._reconstructor.config
        if self._config.moving_camera:
            self._find_focal()
        self._watcher = watcher = ClipPeople(
            self._reconstructor.detector,
            self._config.people,
            config.max_people,
            parts=config.parts,
            camera=self._fitter.camera if self._config.moving_camera else None,
        )
        frames = watcher.watch(self.clip.frames(self._config.range))
        # pixels keep one core busy while the window before is fitted on another
        with closing(ahead(frames, self._config.fit.window)) as frames:
            yield from self._settled(frames, of_frames, begin)
        self.is_finished = True

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
        self, frames: Iterable[SeenFrame], of_frames: int | None, begin: float
    ) -> Generator[ClipStep, None, None]:
        """Fit frames as they come, a step for each."""
        identities: set[int] = set()
        device = self._reconstructor.config.device
        for seen, frame in enumerate(frames, 1):
            identities.update(frame.identities)
            self._open.append(frame)
            with full_precision(device):
                self._settle(self._fitter.add(_people_of(frame)))
            seconds = time.perf_counter() - begin
            self._step = ClipStep(seen, of_frames, len(identities), seconds)
            yield self._step
        with full_precision(device):
            self._settle(self._fitter.finish())

    def step(self) -> ClipStep:
        """How far the work is."""
        return self._step

    @property
    def has_people(self) -> bool:
        """Whether there is anybody in the frames that are done."""
        return any(frame.fitted.people for frame in self._done)

    @property
    def done_s(self) -> float:
        """Time in the clip of the last frame that is done."""
        return self._done[-1].time_s if self._done else 0.0

    @property
    def camera_moves(self) -> bool:
        """Whether the camera moved in the frames that were seen."""
        return self._watcher is not None and self._watcher.camera_moves

    @property
    def turns(self) -> tuple[CameraTurns, ...]:
        """How the camera turned, shot by shot; empty where it is taken to stand still."""
        return () if self._watcher is None else tuple(self._watcher.turns)

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
        shots = [frame.shot for frame in done]
        times_s = [frame.time_s for frame in done]
        turns = [frame.R_first_cam for frame in done]
        up: list[Gravity | None] = []
        for _, shot in groupby(done, key=lambda frame: frame.shot):
            mine = list(shot)
            up += gravity_of_shot([f.fitted.gravity for f in mine], [f.R_first_cam for f in mine])
        camera = self._fitter.camera
        frames = [
            Frame(
                f.index,
                f.time_s,
                camera,
                gravity,
                turn=turn if turn is None else CameraTurn.of(turn),
            )
            for f, gravity, turn in zip(done, up, turns, strict=True)
        ]
        people = with_one_shape([frame.fitted.people for frame in done])
        people = with_gaps_filled(people, times_s, shots, turns)
        result = Reconstruction.of_frames(frames, people, source)
        if any(turn is not None for turn in turns):
            return replace(result, camera_motion="turns")
        return replace(result, camera_motion="moves" if self.camera_moves else "still")

    def _settle(self, fitted: Sequence[FittedFrame]) -> None:
        """Frames are done in the order in which they were seen."""
        seen = [self._open.popleft() for _ in fitted]
        # at once: whoever interrupts finds all of a window or nothing of it
        self._done += [
            _Done(frame.index, frame.time_s, frame.shot, found, frame.R_first_cam)
            for frame, found in zip(seen, fitted, strict=True)
        ]


def _people_of(frame: SeenFrame) -> SeenPeople:
    turn = frame.R_first_cam
    return SeenPeople(frame.time_s, frame.shot, frame.evidence, frame.identities, turn)
