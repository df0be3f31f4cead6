"""Layouts of other tools that are known but not read: what to do instead, in a sentence.

Annotation tools write shapes and not people, others write tables or three-dimensional points. All
of them, or a tool that goes with them, can write one of the layouts that are read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_AS_COCO = "export it as COCO keypoints"
_WORLD = (
    "landmarks in metres, which are not places in the image; save pose_landmarks (poseLandmarks, "
    "landmarks) beside them"
)
_OF_SUFFIX = {
    ".xml": f"an XML file, as CVAT writes; {_AS_COCO}",
    ".csv": "a table; write its points as JSON, [[x, y, confidence], ...] for each person",
    ".tsv": "a table; write its points as JSON, [[x, y, confidence], ...] for each person",
    ".txt": "a text file, as YOLO's labels are; save JSON instead (results[0].to_json())",
    ".h5": "an HDF5 file, as DeepLabCut writes; save its points as JSON",
    ".hdf5": "an HDF5 file; save its points as JSON",
    ".npy": "an array of numpy's; save it as JSON (json.dump(array.tolist(), file))",
    ".npz": "arrays of numpy's; save them as JSON (json.dump(array.tolist(), file))",
    ".pkl": "a pickle; save its points as JSON",
    ".pickle": "a pickle; save its points as JSON",
    ".mat": "a MATLAB file; save its points as JSON",
    ".yml": "a YAML file, as OpenPose wrote before --write_json; save JSON instead",
    ".yaml": "a YAML file, as OpenPose wrote before --write_json; save JSON instead",
    ".jsonl": "lines of JSON; give one file an image, or a list of all",
    ".ndjson": "lines of JSON; give one file an image, or a list of all",
}
# Keys that only one tool writes, all of which are there.
_OF_KEYS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("shapes", "imagePath"), f"an annotation of LabelMe; {_AS_COCO}"),
    (("_via_img_metadata",), f"a project of the VGG Image Annotator; {_AS_COCO}"),
    (("filename", "regions"), f"an annotation of the VGG Image Annotator; {_AS_COCO}"),
    (("items", "categories"), f"a dataset in Datumaro's layout (CVAT); {_AS_COCO}"),
    (("file_upload", "data"), f"an export of Label Studio; {_AS_COCO}"),
    (("bodyparts",), "a result of DeepLabCut; save rows of x, y, confidence instead"),
    (("poseWorldLandmarks",), _WORLD),
    (("pose_world_landmarks",), _WORLD),
    (("worldLandmarks",), _WORLD),
    (("multiHandLandmarks",), "landmarks of hands; those of a body are needed"),
    (("hand_landmarks",), "landmarks of hands; those of a body are needed"),
    (("multi_hand_landmarks",), "landmarks of hands; those of a body are needed"),
    (("faceLandmarks",), "landmarks of a face; those of a body are needed"),
    (("face_landmarks",), "landmarks of a face; those of a body are needed"),
)
_LABEL_STUDIO = ("keypointlabels", "original_width")
_APPLE = re.compile(r"(left|right|head|neck|root|center)_?\w*_joint|(left|right)UpLeg|root_joint")
_LOOKED_AT = 20
_MIN_APPLE = 4


def unread_file(path: Path) -> str | None:
    """What a file is that is no JSON, as its name tells; None where it does not."""
    return _OF_SUFFIX.get(path.suffix.lower())


def unread_layout(content: Any) -> str | None:
    """What the content of a JSON file is, where it is known but not read."""
    values = content if isinstance(content, list) else [content]
    if isinstance(content, dict):
        values = [content, *list(content.values())[:_LOOKED_AT]]
    for value in values[:_LOOKED_AT]:
        if not isinstance(value, dict):
            continue
        for keys, what in _OF_KEYS:
            if all(key in value for key in keys):
                return what
        if _of_label_studio(value):
            return f"an export of Label Studio; {_AS_COCO}"
        if sum(_APPLE.fullmatch(key) is not None for key in list(value)[:100]) >= _MIN_APPLE:
            return (
                "a pose of Apple's Vision, whose y runs upwards; write [[x, 1 - y, confidence], "
                "...] in the order of COCO's 17 points"
            )
    return None


def _of_label_studio(value: dict[str, Any]) -> bool:
    """Whether it is of the short export, whose fields have the names of the user's labels."""
    return any(
        isinstance(field, list)
        and len(field) > 0
        and isinstance(field[0], dict)
        and any(key in field[0] for key in _LABEL_STUDIO)
        for field in list(value.values())[:_LOOKED_AT]
    )
