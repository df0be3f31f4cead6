"""BEDLAM: rendered people in clothes, several in a scene (Black et al. 2023)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from kinflow.datasets.readers.bedlam_labels import NEEDED, PersonRows
from kinflow.datasets.readers.fields import reading
from kinflow.datasets.readers.reader import DatasetInfo, Finding, Reader, Unit
from kinflow.datasets.readers.records import OnFault, made, raised
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import Picture
from kinflow.errors import InputError
from kinflow.files.npz_files import array_names

_WHAT = "labels of BEDLAM"
_RENDERED_FPS = 30.0
_LABEL_FOLDERS = (
    "training_labels/all_npz_12_training",
    "all_npz_12_training",
    "training_labels/all_npz_12_smpl_training",
    "all_npz_12_smpl_training",
    "",
)
_IMAGE_FOLDERS = ("training_images", "train_images", "")


class Bedlam(Reader):
    """Reads label files, one for each group of scenes; a person in an image is a sample."""

    info = DatasetInfo(
        name="bedlam",
        title="BEDLAM",
        home="https://bedlam.is.tue.mpg.de",
        licence="for non-commercial research only; no redistribution",
        tree=(
            "training_labels/all_npz_12_training/20221010_3_1000_batch01hand_6fps.npz\n"
            "training_images/20221010_3_1000_batch01hand_6fps/png/seq_000000/seq_000000_0000.png"
        ),
        used=(
            "pose_cam, trans_cam, shape, cam_int, cam_ext and gtkps of SMPL-X (or SMPL: "
            "all_npz_12_smpl_training). Not: proj_verts, world poses, depth, masks"
        ),
        faults=(
            "translation in the camera is trans_cam plus the last column of cam_ext",
            "images of closeup scenes are stored on their side and labels are for them upright: "
            "labels are turned to the images as they are stored",
            "shapes of eleven numbers are the neutral model's, though gender is the scanned "
            "person's",
            "gtkps are projected joints whether in sight or not",
            "keypoints of fingertips and of the face's outline are left out",
            "pixels count from the corner of the image, as kinflow's do",
        ),
        splits=("training",),
        labels=("picture", "keypoints", "body", "shape", "camera", "gravity", "identity", "time"),
    )

    def units(self, root: Path) -> tuple[list[Unit], list[Finding]]:
        """As `Reader.units`: a unit is a label file."""
        for folder in _LABEL_FOLDERS:
            paths = sorted(
                path
                for path in (root / folder).glob("*.npz")
                if not path.name.startswith("agora") and set(NEEDED) <= _names(path)
            )
            broken = sorted(path for path in (root / folder).glob("2022*.npz") if not _names(path))
            if paths or broken:
                units = [Unit(p, p.stem, "training") for p in sorted({*paths, *broken})]
                return units, []
        raise InputError(
            f"'{root}' holds no labels of BEDLAM; unpack all_npz_12_training.zip there, so that "
            "there is training_labels/all_npz_12_training/*.npz."
        )

    def read(self, root: Path, unit: Unit, on_fault: OnFault = raised) -> Iterator[Sample]:
        """As `Reader.read`; a record is a row."""
        images = _image_folder(root, unit.key)
        with reading(unit.path, _WHAT):
            rows = PersonRows.load(unit.path, _WHAT, turned="closeup" in unit.key)
            numbers = range(len(rows.images))
            make = partial(_sample, unit, images, rows)
            yield from made(numbers, make, unit.path, lambda row: f"Row {row}", on_fault)


def _sample(unit: Unit, images: Path, rows: PersonRows, number: int) -> Sample:
    row = rows.row(number)
    found = re.search(r"seq_(\d+)_(\d+)\.png$", row.image)
    return Sample(
        dataset="bedlam",
        key=f"{unit.key}/{number:07d}",
        split=unit.split,
        licence=Bedlam.info.licence,
        picture=Picture(images / plain_path(row.image), row.size),
        keypoints=row.keypoints,
        body=row.body,
        camera=row.camera,
        up=row.up,
        identity=row.person,
        sequence=f"{unit.key}/{found[1]}" if found else None,
        time_s=int(found[2]) / _RENDERED_FPS if found else None,
        fps=None if found is None else 6.0 if "6fps" in unit.key else _RENDERED_FPS,
    )


def plain_path(name: str) -> PurePosixPath:
    """The name of an image within its folder.

    Raises:
        InputError: it leads out of the folder.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise InputError(f"an image is called '{name[:60]}', which is not in its folder")
    return path


def _names(path: Path) -> set[str]:
    try:
        return array_names(path)
    except InputError:  # reading it says why
        return set()


def _image_folder(root: Path, group: str) -> Path:
    for folder in _IMAGE_FOLDERS:
        if (root / folder / group).is_dir():
            return root / folder / group / "png"
    return root / _IMAGE_FOLDERS[0] / group / "png"
