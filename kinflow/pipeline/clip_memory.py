"""What is kept of the work on a clip, for a run that goes on where another one was stopped.

Kept beside the result folder, until that is complete: the bodies of all frames that are done, and
the whole state of the trackers and of the window that is open. A run that goes on from there gives
the same as one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from kinflow.body.users_body import UsersBody
from kinflow.energy.unknowns import Unknowns
from kinflow.errors import InputError
from kinflow.evidence.blazepose import Pose
from kinflow.evidence.camera_turns import Keyframe, ShotTurns
from kinflow.evidence.clip_people import SeenFrame, WaitingFrame
from kinflow.evidence.clothes import Clothes
from kinflow.evidence.looks import Person as SeenPerson
from kinflow.evidence.movenet import Detection
from kinflow.evidence.region import Region
from kinflow.evidence.track_faces import FacesOfTrack, LookAtFace
from kinflow.evidence.tracking import FollowedTrack, Sighting
from kinflow.evidence.types import (
    CloseLook,
    FaceAge,
    ImageEvidence,
    PartLabels,
    PersonEvidence,
    PersonMask,
)
from kinflow.export.results import Origin
from kinflow.files.folders import Claim
from kinflow.files.ledger import Ledger
from kinflow.files.snapshots import restored, taken
from kinflow.fitting.clip import FittedFrame, SeenPeople
from kinflow.geometry.image_grid import ImageGrid
from kinflow.geometry.pinhole import Camera
from kinflow.results import Gravity, Person, StoredPerson, stored
from kinflow.version import __version__


@dataclass(frozen=True)
class OpenFrame:
    """A frame that was seen, without its evidence."""

    index: int
    time_s: float
    shot: int
    R_first_cam: Float[Tensor, "3 3"] | None


@dataclass(frozen=True)
class DoneFrame:
    """A frame that is done."""

    seen: OpenFrame
    fitted: FittedFrame


# two classes are called Person; they are never in one file
_BODIES = (DoneFrame, OpenFrame, FittedFrame, Person, StoredPerson, Camera, Gravity)
_STATES = (
    *(OpenFrame, Camera, SeenPeople, Unknowns),
    *(SeenFrame, WaitingFrame, ImageEvidence, PersonEvidence, PersonMask, PartLabels, CloseLook),
    *(ImageGrid, Region, Pose, SeenPerson, Detection, FollowedTrack, Sighting, Clothes),
    *(Keyframe, ShotTurns, FacesOfTrack, LookAtFace, FaceAge),
)


class ClipMemory:
    """What is kept of one clip.

    Args:
        claim: the right to make its result folder, held until the end.
        origin: what the results are made from; work for others is forgotten.
        body: file of the user's body that bodies are of, with how many shape coefficients; None
            for the bundled one.
    """

    def __init__(self, claim: Claim, origin: Origin, body: tuple[Path, int] | None = None) -> None:
        self._body = body
        key = {
            "version": __version__,
            "clip_sha256": origin.photo_sha256,
            "options": None if origin.options is None else dict(origin.options),
            "inputs_sha256": origin.inputs_sha256,
        }
        self._ledger = Ledger.open(claim.kept, key)
        self._count = 0

    def recalled(self) -> tuple[list[DoneFrame], dict[str, Any] | None]:
        """Frames that are done, and the state after them; none and None where nothing is kept."""
        ledger = self._ledger
        try:
            done = [_small(frame) for entry in ledger.entries for frame in restored(entry, _BODIES)]
            state = None if ledger.state is None else restored(ledger.state, _STATES)
        except InputError:  # of a kinflow of the same number that keeps other things
            ledger.forget()
            return [], None
        ledger.entries.clear()
        self._count = len(done)
        if done and self._body is not None:
            users_body = UsersBody.load(*self._body)
            done = [_of_body(frame, users_body) for frame in done]
        return done, state

    def keep(self, done: Sequence[DoneFrame], state: dict[str, Any]) -> None:
        """Keep what is done so far and the state after it.

        Args:
            done: all frames so far; those that were kept before did not change.
            state: of containers and the classes above.

        Raises:
            InputError: it cannot be written.
        """
        new = [_of_body(frame, None) for frame in done[self._count :]]
        self._ledger.add(taken(new, _BODIES) if new else None, taken(state, _STATES))
        self._count = len(done)

    def forget(self) -> None:
        """Nothing is left to go on with: the clip is finished."""
        self._ledger.forget()


def _small(frame: DoneFrame) -> DoneFrame:
    return _with_people(frame, [stored(person) for person in frame.fitted.people])


def _of_body(frame: DoneFrame, users_body: UsersBody | None) -> DoneFrame:
    """A body file is none of the state: it is the same for all."""
    return _with_people(frame, [person.of_body(users_body) for person in frame.fitted.people])


def _with_people(frame: DoneFrame, people: Sequence[Person]) -> DoneFrame:
    return replace(frame, fitted=replace(frame.fitted, people=tuple(people)))
