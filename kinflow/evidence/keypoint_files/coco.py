"""COCO's annotation files: images, categories with names of the points, annotations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kinflow.errors import InputError
from kinflow.evidence.keypoint_files.listing import (
    Entry,
    ImageRef,
    Listing,
    id_text,
    image_ref,
    stated_size,
    word,
)
from kinflow.evidence.keypoint_files.values import objects, text


def read_annotations(content: dict[str, Any]) -> Listing:
    images = _images(content)
    categories = _categories(content)
    entries = []
    wholebody = False
    for i, value in enumerate(objects(content["annotations"], "annotations")):
        here = f"annotations[{i}]"
        category = value.get("category_id")
        category = None if category is None else id_text(category, f"{here}.category_id")
        if category in categories.others:
            continue
        names = categories.names.get(category)
        image = image_ref(value, f"{here}.")
        if image is not None and image.id in images:
            image = images[image.id]
        points = wholebody_points(value)
        if points is not None:
            names, wholebody = None, True
        else:
            points = value.get("keypoints")
        entries.append(
            Entry(
                f"{here}.keypoints",
                points,
                names=names,
                image=image,
                box=value.get("bbox"),
                score=value.get("score"),
            )
        )
    tool = "COCO-WholeBody annotations" if wholebody else "COCO annotations"
    return Listing("annotations", tool, tuple(entries), tuple(images.values()))


def wholebody_points(value: dict[str, Any]) -> list[Any] | None:
    """COCO-WholeBody's 133 points, which its files spread over fields; None where it is not one."""
    fields = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
    if not all(isinstance(value.get(field), list) for field in fields):
        return None
    return [number for field in fields for number in value[field]]


_PEOPLE = ("person", "people", "human", "pedestrian")


def _images(content: dict[str, Any]) -> dict[str | None, ImageRef]:
    images: dict[str | None, ImageRef] = {}
    given = content.get("images")
    for i, value in enumerate(objects([] if given is None else given, "images")):
        here = f"images[{i}]"
        key = None if value.get("id") is None else id_text(value["id"], f"{here}.id")
        name = value.get("file_name")
        name = None if name is None else text(name, f"{here}.file_name")
        # an image without a number belongs to no annotation
        unique = key if key is not None else f"{here}"
        images[unique] = ImageRef(name, key, stated_size(value, ("width", "height"), f"{here}."))
    return images


@dataclass(frozen=True)
class _Categories:
    """What a file says about kinds of objects, by their number."""

    names: dict[str | None, tuple[str, ...]]
    """What it calls the points of each."""
    others: frozenset[str]
    """Those that are not people, where it has some that are."""


def _categories(content: dict[str, Any]) -> _Categories:
    given = content.get("categories")
    names: dict[str | None, tuple[str, ...]] = {}
    people: set[str] = set()
    all_ids: set[str] = set()
    for i, value in enumerate(objects([] if given is None else given, "categories")):
        here = f"categories[{i}]"
        if value.get("id") is None:
            continue
        key = id_text(value["id"], f"{here}.id")
        all_ids.add(key)
        points = value.get("keypoints")
        if points is not None and not isinstance(points, list):
            raise InputError(f"{here}.keypoints has to be a list of names")
        if points:
            names[key] = tuple(text(n, f"{here}.keypoints[{k}]") for k, n in enumerate(points))
        if word(value.get("name")).strip().lower() in _PEOPLE:
            people.add(key)
    return _Categories(names, frozenset(all_ids - people if people else ()))
