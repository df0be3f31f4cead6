"""Result folders of earlier runs: what they were made from, and whether they do for this one."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from kinflow.errors import InputError
from kinflow.export.people_files import JSON_NAME, NPZ_NAME
from kinflow.export.people_schema import FORMAT
from kinflow.files import folders
from kinflow.files.atomic import explained
from kinflow.files.json_files import read_json
from kinflow.files.marker import MARKER_NAME, Marker
from kinflow.files.npz_files import read_npz
from kinflow.files.reading import MAX_FILE_BYTES, check_file, readable

NAMES_OF_FILES = frozenset({NPZ_NAME, JSON_NAME, "overlay.png", "scene.glb", "viewer.html"})
"""All that kinflow writes into the result folder of a photo, beside the marker."""
_OF_CLIPS = re.compile(r"overlay\.(webm|mp4)|person_[0-9]{1,10}\.bvh")
"""What it also writes into that of a clip."""
_CHUNK_BYTES = 1 << 20
_LISTED_CHARS = 400
_ANEW = "overwrite them"


@dataclass(frozen=True)
class Origin:
    """What a result folder was made from."""

    photo: str = ""
    """Path of the photo, for people to read."""
    photo_sha256: str = ""
    """Its content; empty when it is not known."""
    options: Mapping[str, Any] | None = None
    """Options that differ from their defaults, by name, as plain text or numbers; None when they
    are not known."""
    inputs_sha256: str = ""
    """The content of all other files that were read for it: keypoints, maps, a prior."""
    stopped_after_s: float | None = None
    """How far into a clip the work came before it was stopped; None where it was not."""

    def details(self) -> dict[str, Any]:
        """What the marker says about it."""
        known = {
            "photo": self.photo,
            "photo_sha256": self.photo_sha256,
            "inputs_sha256": self.inputs_sha256,
            "options": self.options,
            "stopped_after_s": self.stopped_after_s,
        }
        return {name: value for name, value in known.items() if value not in (None, "")}


def inputs_sha256(paths: Sequence[Path]) -> str:
    """Digest of the content of several files, such as keypoints; empty for none of them.

    Raises:
        InputError: one does not exist or cannot be read.
    """
    digests = "".join(_digest_now(path) for path in paths)
    return hashlib.sha256(digests.encode()).hexdigest() if digests else ""


def _digest_now(path: Path) -> str:
    check_file(path)
    status = path.stat()
    return _digest(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _digest(path: Path, _mtime_ns: int, _size: int) -> str:
    # one file of keypoints may be of hundreds of megabytes, and of hundreds of photos
    return photo_sha256(path)


def photo_sha256(path: Path, at_most: int = MAX_FILE_BYTES) -> str:
    """Digest of a photo's or a clip's content.

    Args:
        path: the file.
        at_most: bytes above which it cannot be what is wanted.

    Raises:
        InputError: it does not exist, cannot be read or is too large.
    """
    check_file(path, at_most)
    digest = hashlib.sha256()
    with readable(path), open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def is_made(folder: Path, files: tuple[str, ...], origin: Origin) -> bool:
    """Whether a folder holds these results already, and all of them: of a clip that was stopped it
    does not.

    Args:
        folder: the result folder.
        files: names of the files that are wanted.
        origin: what they would be made from.

    Raises:
        InputError: kinflow made the folder, but it lacks a file or comes from something else; the
            sentence says which.
    """
    marker = made_by_kinflow(folder)
    if marker is None:
        return False
    unfinished = _reach_s(marker) < math.inf
    lacking = sorted(
        name for name in files if name not in marker.files or not (folder / name).is_file()
    )
    if lacking and not unfinished:
        raise InputError(
            f"The folder '{folder}' holds results of an earlier run, but no {lacking[0]}; "
            f"{_ANEW}, or choose another output folder.",
            {_ANEW: "overwrite"},
        )
    known = marker.details.get("photo_sha256")
    if known and origin.photo_sha256 and known != origin.photo_sha256:
        raise InputError(
            f"The folder '{folder}' holds results of another photo, or of '{origin.photo}' as it "
            f"was before it changed; {_ANEW}, or choose another output folder.",
            {_ANEW: "overwrite"},
        )
    options = marker.details.get("options")
    if options is not None and origin.options is not None and options != origin.options:
        raise InputError(
            f"The folder '{folder}' holds results that were made with other options "
            f"({_listed(options)}); {_ANEW}, or choose another output folder.",
            {_ANEW: "overwrite"},
        )
    inputs = marker.details.get("inputs_sha256")
    if inputs and origin.inputs_sha256 and inputs != origin.inputs_sha256:
        raise InputError(
            f"The folder '{folder}' holds results from before the keypoints, maps or prior that "
            f"you give changed; {_ANEW}, or choose another output folder.",
            {_ANEW: "overwrite"},
        )
    return not unfinished


def reach_s(folder: Path) -> float | None:
    """How far into a clip the results in a folder go: None without any, infinite for all of it."""
    marker = made_by_kinflow(folder)
    return None if marker is None else _reach_s(marker)


def _reach_s(marker: Marker) -> float:
    reach = marker.details.get("stopped_after_s")
    return float(reach) if isinstance(reach, int | float) else math.inf


def files_sha256(paths: Sequence[Path]) -> str:
    """Digest of the names and the content of several files, such as images of a sequence.

    Raises:
        InputError: one does not exist or cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{photo_sha256(path)} {os.fsencode(path.name).hex()}\n".encode())
    return digest.hexdigest()


