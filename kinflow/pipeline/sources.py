"""What the user named, turned into a list of photos and clips and of folders for their results."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from kinflow.errors import InputError
from kinflow.evidence.image_files import IMAGE_SUFFIXES, RAW_SUFFIXES, missing_reader
from kinflow.evidence.image_sequences import is_pattern, is_sequence, name_of, pictures_of
from kinflow.evidence.video_files import VIDEO_SUFFIXES, is_clip, is_meant_as_clip
from kinflow.files.names import folder_names
from kinflow.files.reading import readable

MAX_NAMED = 3
"""Files of a kind that are named before the others are counted."""


def find_photos(
    names: tuple[str, ...], problems: list[str] | None = None, sequences: bool = False
) -> list[Path]:
    """Files for paths, folders (not recursive) and glob patterns, in order, each once, however it
    is spelt.

    Patterns of numbered images (`frames/%05d.png`) stay what they are, and stand for a clip.

    A path that does not exist is kept, so that it is reported with the others.

    Args:
        names: what the user named.
        problems: grows by a sentence for each name that holds no photos, as long as others do.
        sequences: whether a folder is a sequence of images, and stays what it is, too.

    Raises:
        InputError: a folder or pattern holds no photos, or nothing was named; with `problems`, if
            there is no photo at all.
    """
    photos: dict[Path, Path] = {}
    for name in names:
        try:
            found = _expand(name, sequences)
        except InputError as error:
            if problems is None:
                raise
            problems.append(str(error))
        else:
            for path in found:
                photos.setdefault(_spelt_one_way(path), path)
    if not photos:
        nothing = "No photos were named; give files, folders or patterns such as '*.jpg'."
        raise InputError(" ".join(problems) if problems else nothing)
    return list(photos.values())


def _spelt_one_way(path: Path) -> Path:
    """A path that is equal for all ways to spell it; links in the last place stay themselves."""
    try:
        return Path(os.path.realpath(path.parent)) / path.name
    except (OSError, ValueError):  # it cannot be, which is said when it is read
        return path


def passed_over(names: tuple[str, ...]) -> list[str]:
    """A sentence for every folder among `names` with the files in it that are left out, and why."""
    sentences = []
    for name in dict.fromkeys(names):
        if os.path.isdir(name) and (others := _scan(Path(name))[1]):
            sentences.append(f"Passed over in '{name}': {_listed(others)}.")
    return sentences


def _expand(name: str, sequences: bool) -> list[Path]:
    if not name:
        raise InputError("The name of a photo is empty; give files, folders or patterns.")
    path = Path(name)
    if is_pattern(path) or (sequences and os.path.isdir(path)):
        pictures_of(path)  # none at all is said at once, as of other folders and patterns
        return [path]
    if os.path.isdir(path):  # pathlib raises where a name is too long or a parent is locked
        found, others = _scan(path)
        if not found:
            held = f"; there is {_listed(others)}" if others else ""
            raise InputError(
                f"The folder '{name}' holds no photos (JPEG, PNG, WebP, BMP, TIFF, HEIC){held}."
            )
        return found
    if os.path.lexists(path) or not glob.has_magic(name):
        return [path]
    found = sorted(Path(p) for p in glob.glob(name, recursive=True) if os.path.isfile(p))
    if not found:
        raise InputError(f"The pattern '{name}' matches no file.")
    return found


def _scan(folder: Path) -> tuple[list[Path], dict[str, list[str]]]:
    """The photos of a folder, and the names of all other files by the reason to leave them out.

    Raises:
        InputError: the folder cannot be read.
    """
    with readable(folder):
        paths = sorted(folder.iterdir())
    photos: list[Path] = []
    others: dict[str, list[str]] = {}
    for path in paths:
        reason = _reason_against(path)
        if reason is None:
            photos.append(path)
        else:
            others.setdefault(reason, []).append(path.name)
    return photos, others


def _reason_against(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if path.name.startswith("."):
        return "hidden"
    if os.path.isdir(path):
        return "a folder"
    if suffix in RAW_SUFFIXES:
        return "a raw photo"
    if suffix in VIDEO_SUFFIXES:
        return None if is_clip(path) else "no video"
    if suffix not in IMAGE_SUFFIXES or not os.path.isfile(path):
        return "no image"
    command = missing_reader(path)
    return None if command is None else f"needs {command}"


def _listed(others: dict[str, list[str]]) -> str:
    """Names with the reason in brackets; many of a kind are counted."""
    parts = []
    for reason, names in others.items():
        count = len(names)
        if reason == "hidden":
            parts.append(f"{count} hidden file{'s' * (count > 1)}")
            continue
        more = f" and {count - MAX_NAMED} more" if count > MAX_NAMED else ""
        parts.append(f"{', '.join(names[:MAX_NAMED])}{more} ({reason})")
    return "; ".join(parts)


def result_folders(photos: list[Path], out: Path) -> list[Path]:
    """One folder a photo in `out`, named like it as far as that is safe (`folder_name`); photos of
    the same name get numbers."""
    stems = [name_of(photo) if is_sequence(photo) else photo.stem for photo in photos]
    return [out / name for name in folder_names(stems)]


def is_clip_or_sequence(path: Path) -> bool:
    """Whether frames are to be had from a path: a clip, or a folder or pattern of images."""
    return is_sequence(path) or is_meant_as_clip(path)
