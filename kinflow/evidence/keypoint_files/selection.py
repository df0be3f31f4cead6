"""Which entries of a file belong to a photo.

Files name an image by its file name, with or without folders and suffix, or by a number. A file
that names no image is about one photo, so it is not put on several; a number that is no photo's
name (results count their images from 0 or 1) is only accepted where it is the only one, for the
only photo.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

from kinflow.errors import InputError
from kinflow.evidence.keypoint_files.listing import Entry, ImageRef, Listing

_SHOWN = 5


def entries_of(
    listing: Listing, photo: str | None, only_photo: bool
) -> tuple[tuple[Entry, ...], ImageRef | None, str]:
    """The entries that belong to a photo, the image that they name, and a note on how it was found.

    Args:
        listing: the file.
        photo: path or name of the photo; None accepts a file that is about one image.
        only_photo: whether the file is used for this photo alone.

    Raises:
        InputError: none belong to it, or it is not clear which do.
    """
    refs = _distinct(listing)
    if not refs:
        if not only_photo:
            raise InputError(
                "the file does not say which photo it belongs to, so it cannot be used for several "
                "photos; give one photo, or a folder with one file a photo (<photo>.json)"
            )
        sizes = [entry.image for entry in listing.entries if entry.image is not None]
        return listing.entries, sizes[0] if sizes else None, ""
    image, note = _image_of(refs, photo, only_photo)
    chosen = tuple(entry for entry in listing.entries if entry.image == image)
    if not chosen:
        raise InputError(f"the file lists {image}, but nobody in it")
    return chosen, image, note


def _distinct(listing: Listing) -> list[ImageRef]:
    refs = dict.fromkeys(entry.image for entry in listing.entries if entry.image is not None)
    refs.update(dict.fromkeys(listing.images))
    return [ref for ref in refs if ref.says_which]


def _image_of(refs: list[ImageRef], photo: str | None, only_photo: bool) -> tuple[ImageRef, str]:
    if photo is None:
        if len(refs) > 1:
            raise InputError(f"{_about(refs)}; say which one is meant by its name")
        return refs[0], ""
    for matches in (_same_name, _same_stem, _same_number):
        found = [ref for ref in refs if matches(ref, photo)]
        if found:
            note = "" if matches is _same_name else f"{found[0]} in it was taken for {_base(photo)}"
            return _nearest(found, photo), note
    if only_photo and len(refs) == 1 and refs[0].name is None and _is_counter(refs[0].id):
        return refs[0], f"{refs[0]}, the only one in it, was taken for {_base(photo)}"
    raise InputError(f"it has no person for {_base(photo)}: {_about(refs)}")


def _nearest(found: list[ImageRef], photo: str) -> ImageRef:
    """Of images with the same name, the one whose folders are the photo's."""
    if len(found) == 1:
        return found[0]
    depth = [_common_tail(_called(ref), photo) for ref in found]
    if depth.count(max(depth)) > 1:
        raise InputError(f"several images in it may be {_base(photo)}: {_listed(found)}")
    return found[depth.index(max(depth))]


def _about(refs: Sequence[ImageRef]) -> str:
    return f"the file is about {_listed(refs)}"


def _listed(refs: Sequence[ImageRef]) -> str:
    shown = ", ".join(str(ref)[-60:] for ref in refs[:_SHOWN])
    rest = len(refs) - _SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown


def _parts(name: str) -> list[str]:
    """Folders and name as they compare: file systems differ in case, accents and slashes."""
    return unicodedata.normalize("NFC", name).casefold().replace("\\", "/").split("/")


def _base(name: str) -> str:
    return name.replace("\\", "/").split("/")[-1]


def _named(ref: ImageRef) -> str:
    return _parts(_called(ref))[-1]


def _called(ref: ImageRef) -> str:
    return ref.name if ref.name is not None else str(ref.id)


def _same_name(ref: ImageRef, photo: str) -> bool:
    return _named(ref) == _parts(photo)[-1]


def _same_stem(ref: ImageRef, photo: str) -> bool:
    stem = PurePosixPath(_parts(photo)[-1]).stem
    return stem in (_named(ref), PurePosixPath(_named(ref)).stem)


def _same_number(ref: ImageRef, photo: str) -> bool:
    """COCO names its photos by their number: 785 is `000000000785.jpg`."""
    if ref.name is not None or ref.id is None or not re.fullmatch(r"[0-9]+", ref.id):
        return False
    digits = re.search(r"([0-9]+)$", PurePosixPath(_parts(photo)[-1]).stem.split("_")[-1])
    return digits is not None and digits[1].lstrip("0") == ref.id.lstrip("0")


def _is_counter(image_id: str | None) -> bool:
    """Whether an id counts images or frames rather than naming one."""
    return image_id is not None and re.fullmatch(r"(frame )?-?[0-9]+", image_id) is not None


def _common_tail(a: str, b: str) -> int:
    """How many parts of two paths agree, from their ends."""
    depth = 0
    for x, y in zip(reversed(_parts(a)), reversed(_parts(b)), strict=False):
        if x != y:
            break
        depth += 1
    return depth
