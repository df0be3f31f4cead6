"""What the user says is in the photos: keypoints, silhouettes and part maps of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kinflow.body.part_maps import part_map
from kinflow.checks import instance, path
from kinflow.errors import InputError
from kinflow.evidence.image import Photo
from kinflow.evidence.keypoint_files import KeypointSource
from kinflow.evidence.label_maps import LabelFolder
from kinflow.evidence.label_people import attach_parts
from kinflow.evidence.types import ImageEvidence
from kinflow.pipeline.reconstructor import Reconstructor


@dataclass(frozen=True)
class OwnEvidenceConfig:
    """Files of the user's own; nothing unless told otherwise."""

    keypoints: Path | None = None
    """A file, or a folder with a file a photo, as `docs/keypoints.md` describes them."""
    keypoints_format: str = "auto"
    """What the keypoints are, where they are not recognised."""
    part_maps: Path | None = None
    """A folder with part maps: `<photo>.png` of everybody, or `<photo>_0.png`, ... of one each."""
    palette: str = "kinflow"
    """What the ids of part maps mean."""
    masks: Path | None = None
    """A folder with silhouettes, named as part maps are."""

    def __post_init__(self) -> None:
        path(self, "keypoints", "part_maps", "masks", or_none=True)
        instance(self, "keypoints_format", str, "the name of a format of keypoints")
        instance(self, "palette", str, "the name of a part palette")
        part_map(self.palette)
        if self.part_maps is not None and self.masks is not None:
            raise InputError(
                "Give either part maps or silhouettes, not both.",
                {"part maps": "part_maps", "silhouettes": "masks"},
            )
        if self.keypoints is None and self.keypoints_format != "auto":
            raise InputError(
                "The format says how to read keypoints of your own; give that too.",
                {"The format": "keypoints_format", "of your own": "keypoints"},
            )

    @property
    def has_labels(self) -> bool:
        """Whether there are part maps or silhouettes."""
        return self.part_maps is not None or self.masks is not None


@dataclass(frozen=True)
class OwnEvidence:
    """Evidence of the user's own, as far as there is any, and what the detector may add."""

    labels: LabelFolder | None
    keypoints: KeypointSource | None
    only_photo: bool
    """Whether there is one photo, so that keypoints that name none are meant for it."""
    max_people: int | None

    @staticmethod
    def of(
        config: OwnEvidenceConfig, photos: Sequence[Path], max_people: int | None
    ) -> OwnEvidence:
        """What these options name.

        Args:
            config: where it is.
            photos: all photos that are worked on.
            max_people: at most this many people a photo.

        Raises:
            InputError: there is no such file, folder or format, or nothing in it is for any of the
                photos.
        """
        labels = _label_folder(config)
        if labels is not None:
            labels.expect_any(list(photos))
        keypoints = None
        if config.keypoints is not None:
            keypoints = KeypointSource(config.keypoints, config.keypoints_format)
        return OwnEvidence(labels, keypoints, len(photos) == 1, max_people)

    def files_of(self, path: Path) -> tuple[Path, ...]:
        """The files of the user's own that the results of a photo depend on.

        Raises:
            InputError: there should be one for this photo, and is none.
        """
        keypoints = () if self.keypoints is None else (self.keypoints.file_of(str(path)),)
        return keypoints + (() if self.labels is None else self.labels.files_of(path))

    def of_photo(
        self, photo: Photo, path: Path, reconstructor: Reconstructor
    ) -> tuple[ImageEvidence, tuple[str, ...]]:
        """What is seen in a photo, or what the user says is, and notes on the latter.

        Raises:
            InputError: nobody is seen, or what the user gave for this photo cannot be used.
        """
        labels = None if self.labels is None else self.labels.read(path, photo.size)
        notes: tuple[str, ...] = ()
        if self.keypoints is not None:
            found = self.keypoints.read(photo.size, str(path), self.only_photo)
            evidence, notes = found.evidence, found.notes
        else:
            evidence = reconstructor.detector.detect(photo.rgb, max_people=self.max_people)
        if not evidence.people:
            raise InputError(
                f"No person was found in {path}; use a photo in which people are larger or "
                "clearer, or give keypoints of your own.",
                {"keypoints of your own": "keypoints"},
            )
        evidence = replace(evidence, people=evidence.people[: self.max_people])
        return (evidence if labels is None else attach_parts(evidence, labels)), notes


def _label_folder(config: OwnEvidenceConfig) -> LabelFolder | None:
    if config.part_maps is not None:
        return LabelFolder(config.part_maps, part_map(config.palette))
    return None if config.masks is None else LabelFolder(config.masks)
