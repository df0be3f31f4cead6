"""Every layout that other tools write gives the same pixels in the right joints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keypoint_writers as w
import numpy as np
import pytest

from kinflow.evidence.keypoint_files import KEYPOINT_FORMATS, PhotoKeypoints, read_people

HERE = w.BLAZEPOSE


def check(found: PhotoKeypoints, names: Any, confidence: float = w.SCORE) -> None:
    """The one person has these points, where they are, and no others."""
    (person,) = found.evidence.people
    for row, name in enumerate(w.BLAZEPOSE):
        x, y, c = person.keypoints_px[row].tolist()
        if name in names:
            assert (x, y) == pytest.approx(w.PERSON[name], abs=0.01), name
            assert c == pytest.approx(confidence), name
        else:
            assert (x, y, c) == (0, 0, 0), name
    assert (person.keypoint_std_px > 0).all()
    x0, y0, x1, y1 = person.box_px.tolist()
    assert 200 < x0 < 290 < 370 < x1 < 430
    assert 40 < y0 < 140 and 385 < y1 < 460
    assert 0 < person.score <= 1


def read(tmp_path: Path, content: Any, **options: Any) -> PhotoKeypoints:
    return read_people(w.write(tmp_path / "k.json", content), w.SIZE, "photo.jpg", **options)


FOOT, FACE, LEFT, RIGHT = 17 * 3, 23 * 3, 91 * 3, 112 * 3
WHOLE = w.flat(w.WHOLEBODY)
WHOLEBODY_FIELDS = {
    "keypoints": WHOLE[:FOOT],
    "foot_kpts": WHOLE[FOOT:FACE],
    "face_kpts": WHOLE[FACE:LEFT],
    "lefthand_kpts": WHOLE[LEFT:RIGHT],
    "righthand_kpts": WHOLE[RIGHT:],
    "foot_valid": True,
}
CANVAS = {"canvas_width": 1280, "canvas_height": 960}
LIMBS = {"version": "AlphaPose v0.3"}

LAYOUTS: dict[str, tuple[Any, list[str] | tuple[str, ...], str]] = {
    # OpenPose
    "body_25": (w.openpose(w.flat(w.BODY_25)), w.BODY_25, "OpenPose, 25 points (OpenPose BODY_25)"),
    "coco_18": (w.openpose(w.flat(w.COCO18)), w.COCO18, "OpenPose, 18 points"),
    "mpi_15": (w.openpose(w.flat(w.MPI15)), w.MPI15, "OpenPose, 15 points (OpenPose MPI)"),
    "body_25b": (w.openpose(w.flat(w.BODY_25B)), w.BODY_25B, "BODY_25B"),
    "body_135": (w.openpose(w.flat(w.BODY_135)), w.BODY_25B, "BODY_135"),
    "openpose 1.0": (
        {"version": 1.0, "people": [{"pose_keypoints": w.flat(w.COCO18)}]},
        w.COCO18,
        "OpenPose, 18 points",
    ),
    "scale 0..1": (w.openpose(w.fractions(w.BODY_25)), w.BODY_25, "0..1"),
    "scale -1..1": (
        w.openpose(w.flat(w.BODY_25, times=2 / np.array(w.SIZE), plus=-1.0)),
        w.BODY_25,
        "-1..1",
    ),
    # DWPose, ControlNet
    "dwpose": ([w.openpose(w.flat(w.COCO18, times=2.0), **CANVAS)], w.COCO18, "1280 x 960"),
    "dwpose alone": (w.openpose(w.flat(w.COCO18, times=2.0), **CANVAS), w.COCO18, "DWPose"),
    "dwpose 0..1": ([w.openpose(w.fractions(w.COCO18), **CANVAS)], w.COCO18, "0..1"),
    # AlphaPose
    "alphapose 17": ([w.alphapose(w.COCO17)], w.COCO17, "AlphaPose, 17 points"),
    "alphapose 26": ([w.alphapose(w.HALPE26)], w.HALPE26, "AlphaPose, 26 points (Halpe-26)"),
    "alphapose 136": ([w.alphapose(w.HALPE136)], w.HALPE136, "136 points (Halpe-136)"),
    "alphapose cmu": (
        {"photo.jpg": {**LIMBS, "bodies": [{"joints": w.flat(w.COCO18)}]}},
        w.COCO18,
        "AlphaPose, 18 points",
    ),
    "alphapose cmu, one image": (
        {**LIMBS, "bodies": [{"joints": w.flat(w.COCO18)}]},
        w.COCO18,
        "AlphaPose, 18 points",
    ),
    "alphapose open": (
        {
            "other.jpg": {**LIMBS, "people": [{"pose_keypoints_2d": w.flat(w.COCO18, plus=9)}]},
            "photo.jpg": {**LIMBS, "people": [{"pose_keypoints_2d": w.flat(w.COCO18)}]},
        },
        w.COCO18,
        "AlphaPose, 18 points",
    ),
    # MMPose
    "mmpose inferencer": ([w.mmpose(w.COCO17)], w.COCO17, "MMPose, 17 points"),
    "mmpose batch": ([[w.mmpose(w.COCO17)]], w.COCO17, "MMPose, 17 points"),
    "mmpose predictions": (
        {"visualization": [], "predictions": [[w.mmpose(w.HALPE26)]]},
        w.HALPE26,
        "MMPose, 26 points",
    ),
    "mmpose demo": (
        {
            "meta_info": {"keypoint_id2name": {str(i): n for i, n in enumerate(w.COCO17)}},
            "instance_info": [w.mmpose(w.COCO17)],
        },
        w.COCO17,
        "MMPose, 17 points (COCO)",
    ),
    "mmpose demo, Human3.6M": (
        {
            "meta_info": {"keypoint_id2name": {str(i): n for i, n in enumerate(w.H36M17)}},
            "instance_info": [w.mmpose(w.H36M17)],
        },
        w.H36M17,
        "MMPose, 17 points (Human3.6M)",
    ),
    "mmpose demo, generic names": (
        {
            "meta_info": {"keypoint_id2name": {str(i): f"kp_{i}" for i in range(133)}},
            "instance_info": [w.mmpose(w.WHOLEBODY)],
        },
        w.WHOLEBODY,
        "133 points (COCO-WholeBody)",
    ),
    "mmpose video of one frame": (
        {
            "meta_info": {},
            "instance_info": [{"frame_id": 1, "instances": [w.mmpose(w.COCO17)]}],
        },
        w.COCO17,
        "MMPose, 17 points",
    ),
    # COCO results and what writes like them
    "coco results": (
        [{"image_id": 1, "category_id": 1, "keypoints": w.flat(w.COCO17), "score": 0.7}],
        w.COCO17,
        "COCO results, 17 points",
    ),
    "one object": ({"keypoints": w.flat(w.COCO17)}, w.COCO17, "17 points"),
    "wholebody results": (
        [{"image_id": 1, "category_id": 1, "keypoints": WHOLE, "score": 0.7}],
        w.WHOLEBODY,
        "133 points (COCO-WholeBody)",
    ),
    "wholebody results in fields": (
        [{"image_id": 1, "category_id": 1, "score": 0.7, **WHOLEBODY_FIELDS}],
        w.WHOLEBODY,
        "133 points (COCO-WholeBody)",
    ),
    "mmpose 0": (
        [{"bbox": [240.0, 50.0, 400.0, 420.0, 0.98], "keypoints": w.rows(w.COCO17)}],
        w.COCO17,
        "17 points",
    ),
    "pose editor": (
        {
            "width": 1280,
            "height": 960,
            "keypoints": [(np.array(w.rows(w.COCO18)) * (2, 2, 1)).tolist()],
        },
        w.COCO18,
        "1280 x 960",
    ),
    "coco with feet": ([{"keypoints": w.flat(w.WHOLEBODY[:23])}], w.WHOLEBODY[:23], "23 points"),
    "mpii": ([{"keypoints": w.flat(w.MPII16)}], w.MPII16, "16 points (MPII)"),
    "crowdpose": ([{"keypoints": w.flat(w.CROWDPOSE14)}], w.CROWDPOSE14, "14 points (CrowdPose"),
    "ai challenger": ([{"keypoints": w.flat(w.AIC14)}], w.AIC14, "14 points (AI Challenger"),
    "lsp": ([{"keypoints": w.flat(w.LSP14)}], w.LSP14, "14 points (LSP"),
    "h36m without names": ([{"keypoints": w.flat(w.H36M17)}], w.H36M17, "as the bones tell"),
    "scores apart": (
        [{"keypoints": [r[:2] for r in w.rows(w.COCO17)], "scores": [w.SCORE] * 17, "labels": []}],
        w.COCO17,
        "17 points",
    ),
    # Ultralytics
    "ultralytics": ([w.ultralytics(w.COCO17)], w.COCO17, "Ultralytics, 17 points"),
    "ultralytics as a text": (json.dumps([w.ultralytics(w.COCO17)]), w.COCO17, "Ultralytics"),
    "ultralytics 0..1": ([w.ultralytics(w.COCO17, w.SIZE)], w.COCO17, "0..1"),
    "ultralytics, also a dog": (
        [{"name": "dog", "class": 16, "box": {}}, w.ultralytics(w.COCO17)],
        w.COCO17,
        "Ultralytics",
    ),
    # tfjs, ml5
    "movenet": ([{"score": 0.8, "keypoints": w.objects(w.COCO17)}], w.COCO17, "tfjs"),
    "movenet without names": (
        [{"score": 0.8, "keypoints": w.objects(w.COCO17, named=False)}],
        w.COCO17,
        "tfjs",
    ),
    "posenet": ([{"score": 0.8, "keypoints": w.posenet(w.COCO17)}], w.COCO17, "tfjs"),
    "tfjs blazepose": (
        [{"score": 0.8, "keypoints": w.objects(HERE), "keypoints3D": w.objects(HERE)}],
        HERE,
        "33 points (BlazePose)",
    ),
    "names in another order": (
        [{"keypoints": w.objects(w.COCO17[::-1])}],
        w.COCO17,
        "in the order that the file names",
    ),
    "ml5": (
        [{"pose": {"score": 0.8, "keypoints": w.posenet(w.COCO17)}, "skeleton": []}],
        w.COCO17,
        "ml5, 17 points",
    ),
    "ml5 bodyPose": (
        [
            {
                "nose": {"x": 1, "y": 1},
                "keypoints": w.objects(w.COCO17),
                "box": {"xMin": 240, "yMin": 50, "xMax": 400, "yMax": 420, "width": 160},
                "id": 1,
                "confidence": 0.8,
            }
        ],
        w.COCO17,
        "ml5, 17 points",
    ),
    "named points": (
        [{"keypoints": {n: [*w.POINTS[n], w.SCORE] for n in w.COCO17}}],
        w.COCO17,
        "17 points",
    ),
    # MediaPipe
    "mediapipe": (w.landmarks(), HERE, "MediaPipe, 33 points (BlazePose)"),
    "mediapipe in pixels": (w.landmarks((1, 1)), HERE, "MediaPipe, 33 points"),
    "poseLandmarks": ({"poseLandmarks": w.landmarks(), "segmentationMask": None}, HERE, "0..1"),
    "landmarks of people": ({"landmarks": [w.landmarks()], "worldLandmarks": []}, HERE, "0..1"),
    "pose_landmarks": ({"pose_landmarks": {"landmark": w.landmarks()}}, HERE, "0..1"),
    "list of people's landmarks": ([w.landmarks()], HERE, "MediaPipe"),
    "landmarks by name": (
        dict(zip((name.upper() for name in HERE), w.landmarks(), strict=True)),
        HERE,
        "33 points (BlazePose)",
    ),
    "landmarks in a row": (
        {"pose_landmarks": [v for p in w.landmarks() for v in p.values()]},
        HERE,
        "MediaPipe, 33 points",
    ),
    "landmarks as rows": (
        {"pose_landmarks": [[*p.values()] for p in w.landmarks()]},
        HERE,
        "MediaPipe, 33 points",
    ),
    # mere numbers
    "rows": (w.rows(w.COCO17), w.COCO17, "a list of points, 17 points"),
    "people's rows": ([w.rows(w.COCO18)], w.COCO18, "a list of points, 18 points"),
    # kinflow
    "kinflow": (
        {
            "format": "kinflow people 1",
            "source": "holiday/photo.jpg",
            "image_size": [640, 480],
            "people": [{"person": 0, "score": 0.8, "keypoints_px": w.rows(HERE)}],
        },
        HERE,
        "kinflow's own result, 33 points",
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(tmp_path, name):
    content, names, note = LAYOUTS[name]
    found = read(tmp_path, json.dumps(content))
    check(found, names)
    assert any(note in said for said in found.notes), found.notes
    assert all(said.startswith("k.json: ") for said in found.notes)


NAMES = [name.replace("foot_index", "big_toe") for name in w.HALPE26]
H36M_NAMES = w.words(
    "Root RHip RKnee RFoot LHip LKnee LFoot Spine Thorax Neck Head LShoulder LElbow LWrist "
    "RShoulder RElbow RWrist"
)
COCO_FILES: dict[str, tuple[Any, list[str], float]] = {
    "coco": (w.coco_file(w.COCO17, w.COCO17), w.COCO17, 1.0),
    "without names": (w.coco_file(w.COCO17, None), w.COCO17, 1.0),
    "human3.6m": (w.coco_file(w.H36M17, H36M_NAMES), w.H36M17, 1.0),
    "posetrack": (
        w.coco_file(w.POSETRACK17, ["nose", "head_bottom", "head_top", *w.COCO17[3:]], third=1),
        w.POSETRACK17,
        1.0,
    ),
    "names of another make": (
        w.coco_file(w.BODY_25, [n.replace("_", " ").title() for n in w.BODY_25]),
        w.BODY_25,
        1.0,
    ),
    "names in capitals": (
        w.coco_file(w.HALPE26, [f"PoseLandmark.{n.upper()}" for n in w.HALPE26]),
        w.HALPE26,
        1.0,
    ),
    "halpe": (w.coco_file(w.HALPE26, NAMES), w.HALPE26, 1.0),
    "hidden": (
        w.coco_file(w.COCO17, w.COCO17, bbox=[240, 50, 160, 370], keypoints=w.flat(w.COCO17, 1)),
        w.COCO17,
        0.5,
    ),
    "v is always 1": (w.coco_file(w.COCO17, w.COCO17, third=1), w.COCO17, 1.0),
    "v is always 0": (w.coco_file(w.COCO17, w.COCO17, third=0), w.COCO17, 1.0),
    "v is a score": (w.coco_file(w.COCO17, w.COCO17, third=0.93), w.COCO17, 0.93),
    "wholebody": (w.coco_file(w.COCO17, w.COCO17, **WHOLEBODY_FIELDS), w.WHOLEBODY, w.SCORE),
}


@pytest.mark.parametrize("name", COCO_FILES)
def test_coco_annotations(tmp_path, name):
    content, names, confidence = COCO_FILES[name]
    check(read(tmp_path, content), names, confidence)


@pytest.mark.parametrize(
    "order", ["coco17", "h36m17", "posetrack17", "crowdpose14", "wholebody133"]
)
def test_an_order_that_the_user_names(tmp_path, order):
    names = {
        "coco17": w.COCO17,
        "h36m17": w.H36M17,
        "posetrack17": w.POSETRACK17,
        "crowdpose14": w.CROWDPOSE14,
        "wholebody133": w.WHOLEBODY,
    }[order]
    check(read(tmp_path, [{"keypoints": w.flat(names)}], format=order), names)


def test_a_named_order_counts_more_than_names_of_the_file(tmp_path):
    content = w.coco_file(w.COCO17, ["a", "b", *w.COCO17[2:]])
    check(read(tmp_path, content, format="coco17"), w.COCO17, 1.0)


@pytest.mark.parametrize(
    ("tool", "layout"),
    [
        ("openpose", "body_25"),
        ("dwpose", "dwpose"),
        ("alphapose", "alphapose cmu"),
        ("coco", "coco results"),
        ("mmpose", "mmpose demo"),
        ("ultralytics", "ultralytics"),
        ("tfjs", "movenet"),
        ("mediapipe", "poseLandmarks"),
        ("kinflow", "kinflow"),
    ],
)
def test_a_tool_that_the_user_names(tmp_path, tool, layout):
    assert tool in KEYPOINT_FORMATS
    content, names, _ = LAYOUTS[layout]
    check(read(tmp_path, content, format=tool), names)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_what_powershell_writes(tmp_path, encoding):
    path = tmp_path / "k.json"
    path.write_bytes(json.dumps(w.openpose(w.flat(w.BODY_25))).encode(encoding))
    check(read_people(path, w.SIZE), w.BODY_25)


@pytest.mark.parametrize("missing", [None, float("nan"), 0])
def test_a_joint_may_be_missing(tmp_path, missing):
    numbers: list[Any] = w.flat(w.BODY_25)
    numbers[33:36] = [missing] * 3  # the right ankle
    found = read(tmp_path, w.openpose(numbers))
    check(found, [n for n in w.BODY_25 if n != "right_ankle"])


def test_an_unseen_point_at_the_origin_is_missing_whatever_its_flag(tmp_path):
    numbers = w.flat(w.COCO17, 1)
    numbers[:2] = [0, 0]
    found = read(tmp_path, w.coco_file(w.COCO17, w.COCO17, third=1, keypoints=numbers))
    check(found, w.COCO17[1:], 1.0)


@pytest.mark.parametrize("body", [[], None, [0.0] * 75])
def test_people_without_a_body_are_passed_over(tmp_path, body):
    content = w.openpose(w.flat(w.BODY_25))
    content["people"].insert(
        0, {"pose_keypoints_2d": body, "hand_left_keypoints_2d": [9.0, 9.0, 0.5] * 21}
    )
    check(read(tmp_path, content), w.BODY_25)


def test_the_largest_person_comes_first(tmp_path):
    entries = [{"keypoints": w.flat(w.COCO17, times=k)} for k in (0.4, 1.0, 0.7)]
    heights = [p.height_px for p in read(tmp_path, entries).evidence.people]
    assert heights == sorted(heights, reverse=True)


def test_boxes_that_are_not_the_persons_are_passed_over(tmp_path):
    for box in ([0, 0, 5, 5], [240, 50, 0, 0], [1e300] * 4, [], None, [None] * 4):
        check(read(tmp_path, [{"keypoints": w.flat(w.COCO17), "bbox": box}]), w.COCO17)
