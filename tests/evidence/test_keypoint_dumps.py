"""Points that people save themselves, as networks and trackers give them, and layouts not read."""

from __future__ import annotations

import re
from typing import Any

import keypoint_writers as w
import pytest
from test_keypoint_files import check, read

from kinflow.errors import InputError
from kinflow.evidence.keypoint_files import read_people

LANDMARKS = w.landmarks()
ROWS = [[p["x"], p["y"], p["z"], p["visibility"]] for p in LANDMARKS]
PIXELS = [list(w.PERSON[name]) for name in w.BLAZEPOSE]
XY = [list(w.POINTS[name]) for name in w.COCO17]
SCORES = [w.SCORE] * 17
CLASSES = [
    {"x": w.POINTS[n][0], "y": w.POINTS[n][1], "confidence": w.SCORE, "class_id": i, "class": n}
    for i, n in enumerate(w.COCO17)
]

DUMPS: dict[str, tuple[Any, Any, float]] = {
    "landmarks by name": (dict(zip(w.BLAZEPOSE, LANDMARKS, strict=True)), w.BLAZEPOSE, w.SCORE),
    "by name, inside": (
        {
            "landmarks": {
                f"PoseLandmark.{n.upper()}": p for n, p in zip(w.BLAZEPOSE, LANDMARKS, strict=True)
            }
        },
        w.BLAZEPOSE,
        w.SCORE,
    ),
    "by number": ({str(i): p for i, p in enumerate(LANDMARKS)}, w.BLAZEPOSE, w.SCORE),
    "by number, inside": (
        {"pose_landmarks": {str(i): p for i, p in enumerate(LANDMARKS)}},
        w.BLAZEPOSE,
        w.SCORE,
    ),
    "rows of a table": (
        [{"landmark": n.upper(), **p} for n, p in zip(w.BLAZEPOSE, LANDMARKS, strict=True)],
        w.BLAZEPOSE,
        w.SCORE,
    ),
    "numbered, in any order": (
        [{"id": i, **p} for i, p in reversed(list(enumerate(LANDMARKS)))],
        w.BLAZEPOSE,
        w.SCORE,
    ),
    "a column a coordinate": (
        {f"{n}_{k}": v for n, p in zip(w.BLAZEPOSE, LANDMARKS, strict=True) for k, v in p.items()},
        w.BLAZEPOSE,
        w.SCORE,
    ),
    "numbered columns": (
        {f"{k[0]}{i}": v for i, p in enumerate(LANDMARKS) for k, v in p.items()},
        w.BLAZEPOSE,
        w.SCORE,
    ),
    "numbers in a row": ([v for row in ROWS for v in row], w.BLAZEPOSE, w.SCORE),
    "frames": ({"frames": [{"frame": 0, "landmarks": LANDMARKS}]}, w.BLAZEPOSE, w.SCORE),
    "results": ({"results": {"pose_landmarks": LANDMARKS}}, w.BLAZEPOSE, w.SCORE),
    "cvzone": ([[i, *xy] for i, xy in enumerate(PIXELS)], w.BLAZEPOSE, 1.0),
    "depth for a confidence": ([[*xy, 80 - 9 * i] for i, xy in enumerate(PIXELS)], w.BLAZEPOSE, 1),
    "rtmlib": ({"keypoints": [XY], "scores": [SCORES]}, w.COCO17, w.SCORE),
    "rtmlib, a pair": ([[XY], [SCORES]], w.COCO17, w.SCORE),
    "torchvision": (
        {
            "scores": [0.98],
            "labels": [1],
            "keypoints": [[[*xy, 1] for xy in XY]],
            "keypoints_scores": [SCORES],
        },
        w.COCO17,
        w.SCORE,
    ),
    "MoveNet's output": (
        [[[[y / w.SIZE[1], x / w.SIZE[0], w.SCORE] for x, y in XY]]],
        w.COCO17,
        w.SCORE,
    ),
    "Roboflow": ({"predictions": [{"keypoints": CLASSES[::-1]}]}, w.COCO17, w.SCORE),
}


@pytest.mark.parametrize("dump", DUMPS)
def test_dumps(tmp_path, dump):
    content, names, confidence = DUMPS[dump]
    check(read(tmp_path, content), names, confidence)


def test_arrays_of_several_people(tmp_path):
    half = [[x / 2, y / 2] for x, y in XY]
    found = read(tmp_path, {"keypoints": [half, XY], "scores": [[0.5] * 17, SCORES]})
    large, small = (person.keypoints_px for person in found.evidence.people)
    assert large[0].tolist() == pytest.approx([*XY[0], w.SCORE])
    assert small[0].tolist() == pytest.approx([*half[0], 0.5])
    with pytest.raises(InputError, match="1 entries, but there are 2 people"):
        read(tmp_path, {"keypoints": [half, XY], "scores": [SCORES]})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"poseWorldLandmarks": LANDMARKS}, "landmarks in metres"),
        ({"multiHandLandmarks": [LANDMARKS[:21]]}, "landmarks of hands"),
        ({"shapes": [], "imagePath": "photo.jpg"}, "LabelMe"),
        ([{"id": 1, "annotations": [], "file_upload": "a.jpg", "data": {}}], "Label Studio"),
        ([{"kp": [{"x": 1, "keypointlabels": ["nose"]}]}], "Label Studio"),
        ({"items": [], "categories": {}}, "Datumaro"),
        ({"_via_img_metadata": {}}, "VGG"),
        ({"photo.jpg12": {"filename": "photo.jpg", "regions": []}}, "VGG"),
        ([{"bodyparts": [], "bboxes": []}], "DeepLabCut"),
        (
            {f"{side}_{p}_joint": {"x": 0.5, "y": 0.5} for side in ("left", "right") for p in "ab"},
            "Apple",
        ),
        (
            [{"keypoints": [[0.1 * i, 0.2, -0.3] for i in range(17)], "keypoint_scores": SCORES}],
            "in space",
        ),
    ],
)
def test_layouts_that_are_known_but_not_read(tmp_path, content, message):
    with pytest.raises(InputError, match=re.escape(message)):
        read(tmp_path, content)


@pytest.mark.parametrize("suffix", ["xml", "csv", "txt", "h5", "npy", "pkl"])
def test_files_that_are_no_json(tmp_path, suffix):
    path = tmp_path / f"k.{suffix}"
    path.write_bytes(b"\x89HDF")
    with pytest.raises(InputError, match=rf"k\.{suffix}' is an? .*JSON|k\.xml' is an XML"):
        read_people(path, w.SIZE)


@pytest.mark.parametrize("name", ["photo.jpg.predictions.json", "results_photo.json"])
def test_names_in_a_folder(tmp_path, name):
    w.write(tmp_path / name, [{"keypoints": w.flat(w.COCO17)}])
    check(read_people(tmp_path, w.SIZE, "photo.jpg"), w.COCO17)


def test_people_on_their_heads_are_said(tmp_path):
    points = {
        p["name"]: {**p, "x": p["x"] / 640, "y": 1 - p["y"] / 480} for p in w.objects(w.COCO17)
    }
    assert any("upwards" in note for note in read(tmp_path, points).notes)
    upright = {n: {**p, "y": 1 - p["y"]} for n, p in points.items()}
    assert not any("upwards" in note for note in read(tmp_path, upright).notes)
