"""Who is found in photographs: everybody that an eye sees clearly, once each, and nobody else.

`everybody.csv` names all people of photographs of COCO: a place on head or chest, the height of
what is visible of them, in pixels, and whether they are seen clearly, which those are not of whom
only legs or hair can be seen, who are out of focus, or who are a picture themselves. Those and
people of less than an eighth of the photo's height need not be found, and may. A photo without
anybody has one row. Settings are chosen on half `a`; half `b` is looked at when they are.
"""

from __future__ import annotations

import csv
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from photographs import distance
from runs import Sets, table

from kinflow.evidence.assignment import assign
from kinflow.evidence.image import Photo, read_photo
from kinflow.evidence.types import PersonEvidence

EVERYBODY = Path(__file__).with_name("everybody.csv")
LEAST_OF_PHOTO = 1 / 8
_FARTHEST = 0.5


@dataclass(frozen=True)
class Visible:
    """Somebody who is in a photograph."""

    at_px: tuple[float, float]
    height_px: float
    clear: bool

    def counts(self, photo: Photo) -> bool:
        """Whether they ought to be found."""
        return self.clear and self.height_px >= LEAST_OF_PHOTO * photo.rgb.shape[0]


@dataclass(frozen=True)
class Count:
    """Who was found in a photograph."""

    people: tuple[Visible, ...]
    """Those who ought to be."""
    missed: tuple[Visible, ...]
    duplicates: tuple[int, ...]
    """Rows of detections of somebody whom another detection shows already."""
    nobody: tuple[int, ...]
    """Rows of detections of what is not in the list."""
    seconds: float
    """Processor time of the detector."""


def found(sets: Sets) -> str:
    """Who is found of either half; nothing without photographs."""
    folder = sets.config.photographs
    if folder is None:
        return "(found: needs --photographs)\n"
    detect, rows = sets.reconstructor.detector.detect, []
    halves = everybody()
    detect(read_photo(folder / f"{next(iter(halves['a']))}.jpg").rgb)  # loads the networks
    for half, photos in halves.items():
        counts = []
        for name, people in photos.items():
            photo, begin = read_photo(folder / f"{name}.jpg"), time.process_time()
            seen = detect(photo.rgb).people
            counts.append(count(photo, people, seen, time.process_time() - begin))
        rows.append((f"{half}, {len(counts)} photos", _cells(counts)))
    columns = ("visible people", "found", "duplicates", "nobody", "ms a photo", "of 1 or 2 people")
    return table("half", columns, rows)


def everybody(people: Path = EVERYBODY) -> dict[str, dict[str, list[Visible]]]:
    """Of each half, the people of each photo."""
    halves: dict[str, dict[str, list[Visible]]] = {"a": defaultdict(list), "b": defaultdict(list)}
    with people.open(newline="") as lines:
        for photo, half, x, y, height, clear in list(csv.reader(lines))[1:]:
            in_photo = halves[half][photo]
            if x:
                in_photo.append(Visible((float(x), float(y)), float(height), clear == "1"))
    return halves


def count(
    photo: Photo, people: list[Visible], seen: tuple[PersonEvidence, ...], seconds: float
) -> Count:
    """Pairs people with detections, as near to each other as can be, and counts who is left.

    Those who ought to be found come first: a detection that may be either is one of them.
    """
    ought = [one for one in people if one.counts(photo)]
    may = [one for one in people if not one.counts(photo)]
    pairs = assign(_far(ought, seen), _FARTHEST)
    left = _without(range(len(seen)), pairs)
    far = _far(may, seen)[:, left]
    left = [left[i] for i in _without(range(len(left)), assign(far, _FARTHEST))]
    double = [row for row in left if _far(people, seen)[:, row].min(initial=1) < _FARTHEST]
    missed = [ought[i] for i in set(range(len(ought))) - {row for row, _ in pairs}]
    nobody = [row for row in left if row not in double]
    return Count(tuple(ought), tuple(missed), tuple(double), tuple(nobody), seconds)


def _far(people: list[Visible], seen: tuple[PersonEvidence, ...]) -> np.ndarray:
    far = [[distance(one.at_px, other) for other in seen] for one in people]
    return np.array(far).reshape(len(people), len(seen))


def _without(columns: Iterable[int], pairs: list[tuple[int, int]]) -> list[int]:
    return [column for column in columns if column not in {taken for _, taken in pairs}]


def _cells(counts: list[Count]) -> list[str]:
    people = sum(len(one.people) for one in counts)
    missed = sum(len(one.missed) for one in counts)
    few = [one.seconds for one in counts if len(one.people) in (1, 2)]
    return [
        str(people),
        f"{people - missed} ({1 - missed / people:.1%})",
        str(sum(len(one.duplicates) for one in counts)),
        str(sum(len(one.nobody) for one in counts)),
        f"{1000 * np.mean([one.seconds for one in counts]):.0f}",
        f"{1000 * np.mean(few):.0f}",
    ]
