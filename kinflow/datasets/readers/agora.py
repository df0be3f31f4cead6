"""AGORA: rendered scans of people in scenes (Patel et al. 2021), with labels of BEDLAM's makers.

AGORA's own labels are pickles of pandas' tables, which only pandas can read, by running them. They
are refused; the same labels are given out as npz with BEDLAM.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from kinflow.datasets.readers.bedlam import plain_path
from kinflow.datasets.readers.bedlam_labels import PersonRows
from kinflow.datasets.readers.fields import reading
from kinflow.datasets.readers.reader import DatasetInfo, Finding, Reader, Unit
from kinflow.datasets.readers.records import OnFault, made, raised
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import Picture
from kinflow.errors import InputError

_WHAT = "labels of AGORA"
_LABEL_FOLDERS = ("", "training_labels/all_npz_12_training", "all_npz_12_training")
_IMAGE_FOLDERS = ("training_images/images", "images", "")
_PANDAS = (
    "'{root}' holds AGORA's own labels ({name}), pickles of pandas' tables, which are programs and "
    "are not run; take agora-body.npz and agora-bfh.npz of BEDLAM's training labels, or export "
    "each table yourself: np.savez(out, imgname=..., pose_cam=..., shape=..., cam_int=..., "
    "cam_ext=..., gtkps=...)."
)


class Agora(Reader):
    """Reads the npz labels; a person in an image is a sample."""

    info = DatasetInfo(
        name="agora",
        title="AGORA",
        home="https://agora.is.tue.mpg.de",
        licence="for non-commercial research only; no redistribution",
        tree=(
            "training_labels/all_npz_12_training/agora-body.npz, agora-bfh.npz (of BEDLAM's "
            "download page)\n"
            "training_images/images/*_1280x720.png"
        ),
        used="pose_cam, shape, cam_int, cam_ext and gtkps of SMPL-X, for images of 1280 by 720",
        faults=(
            "its own labels are pickles of pandas' tables, which would have to be run to be read: "
            "they are refused with what to take in their place",
            "the npz labels leave out people who are hidden by more than 70 %",
            "shapes of eleven numbers have a last one that makes children",
            "gtkps are projected joints whether in sight or not",
            "pixels count from the corner of the image, as kinflow's do",
        ),
        splits=("training",),
        labels=("picture", "keypoints", "body", "shape", "camera", "gravity"),
    )

    def units(self, root: Path) -> tuple[list[Unit], list[Finding]]:
        """As `Reader.units`: a unit is a label file."""
        for folder in _LABEL_FOLDERS:
            paths = sorted((root / folder).glob("agora*.npz"))
            if paths:
                return [Unit(path, path.stem, "training") for path in paths], []
        pickles = sorted(p for p in root.rglob("*.pkl") if p.name.startswith(("train", "valid")))
        if pickles:
            raise InputError(_PANDAS.format(root=root, name=pickles[0].name))
        raise InputError(
            f"'{root}' holds no labels of AGORA that can be read; take agora-body.npz and "
            "agora-bfh.npz of BEDLAM's training labels."
        )

    def read(self, root: Path, unit: Unit, on_fault: OnFault = raised) -> Iterator[Sample]:
        """As `Reader.read`; a record is a row."""
        folders = (root / folder for folder in _IMAGE_FOLDERS)
        images = next((f for f in folders if f.is_dir()), root)
        with reading(unit.path, _WHAT):
            rows = PersonRows.load(unit.path, _WHAT)
            numbers = range(len(rows.images))
            make = partial(_sample, unit, images, rows)
            yield from made(numbers, make, unit.path, lambda row: f"Row {row}", on_fault)


def _sample(unit: Unit, images: Path, rows: PersonRows, number: int) -> Sample:
    row = rows.row(number)
    return Sample(
        dataset="agora",
        key=f"{unit.key}/{number:07d}",
        split=unit.split,
        licence=Agora.info.licence,
        picture=Picture(images / plain_path(row.image), row.size),
        keypoints=row.keypoints,
        body=row.body,
        camera=row.camera,
        up=row.up,
    )
