"""Keypoints that other detectors found, as rows of people: whatever `kinflow reconstruct` reads.

OpenPose, AlphaPose, MMPose, COCO and COCO-WholeBody results and others are read by
`kinflow.evidence.keypoint_files`, which brings them to the points that kinflow knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.errors import InputError
from kinflow.evidence.image import read_photo
from kinflow.evidence.keypoint_files import KeypointSource


def detection_rows(
    keypoints: Path | str, photos: Sequence[Path | str], format: str = "auto"
) -> dict[str, np.ndarray]:
    """Arrays of a file of person rows: the people that a detector found in photos.

    Args:
        keypoints: a file or folder of any of the layouts of `docs/keypoints.md`.
        photos: the photos that they are of.
        format: one of `kinflow.evidence.keypoint_files.KEYPOINT_FORMATS`.

    Raises:
        InputError: the keypoints or a photo cannot be read, or nobody is found in any photo.
    """
    source = KeypointSource(Path(keypoints), format)
    rows: dict[str, list] = {n: [] for n in ("sequence", "person", "keypoints_px", "score", "box")}
    for photo in map(Path, photos):
        people = source.read(read_photo(photo).size, str(photo), len(photos) == 1).evidence.people
        for number, person in enumerate(people):
            x0, y0, x1, y1 = person.box_px.tolist()
            rows["sequence"].append(photo.stem)
            rows["person"].append(number)
            rows["keypoints_px"].append(person.keypoints_px.numpy())
            rows["score"].append(person.score)
            rows["box"].append([x0, y0, x1 - x0, y1 - y0])
    if not rows["sequence"]:
        raise InputError(f"'{keypoints}' lists nobody for these photos.")
    return {
        "sequence": np.array(rows["sequence"]),
        "frame": np.zeros(len(rows["sequence"]), np.int64),
        "person": np.array(rows["person"], np.int64),
        "keypoint_names": np.array(BLAZEPOSE33),
        "keypoints_px": np.stack(rows["keypoints_px"]),
        "score": np.array(rows["score"]),
        "box_px": np.array(rows["box"]),
    }
