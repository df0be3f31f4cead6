"""From a file or folder of keypoints to the evidence of one photo.

Stages: find the file of the photo, recognise its layout (`layouts`), and make evidence of the
people that it lists for the photo (`people`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kinflow.errors import InputError
from kinflow.evidence.keypoint_files.layouts import read_listing
from kinflow.evidence.keypoint_files.listing import TOOLS, Listing
from kinflow.evidence.keypoint_files.orders import ORDER_OF_NAME
from kinflow.evidence.keypoint_files.people import PhotoKeypoints, photo_keypoints
from kinflow.evidence.keypoint_files.unread import unread_file
from kinflow.files.json_files import parse_json
from kinflow.files.reading import guarded, read_text

KEYPOINT_FORMATS: tuple[str, ...] = ("auto", *TOOLS, *ORDER_OF_NAME)
"""Names of formats that are understood: tools, and orders of the points."""

MAX_BYTES = 64 << 20
MAX_CONTAINERS = 2_000_000


@dataclass(frozen=True)
class KeypointSource:
    """Keypoints that another tool wrote: a JSON file, or a folder with one file a photo.

    Raises:
        InputError: there is no such file or folder, it is not understood, or there is no such
            format.
    """

    path: Path
    format: str = "auto"
    """One of `KEYPOINT_FORMATS`."""

    def __post_init__(self) -> None:
        if self.format not in KEYPOINT_FORMATS:
            raise InputError(
                f"There is no keypoints format {self.format[:40]!r}; known are "
                f"{', '.join(KEYPOINT_FORMATS)}."
            )
        if not self.path.is_dir():
            _ = self.listing  # what is wrong with the file is said before any work

    @cached_property
    def listing(self) -> Listing:
        """All people of the file."""
        return _read_listing(self.path, self.format)

    def file_of(self, photo: str | None) -> Path:
        """The file that is read for a photo.

        Raises:
            InputError: a folder holds none for it.
        """
        return _file_in_folder(self.path, photo) if self.path.is_dir() else self.path

    def read(
        self, image_size: tuple[int, int], photo: str | None = None, only_photo: bool = True
    ) -> PhotoKeypoints:
        """The people of a photo.

        Args:
            image_size: (width, height) of the upright photo in pixels.
            photo: its path or name; None takes a file that is about one image for it.
            only_photo: whether this photo is the only one that is reconstructed, so that a file
                that names no photo can be meant for it.

        Raises:
            InputError: there is nobody for this photo, or the numbers cannot be right.
        """
        path = self.path
        if path.is_dir():
            path = _file_in_folder(path, photo)
            listing, only_photo = _read_listing(path, self.format), True
        else:
            listing = self.listing
        with guarded(path, "a file of keypoints"), _in_file(path, listing.tool):
            return photo_keypoints(
                path.name,
                listing,
                ORDER_OF_NAME.get(self.format),
                image_size,
                photo,
                only_photo,
            )


def read_people(
    path: str | Path,
    image_size: tuple[int, int],
    image_name: str | None = None,
    format: str = "auto",
) -> PhotoKeypoints:
    """The people that a file, or a file in a folder, lists for one photo.

    Args:
        path: a JSON file of any of the layouts of `docs/keypoints.md`, or a folder with one such
            file a photo (`<photo>_keypoints.json` or `<photo>.json`).
        image_size: (width, height) of the upright photo in pixels.
        image_name: path or name of the photo, by which files with several images are searched.
        format: one of `KEYPOINT_FORMATS`; "auto" recognises the layout and the order of points.

    Raises:
        InputError: the file is missing or not understood, has nobody for this photo, or its
            numbers cannot be right.
    """
    return KeypointSource(Path(path), format).read(image_size, image_name)


@contextmanager
def _in_file(path: Path, tool: str = "") -> Iterator[None]:
    """Put the file's name, and what it was taken for, before sentences about its content."""
    try:
        yield
    except InputError as error:
        taken_for = f" (read as {tool})" if tool else ""
        raise InputError(f"'{path}'{taken_for}: {error}.", error.options) from error


def _read_listing(path: Path, format: str) -> Listing:
    content = _content(path)
    with guarded(path, "a file of keypoints"), _in_file(path):
        listing = read_listing(content)
        if format in TOOLS and listing.structure not in TOOLS[format]:
            raise InputError(
                f"it is not laid out as files of {format} are, but as those of {listing.tool}; "
                "leave out the format",
                {"leave out the format": "keypoints_format"},
            )
        return listing


def _content(path: Path) -> Any:
    other = unread_file(path)
    if other is not None and path.is_file():
        raise InputError(f"'{path}' is {other}.")
    text = read_text(path, MAX_BYTES)
    # each list or object takes many times the memory of its brackets
    if text.count("[") + text.count("{") > MAX_CONTAINERS:
        raise InputError(
            f"'{path}' holds more than {MAX_CONTAINERS // 1_000_000} million lists; keep those of "
            "your photos."
        )
    content = parse_json(text, path)
    # Ultralytics' `to_json` gives a text, which `json.dump` wraps once more
    return parse_json(content, path) if isinstance(content, str) else content


_NAMES_IN_FOLDER = (
    "{stem}_keypoints.json",
    "{stem}.json",
    "{name}.json",
    # OpenPose numbers the frames of whatever it reads
    "{stem}_000000000000_keypoints.json",
    "{name}.predictions.json",  # OpenPifPaf
    "results_{stem}.json",  # the demos of MMPose
)


def _file_in_folder(folder: Path, photo: str | None) -> Path:
    if photo is None:
        raise InputError(f"'{folder}' is a folder; say which photo is meant by its name.")
    name = Path(photo).name
    names = [n.format(stem=Path(name).stem, name=name) for n in _NAMES_IN_FOLDER]
    path = next((folder / n for n in names if (folder / n).is_file()), None)
    if path is None:
        others = sorted(p.name for p in folder.iterdir() if p.suffix.lower() == ".json")
        there = f"it has {', '.join(others[:4])}" if others else "it has no JSON files"
        more = f" and {len(others) - 4} more" if len(others) > 4 else ""
        raise InputError(f"'{folder}' has neither '{names[0]}' nor '{names[1]}'; {there}{more}.")
    return path
