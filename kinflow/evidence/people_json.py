"""People that the user detected elsewhere: COCO keypoints or OpenPose BODY_25 as JSON.

Understood are

- a COCO file (`images` and `annotations`) or a COCO result list (`[{"keypoints": [...]}, ...]`),
  with 17 keypoints as 51 numbers `x, y, v`: in annotations v is 0 (not labelled), 1 (hidden) or
  2 (visible), in results it is a score in [0, 1]; `bbox` (`x, y, width, height`) and `score` are
  optional;
- OpenPose output with `people[].pose_keypoints_2d`, 25 keypoints as 75 numbers `x, y, score`.

In a COCO file the entries of one image are those whose `file_name` (or whose image's `file_name`)
has the name of the photo; a list without `image_id` and `file_name` belongs to any photo.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from kinflow.errors import InputError
from kinflow.evidence.error_model import keypoint_std_px
from kinflow.evidence.keypoint_names import BLAZEPOSE33_OF_BODY_25, BLAZEPOSE33_OF_COCO17
from kinflow.evidence.people import person_size
from kinflow.evidence.types import ImageEvidence, PersonEvidence

KEYPOINTS = 33
# COCO's visibility flags: not labelled, labelled but hidden, visible.
CONFIDENCE_OF_FLAG = (0.0, 0.5, 1.0)
MIN_CONFIDENCE = 0.05
BOX_MARGIN = 0.1
# The side of BlazePose's region relative to the root of the box's area, for the error model.
REGION_PER_SIZE = 2.0


def read_people(
    path: str | Path, image_size: tuple[int, int], image_name: str | None = None
) -> ImageEvidence:
    """Evidence of the people that a JSON file lists for an image of `image_size` (width, height).

    `image_name` is the photo's file name, by which a COCO file with several images is searched.
    Raises `InputError` when the file is missing or not understood, or has nobody for this image.
    """
    path = Path(path)
    content = _load(path)
    if isinstance(content, dict) and "people" in content:
        entries = _list(content["people"], path, '"people"')
        people = [_openpose_person(entry, path) for entry in entries]
    elif isinstance(content, dict) and "annotations" in content:
        people = [
            _coco_person(entry, path, flags=True)
            for entry in _of_image(
                _list(content["annotations"], path, '"annotations"'),
                _list(content.get("images", []), path, '"images"'),
                image_name,
            )
        ]
    elif isinstance(content, list):
        people = [
            _coco_person(entry, path, flags=False)
            for entry in _of_image(_list(content, path, "the list"), [], image_name)
        ]
    else:
        raise InputError(
            f'{path} is neither COCO keypoints (a list, or "annotations") nor OpenPose ("people").'
        )
    found = [person for person in people if person is not None]
    if not found:
        raise InputError(f"{path} has no person with keypoints for {image_name or 'this image'}.")
    found.sort(key=lambda person: person_size(person.box_px.numpy()), reverse=True)
    return ImageEvidence(image_size, tuple(found))


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}).") from None


def _list(value: Any, path: Path, name: str) -> list[dict]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise InputError(f"{path}: {name} has to be a list of objects.")
    return value


def _of_image(entries: list[dict], images: list[dict], image_name: str | None) -> list[dict]:
    """The entries that belong to the photo, or carry no name of a photo."""
    if image_name is None:
        return entries
    names = {image.get("id"): image.get("file_name") for image in images}

    def belongs(entry: dict) -> bool:
        name = entry.get("file_name", names.get(entry.get("image_id")))
        if name is None:
            return "image_id" not in entry or _id_is_name(entry["image_id"], image_name)
        return Path(str(name)).name == Path(image_name).name

    return [entry for entry in entries if belongs(entry)]


def _id_is_name(image_id: Any, image_name: str) -> bool:
    """COCO names its photos by their number: 785 is `000000000785.jpg`."""
    digits = "".join(c for c in Path(image_name).stem.split("_")[-1] if c.isdigit())
    return str(image_id) == Path(image_name).stem or (
        digits != "" and str(image_id) == str(int(digits))
    )


def _coco_person(entry: dict, path: Path, flags: bool) -> PersonEvidence | None:
    keypoints = _numbers(entry.get("keypoints"), 17, path, '"keypoints"')
    if flags:
        keypoints[:, 2] = np.take(CONFIDENCE_OF_FLAG, keypoints[:, 2].clip(0, 2).astype(int))
    box = None
    if entry.get("bbox") is not None:
        x, y, width, height = _numbers(entry["bbox"], 1, path, '"bbox"', columns=4)[0]
        box = np.array([x, y, x + width, y + height])
    score = entry.get("score", 1.0)
    if not isinstance(score, int | float) or not math.isfinite(score):
        raise InputError(f'{path}: "score" has to be a number, not {score!r}.')
    return _person(keypoints, BLAZEPOSE33_OF_COCO17, box, float(np.clip(score, 0, 1)))


def _openpose_person(entry: dict, path: Path) -> PersonEvidence | None:
    keypoints = _numbers(entry.get("pose_keypoints_2d"), 25, path, '"pose_keypoints_2d"')
    seen = keypoints[:, 2] > MIN_CONFIDENCE
    score = float(keypoints[seen, 2].mean()) if seen.any() else 0.0
    return _person(keypoints, BLAZEPOSE33_OF_BODY_25, None, min(score, 1.0))


def _numbers(
    value: Any, rows: int, path: Path, name: str, columns: int = 3
) -> Float[np.ndarray, "rows columns"]:
    """A flat JSON list as a (rows, columns) array of finite numbers."""
    numeric = isinstance(value, list) and all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in value
    )
    if not numeric or len(value) != rows * columns:
        length = f"{len(value)} values" if isinstance(value, list) else "something else"
        raise InputError(
            f"{path}: {name} has to be a list of {rows * columns} numbers, but it is {length}."
        )
    array = np.array(value, dtype=np.float64)
    if not np.isfinite(array).all():
        raise InputError(f"{path}: {name} has values that are not finite (NaN or infinity).")
    return array.reshape(rows, columns)


def _person(
    keypoints: Float[np.ndarray, "n 3"],
    rows: tuple[int, ...],
    box_px: Float[np.ndarray, " 4"] | None,
    score: float,
) -> PersonEvidence | None:
    """Spread keypoints over BlazePose's 33; None when not one of them is known."""
    spread = np.zeros((KEYPOINTS, 3))
    for row, keypoint in zip(rows, keypoints, strict=True):
        if row >= 0 and keypoint[2] > MIN_CONFIDENCE:
            spread[row] = (*keypoint[:2], min(keypoint[2], 1.0))
    seen = spread[spread[:, 2] > 0, :2]
    if len(seen) == 0:
        return None
    if box_px is None:
        low, high = seen.min(axis=0), seen.max(axis=0)
        margin = BOX_MARGIN * (high - low).max()
        box_px = np.concatenate((low - margin, high + margin))
    size_px = person_size(box_px)
    std = keypoint_std_px(spread[:, 2], size_px, REGION_PER_SIZE * size_px)
    return PersonEvidence(
        keypoints_px=torch.from_numpy(spread).float(),
        keypoint_std_px=torch.from_numpy(std).float(),
        world_m=None,
        box_px=torch.from_numpy(box_px).float(),
        score=score,
    )
