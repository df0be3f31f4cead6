"""People in photographs, who were told apart by eye: who is a child, and who sits.

`photographs.csv` names photographs of COCO by their number there, and for people who are clearly
visible in them a place on chest or head, in pixels, and whether they are children; `seated.csv` the
same of people whose legs cannot be seen, and whether they sit, where that can be told nevertheless;
`riders.csv` of people about whom bicycles, motorcycles or horses are, and whether they ride.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from runs import Sets

from kinflow.evaluation.value_files import read_values, write_values
from kinflow.evaluation.world_sets import detector_key
from kinflow.evidence.image import Photo, read_photo
from kinflow.evidence.types import ImageEvidence, PersonEvidence
from kinflow.geometry.pinhole import Camera

CHILDREN = Path(__file__).with_name("photographs.csv")
SEATED = Path(__file__).with_name("seated.csv")
RIDERS = Path(__file__).with_name("riders.csv")
_FARTHEST = 0.5
_MARGIN = 0.1


@dataclass(frozen=True)
class Placed:
    """Somebody in a photograph."""

    photo: str
    at_px: tuple[float, float]


@dataclass(frozen=True)
class Labelled(Placed):
    """Somebody in a photograph, and what they were found to be by eye."""

    label: bool


PlacedT = TypeVar("PlacedT", bound=Placed)


@dataclass(frozen=True)
class Photographed:
    """Somebody who was found, as a row of the evidence of their photograph."""

    labelled: Labelled
    evidence: ImageEvidence
    row: int
    camera: Camera


def photographed(sets: Sets, folder: Path, people: Path) -> Iterator[Photographed]:
    """Everybody of a list who is found in the photographs of a folder."""
    for name, labelled in labelled_people(people).items():
        photo = read_photo(folder / f"{name}.jpg")
        evidence = detected(sets, name, photo)
        camera = sets.reconstructor.camera(photo)
        for person, row in matched(labelled, evidence.people):
            yield Photographed(person, evidence, row, camera)


def labelled_people(people: Path) -> dict[str, list[Labelled]]:
    found: dict[str, list[Labelled]] = defaultdict(list)
    with people.open(newline="") as lines:
        for photo, x, y, label in list(csv.reader(lines))[1:]:
            found[photo].append(Labelled(photo, (float(x), float(y)), label == "1"))
    return found


def detected(sets: Sets, name: str, photo: Photo) -> ImageEvidence:
    """What the detector sees in a photograph, kept where there is a cache."""
    if (cache := sets.config.cache) is None:
        return sets.reconstructor.detector.detect(photo.rgb)
    path = cache / f"photographs_{detector_key()}" / f"{name}.safetensors"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_values(path, [sets.reconstructor.detector.detect(photo.rgb)])
    return read_values(path)[0]


def matched(
    listed: Sequence[PlacedT], people: tuple[PersonEvidence, ...]
) -> Iterator[tuple[PlacedT, int]]:
    """People of a list with the nearest detection around their place, the nearest pairs first: of
    two on the list who are close to one detection, it is the closer one's."""
    far = {
        (distance(one.at_px, seen), i, row)
        for i, one in enumerate(listed)
        for row, seen in enumerate(people)
    }
    found: dict[int, int] = {}
    for away, i, row in sorted(far):
        if away < _FARTHEST and i not in found and row not in found.values():
            found[i] = row
    for i, one in enumerate(listed):
        if i in found:
            yield one, found[i]


def distance(at_px: tuple[float, float], seen: PersonEvidence) -> float:
    """From a place to the middle of head and shoulders, in sizes of the person; infinite outside
    of their box."""
    at = torch.tensor(at_px)
    low, high = seen.box_px[:2], seen.box_px[2:]
    size = float((high - low).max())
    if bool((at < low - _MARGIN * size).any() or (at > high + _MARGIN * size).any()):
        return torch.inf
    upper = seen.keypoints_px[:13, :2]
    known = (upper != 0).any(1)  # of those whom only MoveNet saw fewer are
    return float((upper[known].mean(0) - at).norm()) / size
