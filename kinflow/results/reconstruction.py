"""What the main job gives: the people of a photo, or of the frames of a video.

result = Reconstruction.of_frame(camera, people, "photo.jpg")
result.people, result.camera

result = Reconstruction.of_frames(frames, people_by_frame, "clip.mp4")
for frame in result.frames:
    result.people_of(frame.index)
for track in result.tracks:
    track.identity, track.shape, track.bodies
result.at(12)                       # what one frame shows, as a photo would be
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal, get_args

from kinflow.checks import one_of
from kinflow.errors import InputError
from kinflow.geometry.pinhole import Camera
from kinflow.results.frames import Frame
from kinflow.results.gravity import Floor, Gravity
from kinflow.results.person import Person
from kinflow.results.tracks import Track, tracks_of

CameraMotion = Literal["unknown", "still", "moves", "turns"]
"""What is known of whether the camera of a clip moves."""


@dataclass(frozen=True)
class Reconstruction:
    """Frames of one photo or video, and the tracks of the people in them.

    Raises:
        InputError: there is no frame, frames are not in the order of index and time, two tracks are
            of one person, or a body is in a frame that is not there, or differs from its frame in
            time or camera.
    """

    frames: tuple[Frame, ...]
    """At least one, of increasing index and time; frames without people are frames as well."""
    tracks: tuple[Track, ...]
    source: str = ""
    """Path of the photo or video as it was given; empty where there is none."""

    camera_motion: CameraMotion = "unknown"
    """Whether the camera moves; of clips, where that was looked for."""

    def __post_init__(self) -> None:
        one_of(self, "camera_motion", get_args(CameraMotion))
        if not self.frames:
            raise InputError("A reconstruction has to have at least one frame.")
        for before, after in pairwise(self.frames):
            if before.index >= after.index or before.time_s >= after.time_s:
                raise InputError(
                    f"Frames have to be in the order of their index and time: frame {after.index} "
                    f"at {after.time_s:g} s follows frame {before.index} at {before.time_s:g} s."
                )
        for before, after in pairwise(sorted(track.identity for track in self.tracks)):
            if before == after:
                raise InputError(f"Person {after} has two tracks; each person has one.")
        for track in self.tracks:
            for body in track.bodies:
                self._check_place(body)

    def _check_place(self, body: Person) -> None:
        frame = self.frame(body.frame)
        if body.time_s != frame.time_s:
            raise InputError(
                f"Person {body.person} is in frame {frame.index} at {body.time_s:g} s, but that "
                f"frame is at {frame.time_s:g} s."
            )
        if body.camera != frame.camera:
            raise InputError(
                f"Person {body.person} in frame {frame.index} has another camera than the frame; "
                "people of one frame share its camera."
            )

    @staticmethod
    def of_frame(
        camera: Camera,
        people: Sequence[Person],
        source: str = "",
        gravity: Gravity | None = None,
        floor: Floor | None = None,
    ) -> Reconstruction:
        """The people of a photo, which is frame 0 at time 0.

        Args:
            camera: of the photo.
            people: in any order.
            source: path of the photo.
            gravity: what is up in it.
            floor: what they are on; needs gravity.

        Raises:
            InputError: two people have the same number, or one has another camera.
        """
        return Reconstruction.of_frames([Frame(0, 0.0, camera, gravity, floor)], [people], source)

    @staticmethod
    def of_frames(
        frames: Sequence[Frame], people: Sequence[Sequence[Person]], source: str = ""
    ) -> Reconstruction:
        """The people of a sequence, whose numbers (`Person.person`) say who is who.

        Args:
            frames: in their order.
            people: those of each frame; their `frame` and `time_s` become the frame's.
            source: path of the video.

        Raises:
            InputError: the people are not of these frames, or break a law of tracks: one body a
                frame, one shape, the camera of the frame.
        """
        if len(people) != len(frames):
            raise InputError(f"There are people of {len(people)} frames for {len(frames)} frames.")
        placed = [
            person.in_frame(frame.index, frame.time_s)
            for frame, seen in zip(frames, people, strict=True)
            for person in seen
        ]
        return Reconstruction(tuple(frames), tracks_of(placed), source)

    @property
    def people(self) -> tuple[Person, ...]:
        """All bodies, in the order of frames and, within a frame, of numbers."""
        return tuple(body for bodies in self._people_by_frame.values() for body in bodies)

    @property
    def only_frame(self) -> Frame:
        """The frame of a photo.

        Raises:
            InputError: there are several.
        """
        if len(self.frames) == 1:
            return self.frames[0]
        raise InputError(
            f"This is made for one frame, not for {len(self.frames)}; choose one with "
            "`Reconstruction.at`."
        )

    @property
    def camera(self) -> Camera:
        """The one camera of all frames.

        Raises:
            InputError: frames were seen by different cameras.
        """
        first = self.frames[0]
        for frame in self.frames[1:]:
            if frame.camera != first.camera:
                raise InputError(
                    f"Frames {first.index} and {frame.index} were seen by different cameras; ask "
                    "each frame for its own."
                )
        return first.camera

    def frame(self, index: int) -> Frame:
        """The frame of this index.

        Raises:
            InputError: it is not there.
        """
        if index not in self._frames_by_index:
            raise InputError(f"There is no frame {index}.")
        return self._frames_by_index[index]

    def people_of(self, index: int) -> tuple[Person, ...]:
        """The bodies in the frame of this index, in the order of their numbers.

        Raises:
            InputError: there is no such frame.
        """
        return self._people_by_frame[self.frame(index).index]

    def at(self, index: int) -> Reconstruction:
        """What the frame of this index shows, as a reconstruction of that frame alone.

        Raises:
            InputError: there is no such frame.
        """
        return Reconstruction((self.frame(index),), tracks_of(self.people_of(index)), self.source)

    @cached_property
    def _frames_by_index(self) -> dict[int, Frame]:
        return {frame.index: frame for frame in self.frames}

    @cached_property
    def _people_by_frame(self) -> dict[int, tuple[Person, ...]]:
        bodies: dict[int, list[Person]] = {frame.index: [] for frame in self.frames}
        for track in sorted(self.tracks, key=lambda track: track.identity):
            for body in track.bodies:
                bodies[body.frame].append(body)
        return {index: tuple(seen) for index, seen in bodies.items()}