def made_after(folder: Path, time_ns: int) -> bool:
    """Whether kinflow made a folder after this moment."""
    try:
        return (folder / MARKER_NAME).stat().st_mtime_ns >= time_ns
    except OSError:
        return False


def made_by_kinflow(folder: Path) -> Marker | None:
    """The marker of a result folder, or what it would be for one of kinflow 0.1.0."""
    if not folder.is_dir():
        return None
    return _marker(folder) or _of_0_1_0(folder)


def _marker(folder: Path) -> Marker | None:
    try:
        return Marker.read(folder)
    except OSError as error:  # no permission to look into the folder
        raise InputError(f"'{folder}' cannot be read ({error.strerror or error}).") from error


def check_destination(folder: Path, files: tuple[str, ...], overwrite: bool) -> None:
    """`kinflow.files.folders.check_destination`, for which folders of 0.1.0 are kinflow's too.

    They had no marker. With `overwrite` they get one, so that they may be replaced.

    A marker that lists other files than kinflow writes does not come from it, and must not say
    what may be deleted.

    Raises:
        InputError: something is in the way.
    """
    marker = None if folder.is_symlink() else _marker(folder)
    others = sorted(filter(_is_foreign, marker.files)) if marker else []
    if overwrite and others:
        raise InputError(
            f"The marker of '{folder}' lists {others[0][:80]!r}, which kinflow does not write, so "
            "the folder is left alone; choose another output folder."
        )
    if not folder.is_symlink() and folder.is_dir() and marker is None:
        old = _of_0_1_0(folder)
        if old is not None and not overwrite:
            raise InputError(
                f"The folder '{folder}' exists already and is not empty; choose another one or "
                "ask to overwrite it.",
                {"overwrite it": "overwrite"},
            )
        if old is not None:
            with explained(folder):
                old.write(folder)
    folders.check_destination(folder, files, overwrite)


def _is_foreign(name: str) -> bool:
    return name not in NAMES_OF_FILES and not _OF_CLIPS.fullmatch(name)


def _of_0_1_0(folder: Path) -> Marker | None:
    """Recognised by its files: no others, and a people file that says that it is kinflow's."""
    try:
        entries = list(folder.iterdir())
    except OSError:
        return None
    names = {entry.name for entry in entries}
    if not names or not names <= NAMES_OF_FILES:
        return None
    if any(entry.is_symlink() or not entry.is_file() for entry in entries):
        return None
    return Marker(tuple(sorted(names)), version="0.1.0") if _has_people(folder, names) else None


def _has_people(folder: Path, names: set[str]) -> bool:
    try:
        if NPZ_NAME in names:
            stored = read_npz(folder / NPZ_NAME, names=("format",)).get("format", np.array(""))
            return str(stored) == FORMAT
        document = read_json(folder / JSON_NAME) if JSON_NAME in names else None
    except InputError:
        return False
    return isinstance(document, dict) and document.get("format") == FORMAT


def _listed(options: Mapping[str, Any]) -> str:
    if not isinstance(options, Mapping) or not options:
        return "the default ones"
    listed = ", ".join(f"{name}={value}" for name, value in options.items())
    return listed if len(listed) <= _LISTED_CHARS else f"{listed[:_LISTED_CHARS]}..."
