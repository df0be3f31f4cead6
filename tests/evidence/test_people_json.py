import json

import numpy as np
import pytest
import torch

from kinflow.errors import InputError
from kinflow.evidence.keypoint_names import BLAZEPOSE33, BODY_25, COCO17
from kinflow.evidence.people_json import read_people

SIZE = (640, 480)


def flat_keypoints(count: int, confidence: float, offset: float = 0.0) -> list[float]:
    points = np.arange(count, dtype=float)
    return (
        np.column_stack((100 + 10 * points + offset, 50 + 12 * points, np.full(count, confidence)))
        .ravel()
        .tolist()
    )


def write(path, content) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_coco_results(tmp_path):
    path = write(tmp_path / "people.json", [{"keypoints": flat_keypoints(17, 0.7), "score": 0.9}])
    evidence = read_people(path, SIZE)
    (person,) = evidence.people
    assert evidence.image_size == SIZE
    assert person.score == pytest.approx(0.9)
    assert person.world_m is None
    for row, name in enumerate(COCO17):
        expected = torch.tensor([100.0 + 10 * row, 50.0 + 12 * row, 0.7])
        torch.testing.assert_close(person.keypoints_px[BLAZEPOSE33.index(name)], expected)
    others = [i for i, name in enumerate(BLAZEPOSE33) if name not in COCO17]
    assert (person.keypoints_px[others] == 0).all()
    assert (person.keypoint_std_px > 0).all()


def test_openpose(tmp_path):
    people = [
        {"pose_keypoints_2d": flat_keypoints(25, 0.6)},
        {"pose_keypoints_2d": [0.0] * 75},
    ]
    path = write(tmp_path / "people.json", {"version": 1.3, "people": people})
    (person,) = read_people(path, SIZE).people
    for row, name in enumerate(BODY_25):
        if name in BLAZEPOSE33:
            assert person.keypoints_px[BLAZEPOSE33.index(name), 0] == 100 + 10 * row


def test_coco_file_selects_the_photo_and_knows_visibility_flags(tmp_path):
    keypoints = flat_keypoints(17, 2)
    keypoints[2], keypoints[5] = 1, 0
    content = {
        "images": [{"id": 1, "file_name": "a/one.jpg"}, {"id": 2, "file_name": "two.jpg"}],
        "annotations": [
            {"image_id": 1, "keypoints": keypoints, "bbox": [90, 40, 200, 300]},
            {"image_id": 2, "keypoints": flat_keypoints(17, 2, offset=50)},
        ],
    }
    path = write(tmp_path / "people.json", content)
    (person,) = read_people(path, SIZE, "photos/one.jpg").people
    assert person.box_px.tolist() == [90, 40, 290, 340]
    confidence = {name: float(person.keypoints_px[BLAZEPOSE33.index(name), 2]) for name in COCO17}
    assert confidence["nose"] == 0.5
    assert confidence["left_eye"] == 0
    assert confidence["left_ankle"] == 1
    with pytest.raises(InputError, match="no person"):
        read_people(path, SIZE, "three.jpg")


def test_coco_results_by_image_number(tmp_path):
    content = [
        {"image_id": 785, "keypoints": flat_keypoints(17, 0.5)},
        {"image_id": 790, "keypoints": flat_keypoints(17, 0.5)},
    ]
    path = write(tmp_path / "people.json", content)
    assert len(read_people(path, SIZE, "coco_000000000785.jpg").people) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{not json", "not valid JSON"),
        ({"foo": []}, "neither COCO"),
        ([1, 2], "list of objects"),
        ([{"keypoints": [1.0] * 50}], "51 numbers"),
        ([{"keypoints": "abc"}], "51 numbers"),
        ([{"score": 1.0}], "51 numbers"),
        ([{"keypoints": flat_keypoints(17, 1.0)[:-1] + [float("nan")]}], "not finite"),
        ([{"keypoints": flat_keypoints(17, 1.0), "bbox": [1, 2]}], "4 numbers"),
        ([{"keypoints": flat_keypoints(17, 1.0), "score": "high"}], "score"),
        ({"people": [{"pose_keypoints_2d": [0.0] * 54}]}, "75 numbers"),
        ({"people": []}, "no person"),
        ([], "no person"),
    ],
)
def test_bad_files(tmp_path, content, message):
    path = write(tmp_path / "people.json", content)
    with pytest.raises(InputError, match=message):
        read_people(path, SIZE)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_people(tmp_path / "none.json", SIZE)
