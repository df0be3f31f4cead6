"""COCO's people: keypoints, COCO-WholeBody's hands, feet and faces, and DensePose's parts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from kinflow.datasets.readers.coco_files import CocoPerson, read_people
from kinflow.datasets.readers.coco_labels import (
    body_keypoints,
    box_of,
    flagged,
    mask_of,
    parts_of,
)
from kinflow.datasets.readers.reader import DatasetInfo, Finding, Reader, Unit, absent_split
from kinflow.datasets.readers.records import OnFault, made, raised
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import Keypoints2D, PartMapLabel, Picture
from kinflow.errors import InputError
from kinflow.evidence.keypoint_files.orders import ORDER_OF_NAME
from kinflow.files.inside import inside

_LICENCE = "annotations CC BY 4.0; images under their owners' Flickr licences"
_PIXELS = (
    "Keypoints are numbers of pixels counted from 0, boxes and outlines are continuous; half a "
    "pixel is added to keypoints, so that all are in kinflow's pixels."
)
_FAR = (
    "Annotations with a point further outside of the picture than that is long are left out and "
    "counted, as are others that cannot be right."
)
_CROWDS = (
    "Boxes of crowds (`iscrowd`), and people of whom nobody labelled points, are samples without "
    "keypoints; crowds are marked, for they are nobody to learn from."
)


@dataclass(frozen=True)
class _File:
    """One annotation file of a release: names that it goes by, its split and its images."""

    names: tuple[str, ...]
    split: str
    images: str


class _CocoReader(Reader):
    """What COCO's releases share: `annotations/` with a file a split, and folders of images."""

    files: ClassVar[tuple[_File, ...]]

    def units(self, root: Path) -> tuple[list[Unit], list[Finding]]:
        """As `Reader.units`: a unit is an annotation file."""
        found, findings = [], []
        for file in self.files:
            names = [root / folder / name for folder in ("annotations", ".") for name in file.names]
            path = next((path for path in names if path.is_file()), None)
            if path is None:
                findings.append(Finding("note", absent_split(f"annotations/{file.names[0]}")))
                continue
            found.append(Unit(path, file.split, file.split))
            if not _images_at(root, file.images).is_dir():
                findings.append(Finding("missing", f"The folder '{file.images}' is not there."))
        if not found:
            raise InputError(
                f"'{root}' holds nothing of {self.info.title}; "
                f"'annotations/{self.files[0].names[0]}' is expected there."
            )
        return found, findings

    def read(self, root: Path, unit: Unit, on_fault: OnFault = raised) -> Iterator[Sample]:
        """As `Reader.read`; a record is an annotation."""
        folder = next(_images_at(root, f.images) for f in self.files if f.split == unit.split)
        yield from made(
            read_people(unit.path, on_fault),
            partial(self._sample, unit, folder),
            unit.path,
            lambda person: f"Annotation {person.id}",
            on_fault,
        )

    def _sample(self, unit: Unit, folder: Path, person: CocoPerson) -> Sample:
        fields, image = person.fields, person.image
        box_px = box_of(fields)
        crowd = fields.get("iscrowd", 0)
        if crowd not in (0, 1):
            raise InputError("'iscrowd' is neither 0 nor 1")
        return Sample(
            self.info.name,
            f"{unit.key}/{person.id}",
            split=unit.split,
            licence=self.info.licence,
            picture=Picture(inside(folder, image.name), image.size),
            box_px=box_px,
            keypoints=None if crowd else self._keypoints(fields, image.size),
            parts=self._parts(fields, box_px),
            mask=mask_of(fields, image.size),
            crowd=bool(crowd),
        )

    @abstractmethod
    def _keypoints(self, fields: dict[str, Any], size: tuple[int, int]) -> Keypoints2D | None:
        """The points of an annotation."""

    def _parts(
        self, fields: dict[str, Any], box_px: tuple[float, float, float, float] | None
    ) -> PartMapLabel | None:
        return None


class Coco(_CocoReader):
    """Keypoints of COCO 2017."""

    info = DatasetInfo(
        name="coco",
        title="COCO keypoints 2017",
        home="https://cocodataset.org/#download",
        licence=_LICENCE,
        tree=(
            "annotations/person_keypoints_train2017.json\n"
            "annotations/person_keypoints_val2017.json\n"
            "train2017/000000000009.jpg ...  (or images/train2017/)\n"
            "val2017/000000000139.jpg ..."
        ),
        used="boxes, 17 keypoints with their flags, masks (outlines and run lengths), crowds",
        faults=(
            _PIXELS,
            _CROWDS,
            "A few outlines have two corners and a few boxes no area; such are left out.",
            _FAR,
        ),
        splits=("train2017", "val2017"),
        labels=("picture", "box", "keypoints", "mask"),
    )
    files = (
        _File(("person_keypoints_train2017.json",), "train2017", "train2017"),
        _File(("person_keypoints_val2017.json",), "val2017", "val2017"),
    )

    def _keypoints(self, fields: dict[str, Any], size: tuple[int, int]) -> Keypoints2D | None:
        return body_keypoints(fields, size)


