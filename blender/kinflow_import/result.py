# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: 2026 the kinflow authors
"""Reads a result folder: who is in which frame, how far each body can be relied on, the cameras.

`people.npz` is read, or `people.json` where that is missing; of all their fields
(kinflow's docs/conventions.md) these few matter here. Bodies and motion come from `scene.glb`.
"""

import hashlib
import json
import os
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .lens import Lens

FORMAT = "kinflow people 1"
SCENE = "scene.glb"
MARKER = ".kinflow"
MAX_BYTES = 256 << 20
ANEW = "is damaged; make the results anew, or this file with kinflow convert --to glb."

SENTENCES = {
    "ok": "The body explains the image well.",
    "uncertain": "Nothing in the picture speaks against it, but bodies that are seen as vaguely, "
    "lean as far or are as far off the floor are often wrong.",
    "truncated": "Part of the person is not in view; what is hidden is the prior's best guess.",
    "ambiguous": "Several different poses explain the image almost equally well; see hypotheses.",
    "no_parts": "The body parts of the image could not be used; the body follows keypoints alone.",
    "poor_fit": "The body does not follow the keypoints closely; do not rely on this person.",
    "few_keypoints": "Too few keypoints were visible to determine a pose; this is mostly a guess.",
    "implausible": "Size, distance or place cannot be right; check that keypoints, photo and focal "
    "length belong together.",
    "not_seen": "The person was missed in this frame; the body is that of the motion around it.",
}
"""What each code means, in the words of kinflow."""


class ResultError(Exception):
    """A folder cannot be imported; the message is a sentence for whoever chose it."""


@dataclass(frozen=True)
class View:
    """One frame of the source: its number in it, its time since the start, its camera."""

    index: int
    time_s: float
    lens: Lens


@dataclass(frozen=True)
class Body:
    """One person in one frame."""

    person: int
    frame: int
    code: str
    score: float
    height_m: float


@dataclass(frozen=True)
class Result:
    """What a result folder holds."""

    folder: Path
    source: str
    """Path of the photo or clip as kinflow was given it."""
    source_sha256: str
    """Its content; empty where it is not known."""
    views: tuple[View, ...]
    """At least one, in order of time."""
    bodies: tuple[Body, ...]

    @property
    def is_clip(self):
        return len(self.views) > 1

    @property
    def has_all_frames(self):
        """Whether no frame was left out between the first and the last."""
        return self.views[-1].index - self.views[0].index == len(self.views) - 1

    def people(self):
        """Numbers of all persons, in order."""
        return sorted({body.person for body in self.bodies})

    def of_person(self, person):
        """The bodies of a person, in order of time."""
        return [body for body in self.bodies if body.person == person]


def read(folder):
    """Read the result folder of one photo or clip.

    Raises:
        ResultError: it is none, lacks a file, or is damaged.
    """
    folder = Path(folder)
    if not (folder / SCENE).is_file():
        raise ResultError(_without_scene(folder))
    if not _is_glb(folder / SCENE):
        raise ResultError(f"'{folder.name}/{SCENE}' {ANEW}")
    document = _document(folder)
    try:
        if document["format"] != FORMAT:
            raise ResultError(f"The people of '{folder.name}' are of a format that is not known.")
        views, bodies = _views(document), _bodies(document)
        if not {body.frame for body in bodies} <= {view.index for view in views}:
            raise ValueError("somebody is in a frame that there is not")
        source, digest = str(document["source"]), str(_marker(folder).get("photo_sha256", ""))
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise ResultError(f"The people of '{folder.name}' are damaged ({error}).") from error
    return Result(folder, source, digest, views, bodies)


def _without_scene(folder):
    inside = sorted(p.parent.name for p in folder.glob(f"*/{SCENE}")) if folder.is_dir() else []
    if inside:
        return f"'{folder.name}' holds several results; choose one of them, such as '{inside[0]}'."
    return (
        f"There is no {SCENE} in '{folder.name}'; choose the folder that kinflow made of one photo "
        "or clip, with the format glb."
    )


