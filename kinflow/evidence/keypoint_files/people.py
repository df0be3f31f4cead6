"""From the entries of a file of keypoints to the evidence of one photo.

Stages: choose the entries of the photo (`selection`), read their points (`values`), find out what
their third number means (`confidence`) and in which order they are (`orders`), bring them to pixels
of the photo (`scale`), spread them over BlazePose's 33.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from kinflow.errors import InputError
from kinflow.evidence.error_model import keypoint_std_px
from kinflow.evidence.keypoint_files.confidence import meaning_in, with_confidence
from kinflow.evidence.keypoint_files.listing import Entry, Listing
from kinflow.evidence.keypoint_files.orders import Order, order_of_names, order_of_points
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
from kinflow.evidence.keypoint_files.values import PointTable, number, numbers, read_points
from kinflow.evidence.people import person_size
from kinflow.evidence.types import ImageEvidence, PersonEvidence

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
class _Person:
    """One person between the file and the photo."""

    entry: Entry
    points: Float[np.ndarray, "33 3"]
    """x, y as in the file, confidence in [0, 1]."""
    in_space: bool = False
    """Whether the file has a depth for each point."""


def photo_keypoints(
    file_name: str,
    listing: Listing,
    forced: Order | None,
    image_size: tuple[int, int],
    photo: str | None,
    only_photo: bool,
) -> PhotoKeypoints:
    """The evidence of a photo, by what a file lists.

    Args:
        file_name: of the file, for notes.
        listing: what it holds.
        forced: order of the points that the user names; None tells it by the points.
        image_size: (width, height) of the upright photo in pixels.
        photo: its path or name; None takes a file that is about one image for it.
        only_photo: whether the photo is the only one, so that a file that names none can be of it.

    Raises:
        InputError: there is nobody for this photo, or the numbers cannot be right.
    """
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
