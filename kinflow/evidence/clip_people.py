"""The people of a clip, frame by frame, each with a number that says who is who.

1. A cut ends all tracks (`cuts.py`).
2. Everybody who was there in the frame before is followed (`following.py`).
3. The whole frame is searched for others twice a second, and whenever somebody was lost.
4. All who are seen are matched with all tracks at once (`tracking.py`).
5. Now and then it is looked at how old somebody's face looks (`track_faces.py`).

Frames are given out a little later than they come, once it is settled who of them is somebody.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.checks import flag, nested, positive
from kinflow.evidence.blazepose import region_from_coco
from kinflow.evidence.camera_motion import CameraMotionConfig, CameraWatch
from kinflow.evidence.camera_turns import CameraTurnConfig, CameraTurns, ShotTurns
from kinflow.evidence.clothes import clothes_of
from kinflow.evidence.cuts import CutConfig, CutFinder
from kinflow.evidence.detector import EvidenceDetector
from kinflow.evidence.following import FollowConfig, Follower, shifted
from kinflow.evidence.lines import upright_lines
from kinflow.evidence.looks import Person
from kinflow.evidence.people import keypoint_similarity
from kinflow.evidence.track_faces import TrackFaces, TrackFacesConfig
from kinflow.evidence.tracking import Sighting, Tracker, TrackingConfig
from kinflow.evidence.turning_focal import TurningFocalConfig
from kinflow.evidence.types import ImageEvidence
from kinflow.evidence.video_files import ClipFrame
from kinflow.files.snapshots import Resumable
from kinflow.geometry.pinhole import Camera

_TWICE = 0.6
"""People who are more alike than this were followed from two tracks to one person."""


@dataclass(frozen=True)
class ClipPeopleConfig:
    """How people are found and followed."""

    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    follow: FollowConfig = field(default_factory=FollowConfig)
    cuts: CutConfig = field(default_factory=CutConfig)
    camera: CameraMotionConfig = field(default_factory=CameraMotionConfig)
    turns: CameraTurnConfig = field(default_factory=CameraTurnConfig)
    focal: TurningFocalConfig = field(default_factory=TurningFocalConfig)
    faces: TrackFacesConfig = field(default_factory=TrackFacesConfig)
    """Which faces are looked at, where the detector was told to tell how old they look."""
    search_s: float = 0.5
    """The whole frame is searched at least this often, for whoever came in."""
    search_lost_s: float = 0.2
    """The same while somebody is out of sight."""
    parts_s: float = 0.5
    """Body parts are labelled this often, where they are wanted: shapes do not change."""
    follow_others: bool = True
    """Whether people are followed; otherwise every frame is searched as if it were a photo."""

    def __post_init__(self) -> None:
        nested(self, tracking=TrackingConfig, follow=FollowConfig, cuts=CutConfig)
        nested(self, camera=CameraMotionConfig, turns=CameraTurnConfig)
        nested(self, focal=TurningFocalConfig, faces=TrackFacesConfig)
        positive(self, "search_s", "search_lost_s", "parts_s")
        flag(self, "follow_others")


@dataclass(frozen=True)
class SeenFrame:
    """What is seen in a frame of a clip."""

    index: int
    """Number of the frame in the clip."""
    time_s: float
    shot: int
    """How many cuts come before it."""
    evidence: ImageEvidence
    identities: tuple[int, ...]
    """Who the people of the evidence are, in their order: numbers from 0, without gaps over a
    clip, in the order in which people appear."""
    R_first_cam: Float[Tensor, "3 3"] | None = None
    """From the camera's frame to that in the first frame of the shot; None where the camera is
    taken to stand still."""


@dataclass
class WaitingFrame:
    """A frame whose people are not settled yet, with the tracker's numbers."""

    frame: SeenFrame
    numbers: list[int]