def _is_glb(path):
    """Whether a file begins like a binary glTF 2 and is as long as it says."""
    with open(path, "rb") as stream:
        head = stream.read(12)
    size = len(head) == 12 and struct.unpack("<II", head[4:])
    return head[:4] == b"glTF" and size == (2, os.path.getsize(path))


def _document(folder):
    """The fields of a people file as columns: a list or array a field."""
    for name, reader in (("people.npz", _from_npz), ("people.json", _from_json)):
        path = folder / name
        if path.is_file():
            if path.stat().st_size > MAX_BYTES:
                raise ResultError(f"'{name}' is larger than such files can be.")
            try:
                return reader(path)
            except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
                raise ResultError(f"'{folder.name}/{name}' is damaged ({error}).") from error
    raise ResultError(f"'{folder.name}' has neither people.npz nor people.json.")


_FILE = ("format", "source", "focal_px", "principal_px", "image_size")
_FRAMES = ("index", "time_s", "focal_px", "principal_px", "image_size")
_PEOPLE = ("person", "frame", "code", "score", "height_m")


def _from_npz(path):
    names = (*_FILE, *_PEOPLE, *(f"frame_{name}" for name in _FRAMES))
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name].tolist() for name in names if name in arrays.files}


def _from_json(path):
    document = json.loads(path.read_text(encoding="utf8"))
    columns = {name: document[name] for name in _FILE}
    for name in _PEOPLE:
        columns[name] = [entry[name] for entry in document["people"]]
    if document.get("frames"):
        for name in _FRAMES:
            columns[f"frame_{name}"] = [entry[name] for entry in document["frames"]]
    return columns


def _views(document):
    if not document.get("frame_index"):  # files of the first version know of one frame
        lens = Lens.of(*(document[name] for name in ("focal_px", "principal_px", "image_size")))
        return (View(0, 0.0, lens),)
    columns = (document[f"frame_{name}"] for name in _FRAMES)
    return tuple(
        View(int(index), float(time_s), Lens.of(*lens))
        for index, time_s, *lens in zip(*columns, strict=True)
    )


def _bodies(document):
    columns = (document[name] for name in _PEOPLE)
    return tuple(
        Body(int(person), int(frame), str(code), float(score), float(height_m))
        for person, frame, code, score, height_m in zip(*columns, strict=True)
    )


def _marker(folder):
    """What the folder's marker says; nothing where there is none or it is damaged."""
    try:
        document = json.loads((folder / MARKER).read_text(encoding="utf8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def code_runs(result, person, scene_frame):
    """When a person's code changes, as `[first scene frame, code]`; empty while nobody is there.

    Args:
        result: the result.
        person: number of the person.
        scene_frame: the scene frame of a view.
    """
    codes = {body.frame: body.code for body in result.of_person(person)}
    runs = []
    for view in result.views:
        code = codes.get(view.index, "")
        if not runs or runs[-1][1] != code:
            runs.append([scene_frame(view), code])
    return runs


def code_at(runs, frame):
    """The code at a scene frame; before the first one that of the first."""
    code = runs[0][1]
    for first, name in runs:
        if first <= frame:
            code = name
    return code


def summary(result, person):
    """A line about a person: the code (of a clip how often which), the height, the score."""
    bodies = result.of_person(person)
    counts = {}
    for body in bodies:
        counts[body.code] = counts.get(body.code, 0) + 1
    common = sorted(counts, key=counts.get, reverse=True)
    if len(bodies) == 1:
        codes = common[0]
    else:
        codes = ", ".join(f"{code} {100 * counts[code] / len(bodies):.0f} %" for code in common[:3])
    height_m = sorted(body.height_m for body in bodies)[len(bodies) // 2]
    score = sum(body.score for body in bodies) / len(bodies)
    return f"{codes}; {height_m:.2f} m; detection {score:.2f}"


def same_file(path, sha256, at_most=1 << 30):
    """Whether a file may be the one with that checksum; large ones are taken on trust."""
    if not sha256 or os.path.getsize(path) > at_most:
        return True
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest() == sha256
