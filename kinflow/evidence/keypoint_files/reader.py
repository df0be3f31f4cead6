"""From a file or folder of keypoints to the evidence of one photo.

Stages: recognise the layout (`layouts`), choose the entries of the photo (`selection`), read their
points (`values`), find out what their third number means (`confidence`) and in which order they are
(`orders`), bring them to pixels of the photo (`scale`), spread them over BlazePose's 33.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from kinflow.errors import InputError
from kinflow.evidence.error_model import keypoint_std_px
from kinflow.evidence.keypoint_files.confidence import meaning_in, with_confidence
from kinflow.evidence.keypoint_files.layouts import read_listing
from kinflow.evidence.keypoint_files.listing import TOOLS, Entry, Listing
from kinflow.evidence.keypoint_files.orders import (
    ORDER_OF_NAME,
    Order,
    order_of_names,
    order_of_points,
)
from kinflow.evidence.keypoint_files.scale import (
    MAX_COORDINATE,
    UPSIDE_DOWN,
    Scaling,
    check_coordinates,
    check_inside,
    scaling_of,
    too_small,
    upside_down,
)
from kinflow.evidence.keypoint_files.selection import entries_of
from kinflow.evidence.keypoint_files.unread import unread_file
from kinflow.evidence.keypoint_files.values import PointTable, number, numbers, read_points
from kinflow.evidence.people import person_size
from kinflow.evidence.types import ImageEvidence, PersonEvidence
from kinflow.files.json_files import parse_json
from kinflow.files.reading import guarded, read_text

KEYPOINT_FORMATS: tuple[str, ...] = ("auto", *TOOLS, *ORDER_OF_NAME)
"""Names of formats that are understood: tools, and orders of the points."""

MAX_BYTES = 64 << 20
MAX_CONTAINERS = 2_000_000
_KEYPOINTS = 33
_BOX_MARGIN = 0.1
# The side of BlazePose's region relative to the root of the box's area, for the error model.
_REGION_PER_SIZE = 2.0
# A box is the person's where it holds so many of the points, give or take a fraction of its size.
_IN_BOX = 0.6
_BOX_SLACK = 0.25


@dataclass(frozen=True)
class PhotoKeypoints:
    """The people of one photo as a file lists them, and what the file was taken for."""

    evidence: ImageEvidence
    notes: tuple[str, ...]
    """Sentences for the user, each beginning with the name of the file."""


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
            return _read_photo(
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


@dataclass(frozen=True)
class _Person:
    """One person between the file and the photo."""

    entry: Entry
    points: Float[np.ndarray, "33 3"]
    """x, y as in the file, confidence in [0, 1]."""
    in_space: bool = False
    """Whether the file has a depth for each point."""


def _read_photo(
    file_name: str,
    listing: Listing,
    forced: Order | None,
    image_size: tuple[int, int],
    photo: str | None,
    only_photo: bool,
) -> PhotoKeypoints:
    entries, image, chosen_note = entries_of(listing, photo, only_photo)
    people, notes = _people(listing, entries, forced)
    called = "the photo" if photo is None else Path(photo).name
    if not people:
        raise InputError(f"it has no person with keypoints of a body for {called}")
    scaling = scaling_of(
        [person.points for person in people],
        image_size,
        None if image is None else image.size,
        called,
        listing.structure,
    )
    if scaling.fractions and listing.structure == "entries" and people[0].in_space:
        raise InputError("its points are in space, in metres and not in pixels; give those in 2-D")
    people = [replace(p, points=scaling.points(p.points)) for p in people]
    large = [person for person in people if not too_small(person.points)]
    if not large:
        raise InputError(
            f"all keypoints of {people[0].entry.place} lie at one place, within 8 pixels or less"
        )
    small_note = (
        f"{len(people) - len(large)} of {len(people)} people, with all keypoints at one place, "
        "were left out"
        if len(large) < len(people)
        else ""
    )
    outside_note = check_inside([person.points for person in large], image_size, called)
    found = [_evidence(person, listing, scaling) for person in large]
    found.sort(key=lambda person: person_size(person.box_px.numpy()), reverse=True)
    turned = scaling.fractions and all(upside_down(person.points) for person in large)
    turned_note = UPSIDE_DOWN if turned else ""
    notes = [*notes, chosen_note, scaling.note, small_note, outside_note, turned_note]
    return PhotoKeypoints(
        ImageEvidence(image_size, tuple(found)),
        tuple(f"{file_name}: {note}" for note in notes if note),
    )


def _people(
    listing: Listing, entries: Sequence[Entry], forced: Order | None
) -> tuple[list[_Person], list[str]]:
    """The people with at least one known point, and notes on how they were read."""
    tables: list[tuple[Entry, PointTable]] = []
    for entry in entries:
        count = len(forced) if forced is not None else len(entry.names or ())
        if listing.structure == "landmarks":
            count = count or _KEYPOINTS
        table = read_points(entry.points, entry.place, entry.scores, count)
        if table is not None:
            tables.append((entry, table))
    meaning = meaning_in(listing, [table.xyc for _, table in tables])
    known = [(e, t, with_confidence(t.xyc, meaning)) for e, t in tables]
    known = [(e, t, points) for e, t, points in known if points[:, 2].any()]
    for entry, _, points in known:
        check_coordinates(points, entry.place)
    orders = _Orders(forced, [points for _, _, points in known])
    people = []
    for entry, table, points in known:
        spread = _spread(points, orders.of(entry, table))
        if spread[:, 2].any():
            people.append(_Person(entry, spread, table.in_space))
    notes = [f"read as {listing.tool}, {what}" for what in orders.described]
    if any(person.in_space for person in people):
        notes.append("its points have a depth, which is not used")
    if meaning == "unmarked":
        notes.append("no keypoint in it is marked as labelled; all were taken for visible")
    return people, notes


class _Orders:
    """The orders of a file's people: each is found once, from all people who have it."""

    def __init__(self, forced: Order | None, people: Sequence[Float[np.ndarray, "n 3"]]) -> None:
        self.forced = forced
        self.people = people
        self.described: list[str] = []
        self._known: dict[tuple[int, tuple[str, ...] | None], Order] = {}

    def of(self, entry: Entry, table: PointTable) -> Order:
        """The order of one person's points.

        Raises:
            InputError: it is not known, or not the one that the user named.
        """
        names = table.names or entry.names
        key = (len(table.xyc), names)
        if key not in self._known:
            order, how = self._find(len(table.xyc), names, entry.place)
            self._known[key] = order
            self.described.append(f"{len(table.xyc)} points ({order.title}{how})")
        return self._known[key]

    def _find(self, count: int, names: tuple[str, ...] | None, place: str) -> tuple[Order, str]:
        if self.forced is not None:
            if count != len(self.forced):
                raise InputError(
                    f"{place} has {count} points, but {self.forced.name} has {len(self.forced)}"
                )
            return self.forced, ""
        named = None if names is None else order_of_names(names, place)
        if named is not None and len(named) == count:
            return named, ""
        order, by_bones = order_of_points(
            count, [points for points in self.people if len(points) == count], place
        )
        if named is not None and order.names[: len(named)] != named.names:
            raise InputError(f"{place} has {count} points, but the file names {len(named)}")
        return order, ", as the bones tell; if not, give the keypoints' format" if by_bones else ""


