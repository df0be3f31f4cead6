"""One person, written in the layouts of the tools that kinflow reads.

The orders are spelled out as the tools' own documentation lists them, apart from kinflow's tables.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

SIZE = (640, 480)

# (x, y) in pixels of a person who faces the camera, so that left is at larger x
PERSON: dict[str, tuple[float, float]] = {
    "nose": (322.0, 92.0),
    "left_eye_inner": (326.0, 87.0),
    "left_eye": (329.0, 86.0),
    "left_eye_outer": (332.0, 87.0),
    "right_eye_inner": (318.0, 87.0),
    "right_eye": (315.0, 86.5),
    "right_eye_outer": (312.0, 87.0),
    "left_ear": (337.0, 91.0),
    "right_ear": (307.0, 91.0),
    "mouth_left": (327.0, 99.0),
    "mouth_right": (317.0, 99.0),
    "left_shoulder": (356.0, 136.0),
    "right_shoulder": (288.0, 137.0),
    "left_elbow": (392.0, 176.0),
    "right_elbow": (262.0, 184.0),
    "left_wrist": (372.0, 132.0),
    "right_wrist": (254.0, 232.0),
    "left_pinky": (368.0, 121.0),
    "right_pinky": (250.0, 243.0),
    "left_index": (371.0, 119.0),
    "right_index": (254.0, 245.0),
    "left_thumb": (374.0, 123.0),
    "right_thumb": (258.0, 240.0),
    "left_hip": (342.0, 238.0),
    "right_hip": (300.0, 239.0),
    "left_knee": (346.0, 316.0),
    "right_knee": (296.0, 317.0),
    "left_ankle": (348.0, 392.0),
    "right_ankle": (292.0, 393.0),
    "left_heel": (347.0, 402.0),
    "right_heel": (293.0, 403.0),
    "left_foot_index": (356.0, 411.0),
    "right_foot_index": (284.0, 412.0),
}
BLAZEPOSE = tuple(PERSON)
# what no detector of kinflow's has
OTHERS: dict[str, tuple[float, float]] = {
    "neck": (322.0, 136.5),
    "head_top": (322.0, 62.0),
    "head": (322.0, 75.0),
    "pelvis": (321.0, 238.5),
    "spine": (321.0, 190.0),
    "left_small_toe": (360.0, 408.0),
    "right_small_toe": (280.0, 409.0),
    "anything": (330.0, 200.0),
}
POINTS = {**PERSON, **OTHERS}


def words(text: str) -> list[str]:
    return text.split()


ARMS = words("right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist")
LEGS = words("right_hip right_knee right_ankle left_hip left_knee left_ankle")
FEET = words("left_foot_index left_small_toe left_heel right_foot_index right_small_toe right_heel")
COCO17 = words(
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow "
    "right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle "
    "right_ankle"
)
COCO18 = ["nose", "neck", *ARMS, *LEGS, "right_eye", "left_eye", "right_ear", "left_ear"]
MPI15 = ["head", "neck", *ARMS, *LEGS, "spine"]
BODY_25 = ["nose", "neck", *ARMS, "pelvis", *LEGS, *COCO18[14:], *FEET]
BODY_25B = [*COCO17, "neck", "head_top", *FEET]
HALPE26 = (
    [*COCO17, "head", "neck", "pelvis"]
    + words("left_foot_index right_foot_index left_small_toe right_small_toe")
    + ["left_heel", "right_heel"]
)
FACE68 = ["anything"] * 68
for _index, _name in {
    36: "right_eye_outer",
    39: "right_eye_inner",
    42: "left_eye_inner",
    45: "left_eye_outer",
    48: "mouth_right",
    54: "mouth_left",
}.items():
    FACE68[_index] = _name


def hand21(side: str) -> list[str]:
    points = ["anything"] * 21
    points[2], points[5], points[17] = f"{side}_thumb", f"{side}_index", f"{side}_pinky"
    return points


HANDS = hand21("left") + hand21("right")
HALPE136 = [*HALPE26, *FACE68, *HANDS]
WHOLEBODY = [*COCO17, *FEET, *FACE68, *HANDS]
BODY_135 = [*BODY_25B, *["anything"] * 110]
H36M17 = words(
    "pelvis right_hip right_knee right_ankle left_hip left_knee left_ankle spine neck neck head "
    "left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist"
)
MPII16 = words(
    "right_ankle right_knee right_hip left_hip left_knee left_ankle pelvis neck neck head_top "
    "right_wrist right_elbow right_shoulder left_shoulder left_elbow left_wrist"
)
CROWDPOSE14 = [*COCO17[5:], "head_top", "neck"]
AIC14 = [*ARMS, *LEGS, "head_top", "neck"]
LSP14 = [*MPII16[:6], *MPII16[10:], "neck", "head_top"]
POSETRACK17 = ["nose", "neck", "head_top", *COCO17[3:]]

SCORE = 0.9


def rows(names: list[str] | tuple[str, ...], third: float = SCORE) -> list[list[float]]:
    return [[*POINTS[name], third] for name in names]


def flat(names: list[str] | tuple[str, ...], third: float = SCORE, **scale: Any) -> list[float]:
    """x, y, confidence of the points, in a row; `times` and `plus` change the coordinates."""
    times, plus = np.array(scale.get("times", 1.0)), scale.get("plus", 0.0)
    table = np.array(rows(names, third))
    table[:, :2] = table[:, :2] * times + plus
    return table.ravel().tolist()


def fractions(names: list[str] | tuple[str, ...]) -> list[float]:
    return flat(names, times=1 / np.array(SIZE))


def openpose(numbers: list[float], key: str = "pose_keypoints_2d", **more: Any) -> dict[str, Any]:
    hand: list[float] = []
    person = {"person_id": [-1], key: numbers, "hand_left_keypoints_2d": hand}
    return {"version": 1.3, "people": [person], **more}


def coco_file(
    names: list[str], categories: list[str] | None, third: float = 2, **annotation: Any
) -> dict[str, Any]:
    category: dict[str, Any] = {"id": 1, "name": "person", "supercategory": "person"}
    if categories is not None:
        category["keypoints"] = categories
    return {
        "info": {},
        "images": [
            {"id": 8, "file_name": "other.jpg", "width": 640, "height": 480},
            {"id": 9, "file_name": "photos/photo.jpg", "width": 640, "height": 480},
        ],
        "annotations": [
            {"id": 1, "image_id": 8, "category_id": 1, "keypoints": flat(names, third, plus=9)},
            {
                **{"id": 2, "image_id": 9, "category_id": 1, "iscrowd": 0},
                **{"keypoints": flat(names, third), "num_keypoints": len(names)},
                **annotation,
            },
        ],
        "categories": [category],
    }


def objects(names: list[str] | tuple[str, ...], named: bool = True) -> list[dict[str, Any]]:
    points = [{"x": POINTS[n][0], "y": POINTS[n][1], "score": SCORE, "name": n} for n in names]
    return points if named else [{k: p[k] for k in ("x", "y", "score")} for p in points]


def posenet(names: list[str]) -> list[dict[str, Any]]:
    def part(name: str) -> str:
        side, _, rest = name.partition("_")
        return side + rest.title()

    return [
        {"score": SCORE, "part": part(n), "position": {"x": POINTS[n][0], "y": POINTS[n][1]}}
        for n in names
    ]


def landmarks(scale: tuple[float, float] = SIZE) -> list[dict[str, float]]:
    return [
        {"x": x / scale[0], "y": y / scale[1], "z": -0.1, "visibility": SCORE}
        for x, y in PERSON.values()
    ]


def mmpose(names: list[str]) -> dict[str, Any]:
    return {
        "keypoints": [list(POINTS[n]) for n in names],
        "keypoint_scores": [SCORE] * len(names),
        "bbox": [[240.0, 50.0, 400.0, 420.0]],
        "bbox_score": 0.98,
    }


def alphapose(names: list[str], image: str = "photo.jpg") -> dict[str, Any]:
    return {
        **{"image_id": image, "category_id": 1, "keypoints": flat(names), "score": 2.9},
        **{"box": [240.0, 50.0, 160.0, 370.0], "idx": [0.0]},
    }


def ultralytics(names: list[str], scale: tuple[float, float] = (1.0, 1.0)) -> dict[str, Any]:
    x, y = zip(*((POINTS[n][0] / scale[0], POINTS[n][1] / scale[1]) for n in names), strict=True)
    return {
        **{"name": "person", "class": 0, "confidence": 0.88},
        "box": {"x1": 240.0, "y1": 50.0, "x2": 400.0, "y2": 420.0},
        "keypoints": {"x": list(x), "y": list(y), "visible": [SCORE] * len(names)},
    }


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path
