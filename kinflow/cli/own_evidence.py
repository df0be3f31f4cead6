"""What the user says is in the photos: keypoints, silhouettes and part maps of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kinflow.api import Reconstructor
from kinflow.body.part_maps import part_map
from kinflow.cli.options import Reconstruct
from kinflow.errors import InputError
from kinflow.evidence.image import Photo
from kinflow.evidence.keypoint_files import KeypointSource
from kinflow.evidence.label_maps import LabelFolder
from kinflow.evidence.label_people import attach_parts
from kinflow.evidence.types import ImageEvidence


@dataclass(frozen=True)
class OwnEvidence:
    """Evidence of the user's own, as far as there is any, and what the detector may add."""

    labels: LabelFolder | None
    keypoints: KeypointSource | None
    only_photo: bool
    """Whether there is one photo, so that keypoints that name none are meant for it."""
    max_people: int | None

    @staticmethod
    def of(options: Reconstruct, photos: Sequence[Path]) -> OwnEvidence:
        """What these options name.

        Raises:
            InputError: there is no such file, folder, palette or format, nothing in it is for any
                of the photos, or the options contradict each other.
        """
        labels = _label_folder(options)
        if labels is not None:
            labels.expect_any(list(photos))
        keypoints = _keypoint_source(options)
        return OwnEvidence(labels, keypoints, len(photos) == 1, options.max_people)

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
                "clearer, or give keypoints of your own (--keypoints)."
            )
        evidence = replace(evidence, people=evidence.people[: self.max_people])
        return (evidence if labels is None else attach_parts(evidence, labels)), notes


def _label_folder(options: Reconstruct) -> LabelFolder | None:
    palette = part_map(options.parts_palette)
    if options.parts is None and options.masks is None:
        return None
    if options.parts is not None and options.masks is not None:
        raise InputError("Give either part maps (--parts) or silhouettes (--masks), not both.")
    if not options.align_parts:
        raise InputError("--no-parts ignores all labels; leave out --parts and --masks then.")
    if options.parts is not None:
        return LabelFolder(options.parts, palette)
    assert options.masks is not None
    return LabelFolder(options.masks)


def _keypoint_source(options: Reconstruct) -> KeypointSource | None:
    if options.keypoints is None:
        if options.keypoints_format != "auto":
            raise InputError("--keypoints-format says how to read --keypoints; give that too.")
        return None
    return KeypointSource(options.keypoints, options.keypoints_format)
