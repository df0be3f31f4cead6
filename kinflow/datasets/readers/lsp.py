"""Leeds Sports Pose and its extended training set: 14 points of one person an image.

Both are MATLAB's, whose first pixel is 1 and has its centre there; half a pixel less is kinflow's
place. Left and right are the person's.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from kinflow.datasets.readers.joint_names import LSP14
from kinflow.datasets.readers.mat_files import read_array
from kinflow.datasets.readers.reader import DatasetInfo, Finding, Reader, Unit
from kinflow.datasets.readers.records import OnFault, made, raised
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import Keypoints2D, Picture
from kinflow.errors import InputError

_FAR_PX = 1e5
_PIXELS = (
    "Coordinates are MATLAB's (the first pixel is 1); half a pixel is taken off, so that they are "
    "kinflow's."
)


class _LeedsReader(Reader):
    """A `joints.mat` and numbered images."""

    count: ClassVar[int]
    """People of the release."""
    points_last: ClassVar[bool]
    """Whether the file's axes are (coordinate, point, person) and not (point, coordinate, ...)."""
    digits: ClassVar[int]

    def units(self, root: Path) -> tuple[list[Unit], list[Finding]]:
        """As `Reader.units`: a unit is the part of `joints.mat` that is a split."""
        path = root / "joints.mat"
        if not path.is_file():
            raise InputError(
                f"'{root}' holds nothing of {self.info.title}; 'joints.mat' is expected there."
            )
        findings = []
        if not (root / "images").is_dir():
            findings.append(Finding("missing", "The folder 'images' is not there."))
        return [Unit(path, split, split) for split in self.info.splits], findings

    def read(self, root: Path, unit: Unit, on_fault: OnFault = raised) -> Iterator[Sample]:
        """As `Reader.read`; a record is a person."""
        people = self._people(unit.path)

        def person(number: int) -> Sample:
            return Sample(
                self.info.name,
                f"{unit.key}/{number:0{self.digits}d}",
                split=unit.split,
                licence=self.info.licence,
                picture=Picture(root / "images" / f"im{number:0{self.digits}d}.jpg"),
                keypoints=self._keypoints(people[number - 1], f"Person {number} of '{unit.path}'"),
            )

        numbers = self._numbers(unit.split, len(people))
        yield from made(numbers, person, unit.path, lambda number: f"Person {number}", on_fault)

    def _people(self, path: Path) -> Float64[np.ndarray, "people 14 3"]:
        joints = read_array(path, "joints")
        wanted = (3, len(LSP14)) if self.points_last else (len(LSP14), 3)
        if joints.ndim == 3 and joints.shape[:2] == wanted[::-1]:
            other = "lspet" if self.points_last else "lsp"
            raise InputError(f"'{path}' is that of '{other}', which is a dataset of its own here.")
        if joints.ndim != 3 or joints.shape[:2] != wanted or joints.shape[2] != self.count:
            raise InputError(
                f"'joints' of '{path}' is {' x '.join(map(str, joints.shape))}, not "
                f"{wanted[0]} x {wanted[1]} x {self.count}."
            )
        axes = (2, 1, 0) if self.points_last else (2, 0, 1)
        return joints.transpose(axes).astype(np.float64)

    def _numbers(self, split: str | None, count: int) -> range:
        """Numbers of a split's people, from 1."""
        return range(1, count + 1)

    @abstractmethod
    def _keypoints(self, points: Float64[np.ndarray, "14 3"], here: str) -> Keypoints2D:
        """The points of a row of the file."""


class Lsp(_LeedsReader):
    """Leeds Sports Pose."""

    info = DatasetInfo(
        name="lsp",
        title="Leeds Sports Pose",
        home="http://sam.johnson.io/research/lsp.html (also as lsp_dataset_original, full size)",
        licence="images from Flickr, for research; see the release's README",
        tree="joints.mat\nimages/im0001.jpg ... im2000.jpg",
        used="14 points a person; the first 1000 are for training, the others for tests",
        faults=(
            _PIXELS,
            "Every point is labelled, hidden ones too. Releases differ in whether the third row of "
            "`joints` marks visible or hidden points, so nothing is said about sight.",
        ),
        splits=("train", "test"),
        labels=("picture", "keypoints"),
    )
    count = 2000
    points_last = True
    digits = 4

    def _numbers(self, split: str | None, count: int) -> range:
        return range(1, count // 2 + 1) if split == "train" else range(count // 2 + 1, count + 1)

    def _keypoints(self, points: Float64[np.ndarray, "14 3"], here: str) -> Keypoints2D:
        return _checked(points[:, :2], np.ones(len(points), bool), here)


class Lspet(_LeedsReader):
    """Leeds Sports Pose, extended training set."""

    info = DatasetInfo(
        name="lspet",
        title="Leeds Sports Pose Extended",
        home="http://sam.johnson.io/research/lspet.html",
        licence="images from Flickr, for research; see the release's README",
        tree="joints.mat\nimages/im00001.jpg ... im10000.jpg",
        used="14 points a person, those that are flagged as visible",
        faults=(
            _PIXELS,
            "Points without the flag have no place (often zero or negative) and are left out.",
            "Labels are one crowd worker's each; left and right are exchanged in some.",
        ),
        splits=("train",),
        labels=("picture", "keypoints"),
    )
    count = 10000
    points_last = False
    digits = 5

    def _keypoints(self, points: Float64[np.ndarray, "14 3"], here: str) -> Keypoints2D:
        flags = points[:, 2]
        if not np.isin(flags, (0, 1)).all():
            raise InputError(f"{here} has flags other than 0 and 1.")
        return _checked(points[:, :2], flags == 1, here)


def _checked(px: np.ndarray, labelled: np.ndarray, here: str) -> Keypoints2D:
    if not (np.abs(px[labelled]) < _FAR_PX).all():  # NaN is not below
        raise InputError(f"{here} has a point that is no place in a picture.")
    at = np.where(labelled[:, None], px - 0.5, 0).astype(np.float32)
    return Keypoints2D(LSP14, at, labelled.astype(np.float32))
