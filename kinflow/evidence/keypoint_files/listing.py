"""What a file of keypoints lists, before its numbers are looked at.

Every layout becomes a `Listing`: one `Entry` per person, with values as they came out of JSON, and
the images that the file speaks of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from kinflow.errors import InputError
from kinflow.evidence.keypoint_files.values import describe, is_number, number, text

Structure = Literal["kinflow", "annotations", "people", "bodies", "entries", "landmarks", "rows"]

TOOLS: dict[str, tuple[Structure, ...]] = {
    "openpose": ("people",),
    "dwpose": ("people",),
    "alphapose": ("entries", "people", "bodies"),
    "coco": ("annotations", "entries"),
    "mmpose": ("entries",),
    "ultralytics": ("entries",),
    "tfjs": ("entries",),
    "mediapipe": ("landmarks",),
    "kinflow": ("kinflow",),
}
"""The tools that can be named as a format, with the structures that their files have."""

BoxForm = Literal["x, y, width, height", "x0, y0, x1, y1"]


@dataclass(frozen=True)
class ImageRef:
    """An image as a file refers to it."""

    name: str | None = None
    """File name, possibly with folders."""
    id: str | None = None
    """A number, or whatever else stands for the image."""
    size: tuple[float, float] | None = None
    """(width, height) in pixels, where the file states it."""

    @property
    def says_which(self) -> bool:
        """Whether it tells one image from another."""
        return self.name is not None or self.id is not None

    def __str__(self) -> str:
        if self.name is not None:
            return self.name
        return f"image {self.id}" if str(self.id).isdecimal() else str(self.id)


@dataclass(frozen=True)
class Entry:
    """One person as a file lists it; values are as they came out of JSON."""

    place: str
    points: Any
    scores: Any = None
    """Confidences, where they stand apart from the points."""
    names: tuple[str, ...] | None = None
    """What the head of the file calls the points."""
    image: ImageRef | None = None
    box: Any = None
    box_form: BoxForm = "x, y, width, height"
    score: Any = None


@dataclass(frozen=True)
class Listing:
    """All people of a file."""

    structure: Structure
    tool: str
    """What messages call the tool or format."""
    entries: tuple[Entry, ...]
    images: tuple[ImageRef, ...] = ()
    """Images that the file lists, also those with nobody in them."""


_NAME_OF_IMAGE: tuple[str, ...] = ("file_name", "image_name", "image_path", "img_path", "filename")


def image_ref(value: dict[str, Any], place: str) -> ImageRef | None:
    """The image that an entry says it belongs to."""
    name = next((k for k in _NAME_OF_IMAGE if value.get(k) is not None), None)
    given = value.get("image_id")
    ref_id = None if given is None else id_text(given, f"{place}image_id")
    ref_name = None if name is None else text(value[name], f"{place}{name}")
    return None if ref_id is None and ref_name is None else ImageRef(ref_name, ref_id)


def id_text(value: Any, place: str) -> str:
    """A number or text that stands for an image or a category.

    Raises:
        InputError: it is something else.
    """
    if isinstance(value, str):
        return value
    if not is_number(value):
        raise InputError(f"{place} has to be a number or a text, but it is {describe(value)}")
    whole = isinstance(value, int) or (abs(value) < 1e15 and value == int(value))
    return str(int(value)) if whole else str(value)


def stated_size(
    value: dict[str, Any], keys: tuple[str, str], place: str
) -> tuple[float, float] | None:
    """(width, height) that a file states; None where it does not, or gives zero."""
    sides = [number(value.get(key), f"{place}{key}") for key in keys]
    if not all(0 < side < 1e6 for side in sides):
        return None
    return sides[0], sides[1]


def word(value: Any) -> str:
    """A text as it is; anything else is no word."""
    return value if isinstance(value, str) else ""


def fields_of(value: dict[str, Any]) -> str:
    """The first fields of an object, for sentences."""
    return ", ".join(describe(key) for key in list(value)[:4])
