"""Bodies of long clips: the tensors of each lie in one array, and are made when they are asked for.

A tensor of its own costs half a kilobyte, whatever it holds, and a body has ten. With one array a
body takes less than half as much, and there are 18,000 of a person in ten minutes.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from kinflow.body.users_body import UsersBody
from kinflow.results.person import Person

_NAMES = (
    *("R_cam_root", "t_cam_root_m", "pose", "z", "shape", "joints_cam_m", "joint_std_m"),
    *("t_cam_root_std_m", "keypoints_px", "foot_contact", "shape_std"),
)
_ROW, _PLACES = "_row", "_places"
_Places = dict[str, tuple[slice, tuple[int, ...]]]


class StoredPerson(Person):
    """A person like any other. Every request for a tensor makes one, all of the same memory."""

    def __getattr__(self, name: str) -> Any:
        # asked for what is no attribute of its own
        held = self.__dict__
        if name in _NAMES and _ROW in held:
            place = held[_PLACES].get(name)
            return None if place is None else torch.from_numpy(held[_ROW][place[0]]).view(place[1])
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def in_frame(self, frame: int, time_s: float) -> Person:
        """The same body in a frame; both share their memory."""
        return _made({**self.__dict__, "frame": frame, "time_s": time_s})

    def of_body(self, users_body: UsersBody | None) -> Person:
        """The same numbers as those of another body file; both share their memory."""
        return _made({**self.__dict__, "users_body": users_body})


def stored(person: Person) -> Person:
    """The same person in as little memory as can be, and in memory of their own.

    Args:
        person: whose tensors are in single precision; others come back as they are.
    """
    if _ROW in vars(person):
        return person
    tensors = {n: v.detach().cpu() for n in _NAMES if (v := getattr(person, n)) is not None}
    if any(tensor.dtype != torch.float32 for tensor in tensors.values()):
        return person
    held = {name: value for name, value in vars(person).items() if name not in _NAMES}
    held[_ROW] = np.concatenate([tensor.reshape(-1).numpy() for tensor in tensors.values()])
    held[_PLACES] = _places(tuple((name, tuple(t.shape)) for name, t in tensors.items()))
    return _made(held)


def _made(held: dict[str, Any]) -> StoredPerson:
    person = object.__new__(StoredPerson)
    person.__dict__.update(held)
    return person


@lru_cache(maxsize=64)
def _places(shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> _Places:
    """Where in the array each tensor is, and its shape."""
    places, first = {}, 0
    for name, shape in shapes:
        size = math.prod(shape)
        places[name] = (slice(first, first + size), shape)
        first += size
    return places
