"""Truth of what is labelled in pictures: COCO's keypoints, DensePose's parts, people's outlines.

Average precision needs what training does not: pictures that show nobody, in which every detection
is wrong, and the areas that annotators' outlines have. So COCO's file is read here as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from kinflow.body.keypoints import COCO17
from kinflow.body.part_maps import part_map
from kinflow.body.parts import PART_INDEX
from kinflow.datasets.readers.coco import Coco, CocoDensePose
from kinflow.datasets.readers.coco_files import CocoPerson, read_images, read_people
from kinflow.datasets.readers.coco_labels import body_keypoints, box_of
from kinflow.datasets.readers.reader import Reader, Unit, chosen_units, samples
from kinflow.datasets.sample import Sample
from kinflow.errors import InputError

SPLITS: dict[str, dict[str, str]] = {
    "coco": {"val2017": "val2017", "train2017": "train2017"},
    # the 5,000 pictures of 2014's minival are those of 2017's val
    "coco-densepose": {"minival2014": "val2017", "train2014": "train2014"},
}
"""Splits by dataset, and what protocols call them."""
_GRID = 256
"""Cells of a box's side, as DensePose's."""
_NOWHERE = (0.0, 0.0, 0.0, 0.0)


def image_truth(name: str, root: Path, split: str) -> dict[str, Any]:
    """Arrays of a file of person rows.

    Args:
        name: coco or coco-densepose.
        root: its folder.
        split: as the dataset calls it.

    Raises:
        InputError: there is no such split, or a label cannot be right: whoever compares numbers has
            to have all of them.
    """
    if split not in SPLITS[name]:
        raise InputError(f"Truth of {name} is of its splits {', '.join(SPLITS[name])}.")
    make = _keypoints if name == "coco" else _parts
    return {
        "dataset": np.array("coco"),
        "split": np.array(SPLITS[name][split]),
        **make(root, split),
    }


def _keypoints(root: Path, split: str) -> Mapping[str, np.ndarray]:
    (unit,) = chosen_units(Coco(), root, split)
    rows, seen = [], set()
    for person in read_people(unit.path):
        try:
            rows.append(_keypoint_row(person))
        except InputError as error:
            said = str(error).rstrip(".")
            raise InputError(f"Annotation {person.id} of '{unit.path}': {said}.") from error
        seen.add(person.image.name)
    nobody = np.zeros((len(COCO17), 3))
    for image in read_images(unit.path):
        if image.name not in seen:
            rows.append((image.name, nobody, _NOWHERE, 0.0, False))
    names, points, boxes, areas, crowds = zip(*rows, strict=True)
    return {
        **_places([f"{split}/{name}" for name in names]),
        "keypoint_names": np.array(COCO17),
        "keypoints_px": np.stack(points).astype(np.float32),
        "box_px": np.array(boxes, np.float32),
        "area_px2": np.array(areas),
        "crowd": np.array(crowds),
    }


def _keypoint_row(person: CocoPerson) -> tuple[str, np.ndarray, tuple[float, ...], float, bool]:
    fields, points = person.fields, np.zeros((len(COCO17), 3))
    crowd = fields.get("iscrowd", 0) == 1
    labels = None if crowd else body_keypoints(fields, person.image.size)
    if labels is not None and labels.shown is not None:
        points[:, :2] = labels.px
        points[:, 2] = labels.confidence + (labels.shown & (labels.confidence > 0))
        points[points[:, 2] == 0] = 0
    area = fields.get("area")
    if isinstance(area, bool) or not isinstance(area, int | float) or not 0 <= area < 1e10:
        raise InputError("'area' is no number of pixels")
    return person.image.name, points, box_of(fields) or _NOWHERE, float(area), crowd


def _parts(root: Path, split: str) -> Mapping[str, np.ndarray]:
    reader = CocoDensePose()
    (unit,) = chosen_units(reader, root, split)
    people = [sample for sample in reader.read(root, unit) if sample.parts is not None]
    if not people:
        raise InputError(f"'{unit.path}' has parts of nobody.")
    parts = np.stack([_our_parts(sample, unit) for sample in people])
    boxes = np.array([sample.parts.box_px for sample in people if sample.parts], np.float32)
    pictures = [s.picture.path.relative_to(root).as_posix() for s in people if s.picture]
    return {
        **_places(pictures),
        "box_px": boxes,
        "window_px": boxes,
        "parts": parts,
        "silhouette": (parts > 0).astype(np.uint8),
    }


def silhouette_truth(reader: Reader, root: Path, split: str | None, at_most: int) -> dict[str, Any]:
    """Arrays of the outlines of a dataset's people, within their boxes.

    Args:
        reader: of a dataset with masks.
        root: its folder.
        split: as the dataset calls it; all if None.
        at_most: people, those of the first pictures.

    Raises:
        InputError: it has no masks or no such split, or a mask cannot be read.
    """
    if "mask" not in reader.info.labels:
        raise InputError(f"{reader.info.title} has no masks.")
    shown = (s for s in samples(reader, root, split) if _has_outline(s))
    people = list(islice(shown, at_most))
    if not people:
        raise InputError(f"'{root}' has masks of nobody who has a box.")
    pictures = [s.picture.path.relative_to(root).as_posix() for s in people if s.picture]
    boxes = np.array([sample.box_px for sample in people], np.float32)
    return {
        "dataset": np.array("silhouettes"),
        "split": np.array("test"),
        **_places(pictures),
        "box_px": boxes,
        "window_px": boxes,
        "silhouette": np.stack([_outline(sample) for sample in people]),
    }


def _has_outline(sample: Sample) -> bool:
    named = sample.picture is not None and sample.mask is not None
    return named and sample.box_px is not None and not sample.crowd


def _outline(sample: Sample) -> np.ndarray:
    """The mask within the box, stretched to a grid."""
    if sample.mask is None or sample.box_px is None:
        raise InputError(f"'{sample.key}' has no mask or no box.")
    left, top, width, height = sample.box_px
    cells = (np.arange(_GRID) + 0.5) / _GRID
    columns, rows = (np.floor(s + cells * e).astype(int) for s, e in ((left, width), (top, height)))
    mask = sample.mask.array()
    inside = (rows >= 0) & (rows < mask.shape[0]), (columns >= 0) & (columns < mask.shape[1])
    grid = np.zeros((_GRID, _GRID), np.uint8)
    grid[np.ix_(*inside)] = mask[np.ix_(rows[inside[0]], columns[inside[1]])]
    return grid


def _our_parts(sample: Sample, unit: Unit) -> np.ndarray:
    """Parts by our numbers."""
    if sample.parts is None:
        raise InputError(f"'{sample.key}' of '{unit.path}' has no parts.")
    classes = part_map(sample.parts.palette).classes
    numbers = np.array([PART_INDEX.get(name, 0) for name in classes], np.uint8)
    return numbers[sample.parts.labels]


def _places(pictures: list[str]) -> dict[str, np.ndarray]:
    """Which picture each row is of; people are numbered within it."""
    met: dict[str, int] = {}
    people = []
    for picture in pictures:
        people.append(met.get(picture, 0))
        met[picture] = people[-1] + 1
    return {
        "sequence": np.array([Path(picture).stem for picture in pictures]),
        "frame": np.zeros(len(pictures), np.int64),
        "person": np.array(people, np.int64),
        "image": np.array(pictures),
    }
