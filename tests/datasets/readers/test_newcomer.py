"""Faults that people make when they prepare data, and what `kinflow data check` says of them."""

import json
import shutil

import numpy as np
import pytest
import test_amass_reader as amass
import test_bedlam_agora_readers as bedlam
import test_h36m_reader as h36m
import test_malformed_images as images
from image_trees import lsp_tree, write_json
from made_people import made_person
from PIL import Image

from kinflow.body.keypoints import COCO17
from kinflow.cli.main import main
from kinflow.datasets.readers.joint_names import H36M17, SMPLX_POINTS
from kinflow.datasets.readers.picture_check import PictureCheck
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import Picture

MANY = 10


def said_of(name, root, capsys, *more, code=2):
    assert main(["data", "check", name, str(root), *more]) == code
    return capsys.readouterr().out


@pytest.fixture
def coco(tmp_path):
    """Ten people in ten pictures of 64 by 48, whose faces are as faces are."""
    points = np.full((17, 3), 2)
    points[:, :2] = 20
    points[:3, :2] = (30, 22), (33, 20), (27, 20)
    good = images.GOOD["annotations"][0] | {"keypoints": points.ravel().tolist()}
    listed = [
        {"id": i, "file_name": f"{i}.jpg", "width": 64, "height": 48} for i in range(1, MANY + 1)
    ]
    people = [{**good, "id": 5 + i["id"], "image_id": i["id"]} for i in listed]
    content = {**images.GOOD, "images": listed, "annotations": people}
    (tmp_path / "val2017").mkdir()
    for image in listed:
        Image.new("RGB", (64, 48)).save(tmp_path / "val2017" / image["file_name"])
    write_json(tmp_path / "annotations" / images.FILES["coco"], content)
    return tmp_path


def change(root, spoil):
    path = root / "annotations" / images.FILES["coco"]
    content = json.loads(path.read_text())
    spoil(content)
    path.write_text(json.dumps(content))


def test_good_pictures_are_opened_and_nothing_is_said(coco, capsys):
    said = said_of("coco", coco, capsys, code=0)
    assert f"pictures whose sizes and ends were looked at: {MANY}" in said
    assert "looked at: 3\n" in said_of("coco", coco, capsys, "--pictures", "3", code=0)
    assert "looked at" not in said_of("coco", coco, capsys, "--pictures", "0", code=0)
    with pytest.raises(SystemExit):
        main(["data", "check", "coco", str(coco), "--pictures", "some"])


def test_width_and_height_exchanged_is_said(coco, capsys):
    def exchange(content):
        for image in content["images"]:
            image["width"], image["height"] = image["height"], image["width"]

    change(coco, exchange)
    said = said_of("coco", coco, capsys)
    assert f"{MANY} of {MANY} pictures looked at have width and height exchanged" in said
    assert "is 64 by 48, labels say 48 by 64." in said


def test_pictures_of_another_size_or_cut_off_or_none_are_said(coco, capsys):
    folder = coco / "val2017"
    Image.new("RGB", (32, 24)).save(folder / "1.jpg")
    whole = (folder / "2.jpg").read_bytes()
    (folder / "2.jpg").write_bytes(whole[:-40])
    (folder / "3.jpg").write_bytes(b"<html>quota exceeded</html>")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (64, 48)).save(folder / "4.jpg", exif=turned)
    (folder / "5.jpg").write_bytes(whole + bytes(100))  # some cameras write on
    for number in (6, 7, 8):
        (folder / f"{number}.jpg").unlink()

    said = said_of("coco", coco, capsys, "--pictures", "all")
    assert "have another size than their labels are for" in said and "is 32 by 24" in said
    assert "1 of 7 pictures looked at are cut off; copy or unpack them again: " in said
    assert "1 of 7 pictures looked at cannot be read: " in said and "3.jpg" in said
    assert "are stored on their side with a note (EXIF)" in said
    assert "6.jpg' and 2 more, not there" in said


