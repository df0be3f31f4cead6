"""COCO's annotation files: images, categories with names of the points, annotations."""

from __future__ import annotations

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
        names = None
        if categories:
            category = value.get("category_id")
            category = None if category is None else id_text(category, f"{here}.category_id")
            if category in categories:
                names = categories[category]
            elif category is not None:
                continue
        image = image_ref(value, f"{here}.")
        if image is not None and image.id in images:
            image = images[image.id]
        points = value.get("keypoints")
        if all(isinstance(value.get(key), list) for key in ("keypoints", *_WHOLEBODY_KEYS)):
            points = [v for key in ("keypoints", *_WHOLEBODY_KEYS) for v in value[key]]
            names, wholebody = None, True
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


_PEOPLE = ("person", "people", "human", "pedestrian")
_WHOLEBODY_KEYS = ("foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")


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


def _categories(content: dict[str, Any]) -> dict[str, tuple[str, ...] | None]:
    """Names of the points by number of the category: of people, where a category is called so."""
    given = content.get("categories")
    categories: dict[str, tuple[str, ...] | None] = {}
    people: set[str] = set()
    for i, value in enumerate(objects([] if given is None else given, "categories")):
        here = f"categories[{i}]"
        if value.get("id") is None:
            continue
        key = id_text(value["id"], f"{here}.id")
        names = value.get("keypoints")
        if names is not None and not isinstance(names, list):
            raise InputError(f"{here}.keypoints has to be a list of names")
        categories[key] = (
            tuple(text(n, f"{here}.keypoints[{k}]") for k, n in enumerate(names)) if names else None
        )
        if word(value.get("name")).strip().lower() in _PEOPLE:
            people.add(key)
    return {key: names for key, names in categories.items() if not people or key in people}
