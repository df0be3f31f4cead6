"""The pictures that people were seen in: when, and by which camera."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.checks import is_number, nested, not_negative, whole
from kinflow.errors import InputError
from kinflow.geometry.pinhole import Camera
from kinflow.results.gravity import Floor, Gravity

_ROTATES = 1e-3


@dataclass(frozen=True)
class CameraTurn:
    """How a camera that stays at its place is turned in a frame.

    Raises:
        InputError: it is no rotation.
    """

    rows: tuple[tuple[float, float, float], ...]
    """Of `R_first_cam`."""

    def __post_init__(self) -> None:
        nine = [value for row in self.rows for value in row]
        if len(self.rows) != 3 or len(nine) != 9 or not all(map(is_number, nine)):
            raise InputError("A turn of a camera is a matrix of three rows of three numbers.")
        R = self.R_first_cam
        off = float((R @ R.mT - torch.eye(3, dtype=R.dtype)).abs().max())
        if not off < _ROTATES or float(torch.linalg.det(R)) < 0:
            raise InputError("A turn of a camera has to be a rotation.")

    @staticmethod
    def of(R_first_cam: Float[Tensor, "3 3"]) -> CameraTurn:
        """The turn of this matrix."""
        return CameraTurn(tuple((x, y, z) for x, y, z in R_first_cam.double().tolist()))

    @property
    def R_first_cam(self) -> Float[Tensor, "3 3"]:
        """From the camera's frame to that in the first frame of the shot, in double precision."""
        return torch.tensor(self.rows, dtype=torch.float64)


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
    turn: CameraTurn | None = None
    """How the camera is turned; None where it is taken to stand still."""

    def __post_init__(self) -> None:
        whole(self, "index")
        not_negative(self, "time_s")
        nested(self, camera=Camera)
        if self.gravity is not None:
            nested(self, gravity=Gravity)
        if self.turn is not None:
            nested(self, turn=CameraTurn)
        if self.floor is not None:
            nested(self, floor=Floor)
            if self.gravity is None:
                raise InputError("A floor is level: a frame that has one needs gravity as well.")
