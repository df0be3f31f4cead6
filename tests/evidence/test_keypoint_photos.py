"""Which people of a file are the photo's, and whether their numbers can be right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keypoint_writers as w
import numpy as np
import pytest

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.errors import InputError
from kinflow.evidence.keypoint_files import KeypointSource, PhotoKeypoints, read_people

NOSE = BLAZEPOSE33.index("nose")


def result(image_id: Any = None, plus: float = 0.0, **more: Any) -> dict[str, Any]:
    entry = {"category_id": 1, "keypoints": w.flat(w.COCO17, plus=plus), "score": 0.9, **more}
    return entry if image_id is None else {"image_id": image_id, **entry}


def read(tmp_path: Path, content: Any, photo: str | None = "photo.jpg", **options: Any):
    return read_people(w.write(tmp_path / "k.json", content), w.SIZE, photo, **options)


def shifts(found: PhotoKeypoints) -> list[int]:
    """By how much the people were shifted when they were written."""
    return sorted(
        round(float(p.keypoints_px[NOSE, 0]) - w.PERSON["nose"][0]) for p in found.evidence.people
    )


@pytest.mark.parametrize(
    ("ids", "photo", "chosen"),
    [
        (["photo.jpg", "other.jpg"], "photo.jpg", [0]),
        (["photo.jpg", "photo.jpg", "other.jpg"], "photo.jpg", [0, 1]),
        (["photo", "other"], "photo.jpg", [0]),
        (["PHOTO.JPG", "other.jpg"], "photo.jpg", [0]),
        (["photo.png", "other.png"], "photo.jpg", [0]),
        (["a\\photo.jpg", "b\\other.jpg"], "photo.jpg", [0]),
        (["cam1/photo.jpg", "cam2/photo.jpg"], "day/cam2/photo.jpg", [1]),
        ([785, 790], "coco_000000000790.jpg", [1]),
        ([785, 790], "785.jpg", [0]),
        ([785.0, 790.0], "785.jpg", [0]),
        (["photo.jpg", "photo_2.jpg"], "photo_2.jpg", [1]),
        (["e\u0301t\u00e9.jpg", "x.jpg"], "\u00e9t\u00e9.jpg", [0]),
        (["p\u00b2.jpg", 2], "p\u00b2.jpg", [0]),
    ],
)
def test_people_are_found_by_name_or_number(tmp_path, ids, photo, chosen):
    content = [result(image_id, plus=5.0 * i) for i, image_id in enumerate(ids)]
    assert shifts(read(tmp_path, content, photo)) == [5 * i for i in chosen]


def test_the_only_number_is_the_only_photo(tmp_path):
    found = read(tmp_path, [result(1), result(1, plus=5.0)])
    assert shifts(found) == [0, 5]
    assert "k.json: image 1, the only one in it, was taken for photo.jpg" in found.notes


def test_nobody_for_this_photo_lists_what_there_is(tmp_path):
    with pytest.raises(InputError, match=r"photo\.jpg.* image 1, image 2"):
        read(tmp_path, [result(1), result(2)])
    many = [result(f"day_{i}.jpg") for i in range(30)]
    with pytest.raises(InputError, match=r"day_0\.jpg, .*day_4\.jpg and 25 more"):
        read(tmp_path, many)
    with pytest.raises(InputError, match=r"other\.jpg"):
        read(tmp_path, [result("other.jpg")])
    with pytest.raises(InputError, match="nobody in it"):
        read(tmp_path, {"images": [{"id": 1, "file_name": "photo.jpg"}], "annotations": []})
    with pytest.raises(InputError, match="several images"):
        read(tmp_path, [result("a/photo.jpg"), result("b/photo.jpg")])
    with pytest.raises(InputError, match=r"a\.jpg, b\.jpg"):
        read(tmp_path, [result("a.jpg"), result("b.jpg")], photo=None)


def test_frames_are_not_taken_for_one_photo(tmp_path):
    frames = [w.openpose(w.flat(w.COCO18), canvas_width=640, canvas_height=480)] * 2
    with pytest.raises(InputError, match="frame 0, frame 1"):
        read(tmp_path, frames)


def test_a_file_without_names_is_for_one_photo(tmp_path):
    source = KeypointSource(w.write(tmp_path / "k.json", [result()]))
    assert shifts(source.read(w.SIZE, "photo.jpg")) == [0]
    with pytest.raises(InputError, match="which photo it belongs to"):
        source.read(w.SIZE, "photo.jpg", only_photo=False)
    numbered = KeypointSource(w.write(tmp_path / "n.json", [result(1)]))
    with pytest.raises(InputError, match="image 1"):
        numbered.read(w.SIZE, "photo.jpg", only_photo=False)
    named = KeypointSource(w.write(tmp_path / "m.json", [result("photo.jpg")]))
    assert shifts(named.read(w.SIZE, "photo.jpg", only_photo=False)) == [0]


@pytest.mark.parametrize(
    "name",
    [
        "photo_keypoints.json",
        "photo.json",
        "photo.jpg.json",
        "photo_000000000000_keypoints.json",
    ],
)
def test_folders_hold_one_file_a_photo(tmp_path, name):
    w.write(tmp_path / name, w.openpose(w.flat(w.BODY_25)))
    w.write(tmp_path / "other_keypoints.json", w.openpose(w.flat(w.BODY_25, plus=9.0)))
    source = KeypointSource(tmp_path)
    found = source.read(w.SIZE, "holiday/photo.jpg", only_photo=False)
    assert shifts(found) == [0]
    assert found.notes[0].startswith(f"{name}: read as OpenPose")
    with pytest.raises(InputError, match=r"neither 'third_keypoints\.json' nor .*other_keypoints"):
        source.read(w.SIZE, "third.jpg", only_photo=False)


SIZES = {"width": 640, "height": 480}


def stated(width: float, height: float, times: float = 1.0) -> dict[str, Any]:
    return {
        "images": [{"id": 1, "file_name": "photo.jpg", "width": width, "height": height}],
        "annotations": [{"image_id": 1, "keypoints": w.flat(w.COCO17, 2, times=times)}],
    }


@pytest.mark.parametrize("times", [0.5, 2.0, 3.125])
def test_keypoints_of_another_size_that_the_file_states(tmp_path, times):
    found = read(tmp_path, stated(640 * times, 480 * times, times))
    assert shifts(found) == [0]
    assert f"of {640 * times:.0f} x {480 * times:.0f} pixels and were scaled" in found.notes[-1]


def test_keypoints_of_the_image_before_it_was_rotated(tmp_path):
    with pytest.raises(InputError, match="rotated upright"):
        read(tmp_path, stated(480, 640))
    turned = np.array(w.rows(w.COCO17))[:, [1, 0, 2]] * (1.5, 1, 1) + (340, 0, 0)
    with pytest.raises(InputError, match="rotated upright"):
        read_people(w.write(tmp_path / "k.json", [result(keypoints=turned.tolist())]), (480, 960))


def test_keypoints_of_a_cropped_image(tmp_path):
    with pytest.raises(InputError, match="600 x 600 pixels, but photo.jpg has 640 x 480"):
        read(tmp_path, stated(600, 600))


@pytest.mark.parametrize("size", [(None, None), (0, 0), (640, None)])
def test_sizes_that_are_not_stated(tmp_path, size):
    assert shifts(read(tmp_path, stated(*size))) == [0]


@pytest.mark.parametrize("times", [2.0, 4.0])
def test_keypoints_of_a_larger_image_are_refused(tmp_path, times):
    numbers = w.flat(w.BODY_25, times=times)
    with pytest.raises(InputError, match=r"reach .* 640 x 480 pixels; .* times as large"):
        read(tmp_path, w.openpose(numbers))
    with pytest.raises(InputError, match="not those of this photo"):
        read(tmp_path, w.openpose(w.flat(w.BODY_25, plus=-500.0)))


def test_a_few_points_outside_are_said(tmp_path):
    found = read_people(
        w.write(tmp_path / "k.json", w.openpose(w.flat(w.BODY_25))), (640, 370), "photo.jpg"
    )
    assert re.search(r"\d+ keypoints lie outside of photo\.jpg", found.notes[-1])


def test_points_that_a_tool_is_not_sure_of_may_be_anywhere(tmp_path):
    points = w.landmarks()
    for point in points[23:]:
        point["y"], point["visibility"] = 2.7, 0.1
    found = read(tmp_path, points)
    assert shifts(found) == [0]
    assert len(found.notes) == 2


def test_people_of_no_size(tmp_path):
    dot = result(keypoints=[320.0, 240.0, 0.9] * 17)
    with pytest.raises(InputError, match=r"\[0\]\.keypoints lie at one place"):
        read(tmp_path, [dot])
    found = read(tmp_path, [dot, result()])
    assert shifts(found) == [0]
    assert "1 of 2 people, with all keypoints at one place" in found.notes[-1]
    speck = result(keypoints=w.flat(w.COCO17, times=0.02, plus=300.0))
    with pytest.raises(InputError, match="at one place, within 8 pixels"):
        read(tmp_path, [speck])
    with pytest.raises(InputError, match="at one place"):
        read(tmp_path, [{"x": 0.5, "y": 0.2, "z": 0.0, "visibility": 0.9}] * 33)


def test_one_point_is_few_but_not_wrong(tmp_path):
    numbers = [0.0] * 51
    numbers[:3] = [322.0, 92.0, 0.9]
    (person,) = read(tmp_path, [{"keypoints": numbers}]).evidence.people
    assert int((person.keypoints_px[:, 2] > 0).sum()) == 1
