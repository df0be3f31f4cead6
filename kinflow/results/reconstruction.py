"""What the main job gives: all people of a photo."""

from __future__ import annotations

from dataclasses import dataclass

from kinflow.geometry.pinhole import Camera
from kinflow.results.person import Person


@dataclass(frozen=True)
class Reconstruction:
    """All people of one photo."""

    camera: Camera
    people: tuple[Person, ...]
    source: str = ""
