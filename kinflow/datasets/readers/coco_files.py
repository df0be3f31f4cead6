"""COCO's annotation files: people one at a time, with the pictures they are in.

Files have 450 MB, so they are streamed. Images stand before annotations as COCO writes them; where
they do not, the file is gone through twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kinflow.body.keypoints import COCO17
from kinflow.datasets.readers.records import OnFault, raised
from kinflow.errors import InputError
from kinflow.files.json_stream import read_members

_PERSON = 1
_MAX_SIDE_PX = 100_000


@dataclass(frozen=True)
class CocoImage:
    """An image that annotations are about; the name is as the file gives it."""

    name: str
    size: tuple[int, int]


@dataclass(frozen=True)
class CocoPerson:
    """One annotation of a person, as parsed."""

    id: int
    image: CocoImage
    fields: dict[str, Any]


@dataclass
class _Header:
    """What was met so far beside annotations."""

    images: dict[int, CocoImage] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)


def read_people(path: Path, on_fault: OnFault = raised) -> Iterator[CocoPerson]:
    """The people of an annotation file in its order.

    Annotations of other categories are passed over.

    Args:
        path: the file.
        on_fault: is told of entries of images and annotations that cannot be right, such as two of
            one number, of which the first counts.

    Raises:
        InputError: the file is damaged, names its points otherwise than COCO, or has no images or
            annotations.
    """
    header, seen, anything = _header(path, on_fault), set(), False
    for member, number, value in _listed(path):
        if member == "categories":
            _category(path, number, value, header)
        if member != "annotations":
            continue
        anything = True
        try:
            person = _person(path, number, value, header, seen)
        except InputError as error:
            on_fault(error)
            continue
        if person is not None:
            yield person
    if not anything:
        raise InputError(f"'{path}' has no annotations; take the annotation file, not image_info.")


def read_images(path: Path) -> list[CocoImage]:
    """All images of an annotation file, those that show nobody too.

    Raises:
        InputError: the file is damaged, or an image cannot be right.
    """
    return list(_header(path, raised).images.values())


def _person(
    path: Path, number: int, value: Any, header: _Header, seen: set[int]
) -> CocoPerson | None:
    """An annotation; None of one of another category."""
    here = f"annotations[{number}] of '{path}'"
    fields = _object(value, here)
    if not _is_person(fields, header, here):
        return None
    own = whole(fields, "id", here)
    if own in seen:
        raise InputError(f"{here} has the number {own}, which another one has too.")
    seen.add(own)
    image = header.images.get(whole(fields, "image_id", here))
    if image is None:
        raise InputError(
            f"{here} is about image {fields['image_id']}, which is not listed, or not rightly."
        )
    return CocoPerson(own, image, fields)


def _listed(path: Path) -> Iterator[tuple[str, int, Any]]:
    """Elements of the lists that are read here; InputError where one is no list."""
    for member, number, value in read_members(path):
        if member in ("images", "annotations", "categories"):
            if number < 0:
                raise InputError(f"'{member}' of '{path}' is no list.")
            yield member, number, value


def _header(path: Path, on_fault: OnFault) -> _Header:
    """Images, and categories if they stand before annotations."""
    header = _Header()
    for member, number, value in _listed(path):
        if member == "annotations" and header.images:
            break
        if member == "images":
            try:
                _image(path, number, value, header)
            except InputError as error:
                on_fault(error)
        elif member == "categories":
            _category(path, number, value, header)
    if not header.images:
        raise InputError(f"'{path}' lists no images, as COCO's annotation files do.")
    return header


def _image(path: Path, number: int, value: Any, header: _Header) -> None:
    here = f"images[{number}] of '{path}'"
    fields = _object(value, here)
    own = whole(fields, "id", here)
    if own in header.images:
        raise InputError(f"{here} has the number {own}, which another one has too.")
    name = fields.get("file_name")
    if not isinstance(name, str):
        raise InputError(f"{here} has no 'file_name'.")
    size = whole(fields, "width", here), whole(fields, "height", here)
    if min(size) < 1 or max(size) > _MAX_SIDE_PX:
        raise InputError(f"{here} cannot be {size[0]} by {size[1]} pixels.")
    header.images[own] = CocoImage(name, size)


def _category(path: Path, number: int, value: Any, header: _Header) -> None:
    here = f"categories[{number}] of '{path}'"
    fields = _object(value, here)
    name = str(fields.get("name"))
    header.kinds[whole(fields, "id", here)] = name
    points = fields.get("keypoints")
    if name == "person" and points is not None and tuple(points) != COCO17:
        raise InputError(
            f"{here} names points otherwise than COCO's 17; this is another dataset in its format."
        )


def _is_person(fields: dict[str, Any], header: _Header, here: str) -> bool:
    """Categories may follow annotations; COCO's number of people is 1 then."""
    kind = whole(fields, "category_id", here)
    return header.kinds.get(kind, "") == "person" if header.kinds else kind == _PERSON


def _object(value: Any, here: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{here} is no object with named fields.")
    return value


def whole(fields: dict[str, Any], name: str, here: str) -> int:
    """A whole number of 63 bits; InputError otherwise."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 1 << 63:
        told = "is missing" if value is None else "is no whole number"
        raise InputError(f"'{name}' of {here} {told}.")
    return value