class ClipPeople(Resumable):
    """Finds and follows the people of one clip.

    Args:
        detector: networks, and how certain they have to be.
        config: how people are found and followed.
        max_people: at most this many people a frame, the largest first.
        parts: whether to label body parts; None for what the detector was told.
        camera: of all frames, where it is to be found out how it turns.
    """

    changing = (
        *("_labelled_s", "_cuts", "_tracker", "_shown", "_searched_s", "_lines", "_shot"),
        *("camera_moves", "_camera", "_turning", "_turned", "_waiting", "_identities"),
        *("last_seen", "_faces"),
    )

    def __init__(
        self,
        detector: EvidenceDetector,
        config: ClipPeopleConfig = ClipPeopleConfig(),
        max_people: int | None = None,
        parts: bool | None = None,
        camera: Camera | None = None,
    ) -> None:
        self._parts = detector.parts if parts is None else parts
        self._labelled_s: float | None = None
        self._detector, self._config, self._max_people = detector, config, max_people
        self._follower = Follower(detector.movenet, detector.blazepose, config.follow)
        self._cuts, self._tracker = CutFinder(config.cuts), Tracker(config.tracking)
        self._faces = TrackFaces(detector.face_ages, config.faces) if detector.faces else None
        self._shown: dict[int, Person] = {}
        self._searched_s: float | None = None
        self._lines: Float[Tensor, "lines 4"] | None = None
        self._shot = 0
        self.camera_moves = False
        """Whether the camera moved within a shot of the frames so far."""
        self._lens = camera
        self._camera, self._turning = self._of_shot()
        self._turned: list[ShotTurns] = []
        self.last_seen = -1
        """Number of the last frame that was looked at."""
        self._waiting: deque[WaitingFrame] = deque()
        self._identities: dict[int, int] = {}

    @property
    def turns(self) -> tuple[ShotTurns, ...]:
        """How the camera turned, shot by shot, where that is to be found out."""
        now = () if self._turning is None else (self._turning.shot,)
        return (*self._turned, *now)

    def watch(self, frames: Iterable[ClipFrame]) -> Iterator[SeenFrame]:
        """Every frame with its people, in order; frames without people come out as well."""
        for frame in frames:
            self.last_seen = frame.index
            self._waiting.append(self._see(frame))
            while self._waiting and self._settled(self._waiting[0]):
                yield self._given_out()
        self._tracker.end()
        while self._waiting:
            yield self._given_out()

    def watch_with_states(
        self, frames: Iterable[ClipFrame], every: int
    ) -> Iterator[tuple[SeenFrame, dict[str, Any] | None]]:
        """The same, and with every so many of them the state after it, None with the others.

        Another one that resumes that state and watches the frames after `last_seen` gives out the
        same as this one from there on.
        """
        for number, seen in enumerate(self.watch(frames), 1):
            # a copy: others go on with it while this one goes on
            yield seen, None if number % every else copy.deepcopy(self.state())

    def _see(self, frame: ClipFrame) -> WaitingFrame:
        if self._cuts.is_cut(frame.rgb):
            self._shot += 1
            self._tracker.cut()
            self._shown, self._searched_s = {}, None
            self._turned = list(self.turns)
            self._camera, self._turning = self._of_shot()
        expected = self._tracker.expected(frame.time_s)
        people = self._followed(frame, expected) if self._config.follow_others else []
        if self._is_due(frame.time_s, lost=len(people) < len(expected)):
            self._searched_s = frame.time_s
            room = None if self._max_people is None else self._max_people - len(people)
            known = [person.detection for person in people]
            if room is None or room > 0:
                people += self._detector.people(frame.rgb, room, known)
            self._lines = None
        evidence = self._detector.measured(frame.rgb, people, self._labels_parts(frame, people))
        if self._lines is None:
            boxes = [person.box_px.numpy() for person in evidence]
            self._lines = torch.from_numpy(upright_lines(frame.rgb, boxes)).float()
        people_px = [person.box_px.numpy() for person in evidence]
        self._camera.look(frame.rgb, people_px)
        self.camera_moves |= self._camera.moves
        turn = None
        if self._turning is not None:
            turn = torch.from_numpy(self._turning.look(frame.rgb, people_px))
        sightings = [
            Sighting(points, person.box_px.numpy(), clothes_of(frame.rgb, points))
            for person in evidence
            for points in (person.keypoints_px.numpy().astype(np.float64),)
        ]
        numbers = self._tracker.update(frame.time_s, sightings)
        self._shown = dict(zip(numbers, people, strict=True))
        if self._faces is not None:
            evidence = self._faces.look(frame.rgb, frame.time_s, evidence, numbers)
            self._faces.forget(others_than={*expected, *numbers})
        height, width = frame.rgb.shape[:2]
        seen = ImageEvidence((width, height), evidence, self._lines)
        return WaitingFrame(
            SeenFrame(frame.index, frame.time_s, self._shot, seen, (), turn), numbers
        )

    def _of_shot(self) -> tuple[CameraWatch, CameraTurns | None]:
        """Another shot is of another camera, or of one that is elsewhere."""
        turning = None if self._lens is None else CameraTurns(self._lens, self._config.turns)
        return CameraWatch(self._config.camera), turning

    def _labels_parts(self, frame: ClipFrame, people: Sequence[Person]) -> bool:
        """Whether to label body parts in a frame."""
        last_s = self._labelled_s
        if not self._parts or not people:
            return False
        if last_s is not None and frame.time_s - last_s < self._config.parts_s - 1e-6:
            return False
        self._labelled_s = frame.time_s
        return True

    def _is_due(self, time_s: float, lost: bool) -> bool:
        """Whether to search the whole frame."""
        if self._searched_s is None or not self._config.follow_others:
            return True
        least_s = self._config.search_lost_s if lost else self._config.search_s
        return time_s - self._searched_s >= least_s - 1e-6

    def _followed(self, frame: ClipFrame, expected: dict[int, Sighting]) -> list[Person]:
        """Those of the frame before who are still there, each once."""
        people: list[Person] = []
        for number, person in self._shown.items():
            if number not in expected:
                continue
            there = expected[number]
            before = Sighting(person.keypoints_px, person.detection.box_px)
            region = (
                region_from_coco(person.detection.keypoints_px)
                if person.pose is None
                else person.pose.next_region
            )
            region = shifted(region, there.center_px - before.center_px)
            found = self._follower.follow(frame.rgb, region, there)
            if found is not None and not any(_are_one(found, other) for other in people):
                people.append(found)
        return people

    def _settled(self, waiting: WaitingFrame) -> bool:
        return all(self._tracker.is_somebody(number) is not None for number in waiting.numbers)

    def _given_out(self) -> SeenFrame:
        """The frame that waited longest, with those of its people who are not nobody."""
        waiting = self._waiting.popleft()
        rows = [
            row
            for row, number in enumerate(waiting.numbers)
            if self._tracker.is_somebody(number) is not False
        ]
        identities = tuple(
            self._identities.setdefault(waiting.numbers[row], len(self._identities)) for row in rows
        )
        evidence = waiting.frame.evidence
        people = tuple(evidence.people[row] for row in rows)
        return replace(
            waiting.frame, evidence=replace(evidence, people=people), identities=identities
        )


def _are_one(one: Person, other: Person) -> bool:
    size = max(one.detection.box_px[2:] - one.detection.box_px[:2])
    return keypoint_similarity(one.keypoints_px, other.keypoints_px, float(size)) > _TWICE