class CocoDensePose(_CocoReader):
    """Parts that annotators of DensePose drew, on images of COCO 2014."""

    info = DatasetInfo(
        name="coco-densepose",
        title="DensePose-COCO",
        home="https://github.com/facebookresearch/detectron2/tree/main/projects/DensePose",
        licence="annotations CC BY-NC 2.0; images as COCO's",
        tree=(
            "annotations/densepose_train2014.json  (or densepose_coco_2014_train.json)\n"
            "annotations/densepose_valminusminival2014.json\n"
            "annotations/densepose_minival2014.json\n"
            "train2014/COCO_train2014_000000000009.jpg ...  (or images/train2014/)\n"
            "val2014/COCO_val2014_000000000042.jpg ..."
        ),
        used="boxes, 17 keypoints, masks, and `dp_masks`: 14 parts on 256 x 256 cells over the box",
        faults=(
            _PIXELS,
            "People without `dp_masks` are samples without parts; the surface points (`dp_I`, "
            "`dp_U`, `dp_V`) are not used.",
            "Left and right are the person's; torso and head have no front and back here.",
        ),
        splits=("train2014", "valminusminival2014", "minival2014"),
        labels=("picture", "box", "keypoints", "parts", "mask"),
    )
    files = tuple(
        _File(
            (f"densepose_{part}2014.json", f"densepose_coco_2014_{part}.json"),
            f"{part}2014",
            images,
        )
        for part, images in (
            ("train", "train2014"),
            ("valminusminival", "val2014"),
            ("minival", "val2014"),
        )
    )

    def _keypoints(self, fields: dict[str, Any], size: tuple[int, int]) -> Keypoints2D | None:
        return body_keypoints(fields, size)

    def _parts(
        self, fields: dict[str, Any], box_px: tuple[float, float, float, float] | None
    ) -> PartMapLabel | None:
        return parts_of(fields, box_px)


class CocoWholeBody(_CocoReader):
    """133 points of COCO 2017's people."""

    info = DatasetInfo(
        name="coco-wholebody",
        title="COCO-WholeBody 1.0",
        home="https://github.com/jin-s13/COCO-WholeBody",
        licence="annotations for non-commercial research; images as COCO's",
        tree=(
            "annotations/coco_wholebody_train_v1.0.json\n"
            "annotations/coco_wholebody_val_v1.0.json\n"
            "train2017/000000000009.jpg ...  (or images/train2017/)\n"
            "val2017/000000000139.jpg ..."
        ),
        used="boxes, 133 points (body, feet, face, hands), masks, crowds",
        faults=(
            _PIXELS,
            _CROWDS,
            "Flags of feet, face and hands do not say whether a point is in sight, so nothing "
            "does; points of a part that is not valid (`face_valid`, ...) are left out.",
            "Faces and hands were labelled with the help of a network.",
        ),
        splits=("train", "val"),
        labels=("picture", "box", "keypoints", "mask"),
    )
    files = (
        _File(("coco_wholebody_train_v1.0.json",), "train", "train2017"),
        _File(("coco_wholebody_val_v1.0.json",), "val", "val2017"),
    )
    _SPANS: ClassVar[dict[str, tuple[int, str]]] = {
        "keypoints": (17, ""),
        "foot_kpts": (6, "foot_valid"),
        "face_kpts": (68, "face_valid"),
        "lefthand_kpts": (21, "lefthand_valid"),
        "righthand_kpts": (21, "righthand_valid"),
    }

    def _keypoints(self, fields: dict[str, Any], size: tuple[int, int]) -> Keypoints2D | None:
        tables = []
        for name, (count, valid) in self._SPANS.items():
            points = flagged(fields.get(name), name, count, size)
            tables.append(points * (1.0 if not valid or fields.get(valid) else 0.0))
        points = np.concatenate(tables)
        if not points[:, 2].any():
            return None
        px = (points[:, :2] + 0.5).astype(np.float32)
        names = ORDER_OF_NAME["wholebody133"].names
        return Keypoints2D(names, px, (points[:, 2] > 0).astype(np.float32))


def _images_at(root: Path, name: str) -> Path:
    """A folder of images, which people keep beside the annotations or one deeper."""
    deeper = root / "images" / name
    return deeper if deeper.is_dir() else root / name
