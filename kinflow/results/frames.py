"""The pictures that people were seen in: when, and by which camera."""

from __future__ import annotations

from dataclasses import dataclass

from kinflow.checks import nested, not_negative, whole
from kinflow.errors import InputError
from kinflow.geometry.pinhole import Camera
from kinflow.results.gravity import Floor, Gravity


@dataclass(frozen=True)
class Frame:
    """One picture of a video; a photo is frame 0 at time 0.

    Raises:
        InputError: the index is no whole number, the time no number of 0 and more, or there is a
            floor without gravity.
    """

    index: int
    """Its number in the source, from 0; frames may be left out, so numbers may have gaps."""
    time_s: float
    """Seconds since the start of the source."""
    camera: Camera
    gravity: Gravity | None = None
    """What is up, where that is known."""
    floor: Floor | None = None
    """What people are on, where that is known; needs gravity."""

    def __post_init__(self) -> None:
        whole(self, "index")
        not_negative(self, "time_s")
        nested(self, camera=Camera)
        if self.gravity is not None:
            nested(self, gravity=Gravity)
        if self.floor is not None:
            nested(self, floor=Floor)
            if self.gravity is None:
                raise InputError("A floor is level: a frame that has one needs gravity as well.")
