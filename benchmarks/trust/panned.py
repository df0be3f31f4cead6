"""Who is known as a child in clips: photographs whose people are known, as a shaking camera pans.

Nobody moves in them. What changes from frame to frame is where and how large people are, noise,
blur and what compression leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from photographs import CHILDREN, Labelled, labelled_people, matched
from runs import Sets, percent, table

from kinflow.evidence.clip_people import ClipPeople, SeenFrame
from kinflow.evidence.image import read_photo
from kinflow.evidence.video_files import ClipFrame
from kinflow.fitting.clip import ClipFitter, SeenPeople
from kinflow.fitting.clip_tracks import with_one_shape
from kinflow.fitting.sample_kinds import CHILD_BELOW_AGE
from kinflow.fitting.sizes import looks_young
from kinflow.pipeline.reconstructor import Reconstructor
from kinflow.priors.shape import AGE
from kinflow.results import Person

WITH_CHILDREN, OF_ADULTS = 20, 40
"""Photographs."""
FRAMES, FPS = 24, 10.0
_MOST_PEOPLE = 3
_SHOWN = (0.72, 0.95)
"""Share of the photograph's sides that frames show, least and most."""
_SHAKE_PX, _NOISE, _BLUR_PX = 1.5, 3.0, 7
_QUALITY = (50, 75)


@dataclass(frozen=True)
class Panned:
    """A photograph as a clip."""

    frames: list[ClipFrame]
    places: list[np.ndarray]
    """Of each frame: from the photograph's pixels (x, y, 1) to its own."""


@dataclass(frozen=True)
class InClip:
    """Somebody of the list who is somebody in the clip, and their bodies without and with faces."""

    labelled: Labelled
    without: Person
    faces: Person
    child: float
    """By the faces, as the network says it; NaN where no face told anything."""


def panned(sets: Sets) -> str:
    """How many children are known, and adults taken for some, without and with faces' ages."""
    folder = sets.config.photographs
    if folder is None:
        return "clips: needs photographs\n"
    found = list(_everybody(sets, folder))
    rows = []
    for name, child in (("children", True), ("adults", False)):
        mine = [one for one in found if one.labelled.label == child]
        cells = [str(len(mine)), percent([not np.isnan(one.child) for one in mine])]
        cells += [percent([_is_child(one.without) for one in mine])]
        rows.append((name, [*cells, percent([_is_child(one.faces) for one in mine])]))
    columns = ("people", "show a face", "taken for children without faces", "with faces")
    return table("in clips", columns, rows)


def _everybody(sets: Sets, folder: Path) -> Iterator[InClip]:
    with_faces = sets.reconstructor
    fit = with_faces.config.fit
    sizes = replace(fit.sizes, faces=False)
    without = Reconstructor(replace(with_faces.config, fit=replace(fit, sizes=sizes)))
    for name, people in _chosen(sets, folder):
        clip = pan_over(read_photo(folder / f"{name}.jpg").rgb, int(name))
        seen = list(ClipPeople(with_faces.detector).watch(clip.frames))
        bodies = [_bodies(without, seen)]
        # whom no face makes a child likelier is the same
        bodies.append(_bodies(with_faces, seen) if _shows_young_face(seen) else bodies[0])
        middle = seen[len(seen) // 2]
        place = clip.places[middle.index]
        moved = [replace(one, at_px=tuple(place @ [*one.at_px, 1.0])) for one in people]
        for one, row in matched(moved, middle.evidence.people):
            who, face = middle.identities[row], _last_face(seen, middle.identities[row])
            found = InClip(one, bodies[0][who], bodies[1][who], face)
            if _is_child(found.without) != _is_child(found.faces):
                x, y = (round(value) for value in one.at_px)
                print(f"({name}: {'child' if one.label else 'adult'} at {x}, {y} changes)")
            yield found


def _chosen(sets: Sets, folder: Path) -> Iterator[tuple[str, list[Labelled]]]:
    """Photographs with children and such without any, of few people, from all over the list."""
    listed = {
        name: people
        for name, people in labelled_people(CHILDREN).items()
        if len(people) <= _MOST_PEOPLE and (folder / f"{name}.jpg").exists()
    }
    asked = sets.config.photos
    for child, count in ((True, asked or WITH_CHILDREN), (False, 2 * (asked or 0) or OF_ADULTS)):
        names = [n for n, people in listed.items() if any(one.label for one in people) == child]
        for i in np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int):
            yield names[i], listed[names[i]]


def _bodies(models: Reconstructor, seen: list[SeenFrame]) -> dict[int, Person]:
    """Everybody of a clip, in one of the frames: sizes are the same in all."""
    fitter = ClipFitter(models.fitter, models.camera_of(seen[0].evidence.image_size))
    done = []
    for frame in seen:
        done += fitter.add(SeenPeople(frame.time_s, frame.shot, frame.evidence, frame.identities))
    done += fitter.finish()
    shaped = with_one_shape([frame.people for frame in done], fitter.late_children)
    return {person.person: person for people in shaped for person in people}


def _shows_young_face(seen: list[SeenFrame]) -> bool:
    return any(looks_young(person.face_age) for frame in seen for person in frame.evidence.people)


def _last_face(seen: list[SeenFrame], who: int) -> float:
    told = [
        person.face_age.child
        for frame in seen
        for person, identity in zip(frame.evidence.people, frame.identities, strict=True)
        if identity == who and person.face_age is not None
    ]
    return told[-1] if told else np.nan


def _is_child(person: Person) -> bool:
    return float(person.shape[AGE]) < CHILD_BELOW_AGE


def pan_over(rgb: UInt8[np.ndarray, "height width 3"], seed: int) -> Panned:
    """A clip of a photograph, of the same size."""
    rng = np.random.default_rng(seed)
    size = np.array(rgb.shape[1::-1], float)
    share = np.linspace(0, 1, FRAMES)[:, None]
    (begin, end), ways = rng.uniform(*_SHOWN, 2), rng.uniform(0, 1, (2, 2))
    shown = (begin * (1 - share) + end * share) * size
    corner = (size - shown) * (ways[0] * (1 - share) + ways[1] * share)
    corner += rng.normal(0, _SHAKE_PX, corner.shape)
    frames, places = [], []
    for i in range(FRAMES):
        scale = size / shown[i]
        place = np.column_stack((np.diag(scale), -scale * corner[i]))
        picture = cv2.warpAffine(
            rgb, place, rgb.shape[1::-1], flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
        )
        frames.append(ClipFrame(i, i / FPS, _filmed(picture, rng)))
        places.append(place)
    return Panned(frames, places)


def _filmed(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """With blur in a third of the frames, noise, and compressed."""
    if rng.uniform() < 1 / 3:
        length = int(rng.integers(2, _BLUR_PX + 1))
        kernel = np.zeros((length, length), np.float32)
        kernel[length // 2] = 1 / length
        picture = cv2.filter2D(picture, -1, kernel if rng.uniform() < 0.5 else kernel.T)
    noisy = (picture + rng.normal(0, _NOISE, picture.shape)).clip(0, 255).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*_QUALITY))]
    decoded = cv2.imdecode(cv2.imencode(".jpg", noisy[..., ::-1], quality)[1], cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[..., ::-1])
