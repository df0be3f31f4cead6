"""MPII Human Pose: 16 points of people in pictures of many activities, in one file of MATLAB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kinflow.datasets.readers.packages import read_mat
from kinflow.datasets.readers.reader import DatasetInfo, Finding, Reader, Unit
from kinflow.datasets.readers.records import OnFault, made, named, raised
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import Keypoints2D, Picture
from kinflow.errors import InputError
from kinflow.files.inside import inside
from kinflow.files.reading import guarded

NAMES: tuple[str, ...] = (
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "pelvis",
    "thorax",
    "neck",
    "head_top",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
)
"""By the files' numbers. The neck is its upper end; pelvis and thorax are middles of hips and
shoulders."""
_FILE = "mpii_human_pose_v1_u12_1.mat"
_WHERE = ("annot", "mpii_human_pose_v1_u12_2", ".")
_WHAT = "MPII's annotation file"
_FAR_PX = 1e5


class Mpii(Reader):
    """MPII Human Pose, training images."""

    info = DatasetInfo(
        name="mpii",
        title="MPII Human Pose",
        home="http://human-pose.mpi-inf.mpg.de",
        licence="Simplified BSD for annotations; images from YouTube, for research",
        tree=f"annot/{_FILE}  (or mpii_human_pose_v1_u12_2/)\nimages/015601864.jpg ...",
        used="16 points with their flags, and the activity; people of training images",
        faults=(
            "Coordinates are MATLAB's (the first pixel is 1); half a pixel is taken off, so that "
            "they are kinflow's.",
            "The flag of visibility is text, a number or missing, from point to point; where a "
            "person lacks one, nothing is said of any of their points.",
            "Points of test images are kept back, so people there are left out; so are people who "
            "have no points. Boxes are not given, but a rough place and size, which is not used.",
        ),
        splits=("train",),
        labels=("picture", "keypoints"),
    )

    def units(self, root: Path) -> tuple[list[Unit], list[Finding]]:
        """As `Reader.units`: a unit is the one annotation file."""
        path = next((p for w in _WHERE if (p := root / w / _FILE).is_file()), None)
        if path is None:
            raise InputError(f"'{root}' holds nothing of MPII; 'annot/{_FILE}' is expected there.")
        missing = [Finding("missing", "The folder 'images' is not there.")]
        return [Unit(path, "train", "train")], [] if (root / "images").is_dir() else missing

    def read(self, root: Path, unit: Unit, on_fault: OnFault = raised) -> Iterator[Sample]:
        """As `Reader.read`; a record is a person, and what an image is called."""
        content = read_mat(unit.path, ("RELEASE",), _WHAT)
        with _named(unit.path):
            release = _one(content.get("RELEASE"), "RELEASE")
            images = _entries(_field(release, "annolist"))
            train = np.asarray(_field(release, "img_train")).ravel()
            if len(images) != len(train):
                raise InputError(f"'{unit.path}' lists {len(images)} images, {len(train)} flags.")
            acts = _acts(release, len(images))
        for number, (image, used) in enumerate(zip(images, train, strict=True)):
            if used != 1:
                continue
            here = f"Image {number + 1} of '{unit.path}'"
            try:
                with _named(unit.path):
                    picture = Picture(inside(root / "images", _name(image, here)))
                    people = _entries(_field(image, "annorect"))
            except InputError as error:
                on_fault(named(error, unit.path, f"Image {number + 1}"))
                continue
            place = _Place(unit, number, picture, acts[number], here)
            yield from made(
                list(enumerate(people)),
                place.sample,
                unit.path,
                partial(_person_name, number),
                on_fault,
            )


@dataclass(frozen=True)
class _Place:
    """An image that people are in."""

    unit: Unit
    number: int
    picture: Picture
    act: str | None
    here: str

    def sample(self, numbered: tuple[int, Any]) -> Sample | None:
        """One of its people; None where they have no points."""
        k, person = numbered
        with _named(self.unit.path):
            points = _points(person, f"{self.here}, person {k + 1},")
        if points is None:
            return None
        return Sample(
            "mpii",
            f"{self.unit.key}/{self.number:05d}/{k}",
            split="train",
            licence=Mpii.info.licence,
            picture=self.picture,
            keypoints=points,
            action=self.act,
        )


def _person_name(image: int, numbered: tuple[int, Any]) -> str:
    return f"Image {image + 1}, person {numbered[0] + 1},"


def _name(image: Any, here: str) -> str:
    name = np.asarray(_field(_one(_field(image, "image"), "image"), "name")).ravel()
    if name.dtype.kind != "U" or len(name) != 1:
        raise InputError(f"{here} has no name.")
    return str(name[0])


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Whatever goes wrong with the file's structure names it."""
    try:
        with guarded(path, _WHAT):
            yield
    except _NotMpii as error:
        raise InputError(f"'{path}' is not {_WHAT}: {error}.") from error


class _NotMpii(InputError):
    """A struct lacks something."""


def _points(person: Any, here: str) -> Keypoints2D | None:
    """The points of a person; None where there are none."""
    names = person.dtype.names or ()
    given = _entries(_field(person, "annopoints")) if "annopoints" in names else []
    if not given or "point" not in (given[0].dtype.names or ()):
        return None
    px = np.zeros((len(NAMES), 2), np.float32)
    known, shown, told = np.zeros(len(NAMES), np.float32), np.zeros(len(NAMES), bool), True
    for point in _entries(_field(given[0], "point")):
        number = _number(point, "id", here)
        if number not in range(len(NAMES)):
            raise InputError(f"{here} has a point of number {number:g}; they go from 0 to 15.")
        row = int(number)
        if known[row]:
            raise InputError(f"{here} has point {row} twice.")
        px[row] = [_number(point, axis, here) - 0.5 for axis in "xy"]
        known[row] = 1
        flag = _flag(point)
        told &= flag is not None
        shown[row] = bool(flag)
    if not known.any():
        return None
    return Keypoints2D(NAMES, px, known, shown if told else None)


def _number(point: Any, name: str, here: str) -> float:
    value = np.asarray(_field(point, name)).ravel()
    # NaN is not below
    if len(value) != 1 or value.dtype.kind not in "iuf" or not abs(float(value[0])) < _FAR_PX:
        raise InputError(f"{here} has a point whose '{name}' is no number of a picture.")
    return float(value[0])


def _flag(point: Any) -> bool | None:
    """Whether a point is in sight; None where nothing says so."""
    if "is_visible" not in (point.dtype.names or ()):
        return None
    value = np.asarray(_field(point, "is_visible")).ravel()
    if len(value) != 1 or str(value[0]) not in ("0", "1"):
        return None
    return str(value[0]) == "1"


def _acts(release: Any, count: int) -> list[str | None]:
    """What is done in each image, where the file says so."""
    if "act" not in (release.dtype.names or ()):
        return [None] * count
    acts = []
    for entry in _entries(_field(release, "act")):
        name = np.asarray(_field(entry, "act_name")).ravel()
        acts.append(str(name[0]) if len(name) == 1 and name.dtype.kind == "U" else None)
    return acts if len(acts) == count else [None] * count


def _entries(value: Any) -> list[Any]:
    """The structs of an array of structs; none of an empty matrix."""
    array = np.asarray(value)
    return list(array.ravel()) if array.dtype.names else []


def _one(value: Any, name: str) -> Any:
    entries = _entries(value)
    if len(entries) != 1:
        raise _NotMpii(f"'{name}' is no struct")
    return entries[0]


def _field(struct: Any, name: str) -> Any:
    if name not in (struct.dtype.names or ()):
        raise _NotMpii(f"there is no '{name}'")
    return struct[name]