def _spread(points: Float[np.ndarray, "n 3"], order: Order) -> Float[np.ndarray, "33 3"]:
    """Points in some order as BlazePose's 33; (0, 0) with confidence 0 where there is none."""
    spread = np.zeros((_KEYPOINTS, 3))
    for row, point in zip(order.rows, points, strict=True):
        if row >= 0 and point[2] > 0:
            spread[row] = point
    return spread


def _evidence(person: _Person, listing: Listing, scaling: Scaling) -> PersonEvidence:
    seen = person.points[person.points[:, 2] > 0]
    box_px = _box(person, scaling)
    if box_px is None:
        low, high = seen[:, :2].min(axis=0), seen[:, :2].max(axis=0)
        margin = _BOX_MARGIN * (high - low).max()
        box_px = np.concatenate((low - margin, high + margin))
    score = number(person.entry.score, f"the score of {person.entry.place}")
    if np.isnan(score):
        labelled = listing.structure in ("annotations", "entries")
        score = 1.0 if labelled else float(seen[:, 2].mean())
    size_px = person_size(box_px)
    std = keypoint_std_px(person.points[:, 2], size_px, _REGION_PER_SIZE * size_px)
    return PersonEvidence(
        keypoints_px=torch.from_numpy(person.points).float(),
        keypoint_std_px=torch.from_numpy(std).float(),
        world_m=None,
        box_px=torch.from_numpy(box_px).float(),
        score=float(np.clip(score, 0.0, 1.0)),
    )


def _box(person: _Person, scaling: Scaling) -> Float[np.ndarray, " 4"] | None:
    """The file's own box in pixels; None where it has none, or one that is not this person's."""
    entry = person.entry
    if entry.box is None or entry.box == []:
        return None
    box = numbers(entry.box, f"the box of {entry.place}")
    corners = entry.box_form == "x0, y0, x1, y1" or len(box) == 5
    if len(box) not in (4, 5):
        raise InputError(f"the box of {entry.place} has to be 4 numbers, but it has {len(box)}")
    box = box[:4]  # MMDetection puts a score behind the corners
    if not (np.abs(box) <= MAX_COORDINATE).all():
        return None
    if not corners:
        box[2:] += box[:2]
    box = scaling.box(box)
    low, high = box[:2], box[2:]
    xy = person.points[person.points[:, 2] > 0, :2]
    slack = _BOX_SLACK * (high - low)
    inside = ((xy >= low - slack) & (xy <= high + slack)).all(axis=1)
    return box if (high > low).all() and inside.mean() > _IN_BOX else None