def test_sides_exchanged_in_the_picture_are_said(coco, capsys):
    def flip(content):
        for person in content["annotations"]:
            points = np.array(person["keypoints"]).reshape(17, 3)
            points[:, 0] = 63 - points[:, 0]  # the picture was mirrored, names were not
            person["keypoints"] = points.ravel().tolist()

    change(coco, flip)
    said = said_of("coco", coco, capsys)
    assert f"the left eye is left of the right one in {MANY} of {MANY} faces" in said
    assert COCO17[1] == "left_eye"


def test_smaller_pictures_of_lsp_are_said(tmp_path, capsys, single):
    """The release has pictures of two sizes, and labels of each."""
    lsp_tree(tmp_path, single)
    joints = tmp_path / "joints.mat"
    good = said_of("lsp", tmp_path, capsys)
    assert "smaller than their labels reach" not in good  # but most are missing
    for path in (tmp_path / "images").iterdir():
        Image.open(path).resize((60, 54)).save(path)
    said = said_of("lsp", tmp_path, capsys, "--pictures", "all")
    assert joints.is_file() and "smaller than their labels reach" in said


def other(name):
    swap = {"left": "right", "right": "left"}
    return "_".join(swap.get(word, word) for word in name.split("_"))


OTHER_SIDE = [H36M17.index(other(name)) for name in H36M17]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda points, cameras: points, None),
        (lambda points, cameras: points * (-1, 1, 1), "have their left on the right"),
        (lambda points, cameras: points[:, OTHER_SIDE], "left on the"),
        (lambda points, cameras: points[..., [0, 2, 1]], "left on the"),
    ],
)
def test_axes_and_sides_of_joints_in_space(tmp_path, capsys, spoil, says):
    _, cameras = h36m.write_official(tmp_path)
    points = np.concatenate([made_person(3, seed).points(H36M17) for seed in range(5)])
    in_file = spoil(points, cameras) @ h36m.Z_UP.T * 1000
    rows = h36m.thirty_two(in_file.astype(np.float32)).reshape(len(points), 96)
    folder = tmp_path / "S1" / "MyPoseFeatures"
    shutil.rmtree(folder / "D2_Positions")
    h36m.write_cdf(folder / "D3_Positions" / "Walking 1.cdf", rows)

    said = said_of("h36m", tmp_path, capsys)  # its videos are missing in any case
    assert ("malformed" in said) == (says is not None)
    assert says is None or says in said


def test_files_whose_axes_are_exchanged_show_people_who_lie(tmp_path, capsys):
    for number in range(6):
        person = made_person(amass.FRAMES, number)
        content = amass.fields(person)
        amass.write(tmp_path / "good", content, f"KIT/{number}/walk_poses")
        content["poses"] = person.rotvec(52)  # y up, as animation has it
        amass.write(tmp_path / "bad", content, f"KIT/{number}/walk_poses")

    said_of("amass", tmp_path / "good", capsys, code=0)
    said = said_of("amass", tmp_path / "bad", capsys)
    assert "degrees from upright (median of 6 label files)" in said and "axes are exchanged" in said


@pytest.mark.parametrize("fault", [None, "camera", "sides", "metres"])
def test_bodies_are_where_points_are(tmp_path, capsys, fault):
    content = bedlam.fields()
    many = {k: np.concatenate([v] * MANY) for k, v in content.items()}
    if fault == "camera":  # that of another image size
        many["cam_int"][:, :2] *= 2
    elif fault == "metres":
        many["trans_cam"] *= 100
    elif fault == "sides":
        names = [other(name) for name in SMPLX_POINTS]
        many["gtkps"] = many["gtkps"][:, [SMPLX_POINTS.index(name) for name in names]]
    bedlam.write(tmp_path, many)

    said = said_of("bedlam", tmp_path, capsys)  # its images are missing in any case
    wrong = "from the points in the picture; compare cameras" in said
    assert wrong == (fault in ("camera", "metres"))
    assert ("nearer to points of the other side" in said) == (fault == "sides")


def test_pictures_that_are_looked_at_are_the_same_each_time(tmp_path):
    def looked(order):
        check = PictureCheck(5)
        for number in order:
            check.add(Sample("x", str(number), picture=Picture(tmp_path / f"{number}.jpg")))
        return check.chosen

    forwards = looked(range(200))
    assert len(forwards) == 5 and forwards == looked(reversed(range(200)))
    assert forwards == looked([*range(200), *range(200)])
