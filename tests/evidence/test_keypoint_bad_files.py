"""Files that are not keypoints, damaged or made to harm: one sentence each, never a crash."""

from __future__ import annotations

import copy
import inspect
import json
import random
import re
from pathlib import Path
from typing import Any

import keypoint_writers as w
import pytest
from test_keypoint_files import COCO_FILES, LAYOUTS

from kinflow.cli.options import Reconstruct
from kinflow.errors import InputError
from kinflow.evidence.keypoint_files import KEYPOINT_FORMATS, KeypointSource, read_people
from kinflow.evidence.keypoint_files.orders import body_point, order_of_names

GOOD = w.flat(w.COCO17)


def read(tmp_path: Path, content: Any, **options: Any):
    return read_people(w.write(tmp_path / "k.json", content), w.SIZE, "photo.jpg", **options)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{not json", "not valid JSON"),
        ("[" * 5000, "nested too deeply|not valid JSON"),
        ('{"people":' * 3000, "nested too deeply|not valid JSON"),
        ("12", "no layout of keypoints"),
        ("null", "no layout of keypoints"),
        ({}, "empty object"),
        ({"foo": []}, "no layout of keypoints"),
        ({"version": "ap10k", "animals": []}, "animals"),
        ([1, 2], "no layout of keypoints"),
        (["a"], "no layout of keypoints"),
        ([{"foo": 1}], "no layout of keypoints"),
        ([], "no person"),
        ([[]], "no person"),
        ({"people": []}, "no person"),
        ({"people": None}, "people has to be a list"),
        ({"people": [3]}, r"people\[0\] has to be an object"),
        ({"people": [{"foo": 3}]}, "pose_keypoints_2d"),
        ({"annotations": {}}, "annotations has to be a list"),
        ({"images": 3, "annotations": []}, "images has to be a list"),
        ([{"keypoints": [1.0] * 50}], "has 50 numbers, but known are .* 51"),
        ([{"keypoints": [1.0] * 63}], "has 63 numbers"),
        ([{"keypoints": "abc"}], "list of numbers, but it is 'abc'"),
        ([{"keypoints": [*GOOD[:-1], "x"]}], r"keypoints\[50\] has to be a number"),
        ([{"keypoints": [*GOOD[:-1], True]}], r"keypoints\[50\] .* true"),
        ([{"keypoints": [*GOOD[:-1], [0.9]]}], r"keypoints\[50\] .* a list of 1"),
        ([{"keypoints": [float("nan")] * 51}], "no person with keypoints"),
        ([{"keypoints": [None] * 51}], "no person with keypoints"),
        ([{"keypoints": [1e300, -1e300, 1] * 17}], "cannot be in any image"),
        ([{"keypoints": [float("inf"), *GOOD[1:]]}], "cannot be in any image"),
        ([{"keypoints": [10**400, *GOOD[1:]]}], "cannot be in any image"),
        ([{"keypoints": GOOD, "bbox": [1, 2]}], "4 numbers"),
        ([{"keypoints": GOOD, "bbox": "all"}], "list of numbers"),
        ([{"keypoints": GOOD, "score": "high"}], "score .* number"),
        ([{"keypoints": GOOD, "image_id": [1]}], "image_id has to be a number or a text"),
        ([{"keypoints": GOOD, "image_id": True}], "image_id has to be a number or a text"),
        ([{"keypoints": GOOD, "file_name": 3}], "file_name has to be a text"),
        ([{"keypoints": {"x": [1, 2], "y": [1]}}], "2 x but 1 y"),
        ([{"keypoints": [{"x": 1}] * 17}], "object with x and y"),
        ([{"keypoints": [{"x": {}, "y": 1}] * 17}], r"\[0\]\.x has to be a number"),
        ([{"keypoints": [[1, 2]] * 17, "keypoint_scores": [1]}], "17 points but 1 scores"),
        ([{"keypoints": [[1, 2]] * 1001}], "1001 points"),
        ([{"keypoints": [0.5] * 6000}], "a list of 6000, far more"),
        ([{"keypoints": [[1]] * 17}], "1 numbers"),
        ([{"x": 1, "y": 2}] * 12, "12 points"),
        ([{"x": 1, "y": 2, "visibility": []}] * 33, "visibility has to be a number"),
        ({"pose_landmarks": 3}, "list of numbers"),
        ([{"landmarks": []}, {"foo": 3}], "no landmarks"),
        ({"format": "kinflow people 1", "people": [], "image_size": 3}, "image_size"),
        ({"format": "kinflow people 1"}, "people has to be a list"),
        ({"meta_info": {"keypoint_id2name": {"a": 1}}, "instance_info": []}, "numbers"),
        ({"instance_info": {}}, "instance_info has to be a list"),
        ({"a.jpg": {"people": []}, "b.jpg": 3}, "no layout"),
        (w.coco_file(w.COCO17, ["tail", *["fin"] * 16]), "not known as points of a body"),
        (w.coco_file(w.COCO17, w.COCO17[:4:-1]), "17 points, but the file names 12"),
        (w.coco_file(w.COCO17, "abc"), "list of names"),  # type: ignore[arg-type]
        (w.coco_file(w.COCO17, [3, *w.COCO17[1:]]), "has to be a text"),  # type: ignore[list-item]
        (w.coco_file(w.COCO17, w.COCO17, image_id={}), "image_id"),
        (w.coco_file(w.COCO17, w.COCO17, category_id=[]), "category_id"),
        (w.coco_file(w.COCO17, w.COCO17, keypoints=[]), "no person with keypoints"),
    ],
)
def test_bad_files(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, content)
    sentence = str(caught.value)
    assert "k.json" in sentence and len(sentence) < 500
    assert sentence.endswith(".") and not sentence.endswith("..")
    assert "damaged" not in sentence


