"""What is up in a picture, and where its floor is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.checks import not_negative, number, numbers_of
from kinflow.errors import InputError

_LONG = 1e-3


@dataclass(frozen=True)
class Gravity:
    """The direction that is up, as far as it is known.

    Raises:
        InputError: the direction is not of length 1, or the spread is negative.
    """

    up_cam: tuple[float, float, float]
    """Unit vector in the camera frame (x right, y down, z forward); a level camera's is
    (0, -1, 0)."""
    std_deg: float
    """Standard deviation of the direction about each axis across it."""

    def __post_init__(self) -> None:
        numbers_of(self, "up_cam", count=3, at_least=-1.01)
        not_negative(self, "std_deg")
        if abs(math.hypot(*self.up_cam) - 1) > _LONG:
            raise InputError(f"up_cam has to be of length 1, not {math.hypot(*self.up_cam):g}.")

    @property
    def pitch_deg(self) -> float:
        """How far the camera looks down (positive) or up."""
        _, y, z = self.up_cam
        return math.degrees(math.atan2(-z, -y))

    @property
    def roll_deg(self) -> float:
        """How far the camera is turned about its line of sight."""
        x, y, z = self.up_cam
        return math.degrees(math.atan2(x, math.hypot(y, z)))

    def turned(self, R: Float[Tensor, "3 3"]) -> Gravity:
        """The same as another camera has it.

        Args:
            R: from this camera's frame to the other's.
        """
        up = R.double() @ torch.tensor(self.up_cam, dtype=torch.float64)
        x, y, z = (up / up.norm()).tolist()
        return Gravity((x, y, z), self.std_deg)

    def R_world_cam(self) -> Float[Tensor, "3 3"]:
        """From the camera frame to a world with y up, x to the camera's right and level.

        The camera looks along -z, or down or up from there: glTF's axes for a level camera.
        """
        up = torch.tensor(self.up_cam, dtype=torch.float64)
        right = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
        right = right - (right @ up) * up
        if float(right.norm()) < 0.1:  # the camera lies on its side
            forward = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
            right = torch.linalg.cross(forward, up)
        right = right / right.norm()
        return torch.stack([right, up, torch.linalg.cross(right, up)]).float()


@dataclass(frozen=True)
class Floor:
    """The level ground that people of a picture are on, as far as it is known.

    Raises:
        InputError: the spread is negative, or something is no number.
    """

    height_m: float
    """Along the way up (`Gravity.up_cam`), above the camera; negative for a floor below it."""
    std_m: float
    """Standard deviation of the height."""

    def __post_init__(self) -> None:
        number(self, "height_m")
        not_negative(self, "std_m")