@pytest.mark.parametrize(
    ("format", "message"),
    [
        ("mediapipe", "not laid out as files of mediapipe are, but as those of COCO results"),
        ("body25", "17 points, but body25 has 25"),
        ("coco_17", "There is no keypoints format 'coco_17'; known are auto, openpose"),
    ],
)
def test_formats_that_do_not_fit(tmp_path, format, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, [{"keypoints": GOOD}], format=format)


def test_every_format_is_in_the_help_and_on_the_page():
    page = (Path(__file__).parents[2] / "docs" / "keypoints.md").read_text(encoding="utf8")
    source = inspect.getsource(Reconstruct)
    for name in KEYPOINT_FORMATS[1:]:
        assert f"`{name}`" in page
        assert re.search(rf"\b{name}\b", source)


def test_a_named_order_of_another_number(tmp_path):
    with pytest.raises(InputError, match="17 points, but halpe26 has 26"):
        read(tmp_path, [{"keypoints": w.rows(w.COCO17)}], format="halpe26")


def test_fourteen_points_that_say_nothing_of_their_order(tmp_path):
    line = [[100.0 + 10 * i, 100.0 + i, 0.9 if i < 5 else 0.0] for i in range(14)]
    with pytest.raises(InputError, match=r"as the format: crowdpose14, aic14, lsp14"):
        read(tmp_path, [{"keypoints": line}])


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        KeypointSource(tmp_path / "none.json")
    with pytest.raises(InputError, match="it has no JSON files"):
        read_people(tmp_path, w.SIZE, "photo.jpg")
    with pytest.raises(InputError, match="is a folder"):
        read_people(tmp_path, w.SIZE)


def test_more_lists_than_memory(tmp_path):
    path = tmp_path / "k.json"
    path.write_text("[" + "[]," * 2_000_000 + "[]]")
    with pytest.raises(InputError, match="million lists"):
        KeypointSource(path)


ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 3, 1e300, -1e300, 10**30, float("nan"), float("inf"), 0.5),
    *("", "a", "photo.jpg", "9" * 400, [], {}, [1], [[1]], {"a": 1}, [None], [1e300] * 51),
    *([{"x": 1}], {"x": [], "y": []}, [[[[1]]]], [0.0] * 51, [[1, 2, 3]] * 17, {"position": 3}),
)
DOCUMENTS = [content for content, _, _ in LAYOUTS.values() if not isinstance(content, str)]
DOCUMENTS += [content for content, _, _ in COCO_FILES.values()]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container with a key into it."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = [(value, key) for key, _ in inner]
    for container, key in list(found):
        if isinstance(container[key], dict | list):
            found += places(container[key])
    return found


@pytest.mark.parametrize("seed", range(12))
def test_odd_values_anywhere(tmp_path, seed):
    """Whatever stands in the place of a value: people come out, or a sentence about the file."""
    chance = random.Random(seed)
    for document in DOCUMENTS:
        content = copy.deepcopy(document)
        shallow = [
            (c, k) for c, k in places(content) if not isinstance(c, list) or len(c) < 12
        ] or places(content)
        container, key = chance.choice(shallow)
        container[key] = copy.deepcopy(chance.choice(ODD_VALUES))
        path = w.write(tmp_path / "k.json", json.dumps(content))
        try:
            people = read_people(path, w.SIZE, "photo.jpg").evidence.people
        except InputError as error:
            assert "k.json" in str(error)
            # every fault has a sentence of its own
            assert "damaged" not in str(error), (error, container, key)
        else:
            for person in people:
                assert person.keypoints_px.isfinite().all()
                assert person.keypoint_std_px.isfinite().all()
                assert person.box_px.isfinite().all()
                assert 0 <= person.score <= 1


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("LBigToe", "left_big_toe"),
        ("right big toe", "right_big_toe"),
        ("left_foot_index", "left_big_toe"),
        ("RIGHT_FOOT_INDEX", "right_big_toe"),
        ("RSmallToe", "right_small_toe"),
        ("leftEyeInner", "left_eye_inner"),
        ("left_eye_(inner)", "left_eye_inner"),
        ("mouth_left", "mouth_left"),
        ("left_mouth_corner", "mouth_left"),
        ("Nose", "nose"),
        ("Pelvis", "pelvis"),
        ("Hip", "pelvis"),
        ("root (pelvis)", "pelvis"),
        ("rshoulder", "right_shoulder"),
        ("Shoulder-Right", "right_shoulder"),
        ("LElbow", "left_elbow"),
        ("l.wrist", "left_wrist"),
        ("rightAnkle", "right_ankle"),
        ("left_pinky_finger1", "left_pinky"),
        ("left", None),
        ("left_right_hip", None),
        ("", None),
        ("x" * 100_000, None),
    ],
)
def test_names_of_points(name, point):
    assert body_point(name) == point


def test_feet_are_ankles_only_where_there_are_none():
    names = ["left_hip", "left_knee", "left_foot", "right_hip", "right_knee", "right_foot"]
    order = order_of_names(names, "k")
    assert order is not None and order.names[2] == "left_ankle"
    order = order_of_names([*names, "left_ankle"], "k")
    assert order is not None and order.names[2] != "left_ankle"
    assert order_of_names([f"keypoint_{i}" for i in range(17)], "k") is None
