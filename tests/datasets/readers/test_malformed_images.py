"""Damaged and hostile trees of image datasets: a sentence each, and nothing outside is opened."""

import copy
import json
import re
import struct
from dataclasses import replace

import numpy as np
import pytest
import scipy.io
from image_trees import (
    BOX_HEADER,
    MASK_HEADER,
    OPEN_BOXES,
    runs_of,
    structs,
    text_of,
    write_csv,
    write_json,
    write_mpii,
)
from PIL import Image

from kinflow.body.keypoints import COCO17
from kinflow.datasets.masks import Mask
from kinflow.datasets.readers.check import Report, check_unit
from kinflow.datasets.readers.reader import Unit, samples
from kinflow.datasets.readers.registry import reader_of
from kinflow.errors import InputError
from kinflow.files.inside import inside

MASK = np.zeros((256, 256), bool)
MASK[40:80, 30:90] = True
FULL = {"counts": text_of(runs_of(MASK)), "size": [256, 256]}
GOOD = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
    "annotations": [
        {
            "id": 5,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "bbox": [1.5, 2, 30, 40],
            "keypoints": [10, 12, 2] * 17,
            "num_keypoints": 17,
            "segmentation": [[1, 1, 20, 1, 20, 30]],
            "foot_kpts": [1, 2, 2] * 6,
            "face_kpts": [1, 2, 2] * 68,
            "lefthand_kpts": [1, 2, 2] * 21,
            "righthand_kpts": [1, 2, 2] * 21,
            "dp_masks": [FULL, *[[]] * 13],
        }
    ],
    "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17)}],
}
FILES = {
    "coco": "person_keypoints_val2017.json",
    "coco-densepose": "densepose_minival2014.json",
    "coco-wholebody": "coco_wholebody_val_v1.0.json",
}


def person(**changes):
    """The good content with other fields of its person; None leaves a field out."""

    def change(content):
        for name, value in changes.items():
            content["annotations"][0][name] = value
            if value is None:
                del content["annotations"][0][name]

    return change


def image(**changes):
    return lambda content: content["images"][0].update(changes)


def runs(counts, size=(48, 64)):
    return person(iscrowd=1, segmentation={"counts": counts, "size": list(size)})


def parts(*masks):
    return person(dp_masks=[*masks, *[[]] * (14 - len(masks))])


CONTENTS = [
    ("coco", person(id=None), "'id' .* is missing"),
    ("coco", person(id="5"), "no whole number"),
    ("coco", person(id=True), "no whole number"),
    ("coco", person(id=10**30), "no whole number"),
    ("coco", person(image_id=None), "'image_id' .* is missing"),
    ("coco", person(image_id=7), "image 7, which is not listed"),
    ("coco", person(category_id=None), "'category_id' .* is missing"),
    ("coco", person(iscrowd=2), "neither 0 nor 1"),
    ("coco", person(bbox=[1, 2, -3, 4]), "'bbox' is -3 by 4"),
    ("coco", person(bbox=[1, 2, 3]), "rows of 4"),
    ("coco", person(bbox="1 2 3 4"), "not a list"),
    ("coco", person(bbox=[1, 2, float("nan"), 4]), "no place in a picture"),
    ("coco", person(bbox=[1, 2, 1e12, 4]), "no place in a picture"),
    ("coco", person(bbox=[1, 2, {"a": 1}, 4]), "no number"),
    ("coco", person(bbox=[1, 2, 10**400, 4]), "no number"),
    ("coco", person(keypoints=[1, 2, 2] * 16), "16 points, not 17"),
    ("coco", person(keypoints=[1, 2, 2] * 16 + [1, 2]), "rows of 3"),
    ("coco", person(keypoints=[1, 2, 0.7] * 17), "flags other than 0, 1 and 2"),
    ("coco", person(keypoints=[float("nan"), 2, 2] * 17), "no place in a picture"),
    ("coco", person(keypoints=[float("inf"), 2, 2] * 17), "no place in a picture"),
    ("coco", person(keypoints=[[1, 2, 2]] * 18), "no place in a picture|no number"),
    ("coco", person(keypoints={"nose": [1, 2]}), "not a list"),
    ("coco", person(keypoints=["a"] * 51), "no number"),
    ("coco", person(segmentation=[[1, 1, 2, 2, 3]]), "rows of 2"),
    ("coco", person(segmentation=[[1, 1, 5000, 1, 3, 3]]), "far outside"),
    ("coco", person(segmentation=[5, 6, 7, 8, 9, 10]), "not a list"),
    ("coco", person(segmentation="x"), "neither outlines nor run lengths"),
    ("coco", runs([5, 6]), "do not add up"),
    ("coco", runs([4000, -928]), "do not add up"),
    ("coco", runs([2**62, 2**62, 2**62]), "do not add up"),
    ("coco", runs([0.5, 3071.5]), "no whole numbers"),
    ("coco", runs([10**30, 1]), "no whole numbers"),
    ("coco", runs(None), "no run lengths"),
    ("coco", runs([3072], (64, 48)), "another size"),
    ("coco", runs("o" * 8), "cut off|no mask has"),
    ("coco", runs("PPP\u00e9"), "letters that no mask has"),
    ("coco", image(file_name="../../etc/passwd"), "not opened"),
    ("coco", image(file_name="/etc/passwd"), "not opened"),
    ("coco", image(file_name="C:\\Windows\\a.jpg"), "not opened"),
    ("coco", image(file_name="a/../../../b.jpg"), "not opened"),
    ("coco", image(file_name="a\x00.jpg"), "not opened"),
    ("coco", image(file_name="a\nb.jpg"), "not opened"),
    ("coco", image(file_name=""), "not opened"),
    ("coco", image(file_name="a" * 5000), "not opened"),
    ("coco", image(file_name=7), "no 'file_name'"),
    ("coco", image(width=0), "0 by 48"),
    ("coco", image(width=-5), "-5 by 48"),
    ("coco", image(height=10**9), "64 by 1000000000"),
    ("coco", image(height=None), "'height' .* is missing"),
    ("coco", lambda c: c["images"].append(c["images"][0]), "another one has too"),
    ("coco", lambda c: c["annotations"].append(c["annotations"][0]), "another one has too"),
    ("coco", lambda c: c["annotations"].append([1, 2]), "no object"),
    ("coco", lambda c: c.pop("annotations"), "no annotations"),
    ("coco", lambda c: c.pop("images"), "lists no images"),
    ("coco", lambda c: c.update(images={"a": 1}), "no list"),
    ("coco", lambda c: c.update(annotations=None), "no list"),
    ("coco", lambda c: c["categories"][0].update(keypoints=["a"]), "another dataset"),
    ("coco", lambda c: c["categories"].append(5), "no object"),
    ("coco-densepose", person(dp_masks=[FULL] * 13), "14 masks"),
    ("coco-densepose", person(dp_masks={"a": 1}), "14 masks"),
    ("coco-densepose", parts({**FULL, "size": [128, 256]}), "not 256 by 256"),
    ("coco-densepose", parts(5), "not 256 by 256"),
    ("coco-densepose", parts({**FULL, "counts": FULL["counts"][:-1]}), "do not add up|cut off"),
    ("coco-densepose", parts({**FULL, "counts": "\x10\x11"}), "letters that no mask has"),
    ("coco-densepose", parts({**FULL, "counts": "~" * 30}), "no mask has|cut off"),
    ("coco-densepose", parts({**FULL, "counts": ""}), "do not add up"),
    ("coco-densepose", parts({**FULL, "counts": [70000, -4464]}), "do not add up"),
    ("coco-wholebody", person(foot_kpts=None), "'foot_kpts' is not a list"),
    ("coco-wholebody", person(face_kpts=[1, 2, 2] * 67), "67 points, not 68"),
    ("coco-wholebody", person(lefthand_kpts=[1, 2, 0.4] * 21), "flags other than"),
]  # fmt: skip


def refusal(name, root):
    """What `kinflow data check` says of a tree that it cannot read; all of it on one line."""
    reader, report = reader_of(name), Report()
    for unit in reader.units(root)[0]:
        check_unit(reader, root, unit, report)
    said = [finding.sentence for finding in report.findings if finding.level == "malformed"]
    assert said and not report.good
    assert all("\n" not in s and s.endswith(".") and len(s) < 400 for s in said), said
    return " ".join(said)


@pytest.fixture
def no_picture(monkeypatch):
    """Reading labels opens no picture, whatever they say."""

    def refuse(*_):
        raise AssertionError("a picture was opened")

    monkeypatch.setattr(Image, "open", refuse)


def coco_root(root, name, content):
    write_json(root / "annotations" / FILES[name], content)
    return root


def test_the_content_that_is_spoilt_is_good(tmp_path):
    for name in FILES:
        (sample,) = samples(reader_of(name), coco_root(tmp_path, name, GOOD))
        assert {"keypoints", "mask", "box"} <= sample.labels


@pytest.mark.parametrize(("name", "spoil", "says"), CONTENTS)
def test_annotations_that_cannot_be(tmp_path, no_picture, name, spoil, says):
    content = copy.deepcopy(GOOD)
    spoil(content)
    said = refusal(name, coco_root(tmp_path, name, content))
    assert re.search(says, said), said


TEXT = json.dumps(GOOD).encode()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (TEXT[:20], "cut off|not valid JSON"),
        (TEXT[:80], "cut off|not valid JSON"),
        (TEXT[: len(TEXT) // 2], "cut off|not valid JSON"),
        (TEXT[:-1], "cut off"),
        (b"[1, 2, 3]", "not a JSON object"),
        (b"PK\x03\x04" + bytes(range(256)), "not a text file|not a JSON object"),
        (TEXT.decode().encode("utf-16"), "not a text file|not a JSON object"),
        (TEXT.replace(b'"images": [', b'"images": [,'), "not valid JSON"),
        (TEXT.replace(b'"id": 1,', b'"id": 01,'), "not valid JSON"),
        (b'{"images": ' + b"[" * 200_000, "nested too deeply|cut off"),
        (b'{"images": [' + b'{"a":' * 100_000, "nested too deeply|cut off"),
        (b'{5: "images"}', "not valid JSON"),
        (b'{"images" ["a"]}', "not valid JSON"),
        (b'{"images": [' + b"9" * 10_000 + b"]}", "not valid JSON|no object"),
    ],
)
def test_text_that_is_no_annotation_file(tmp_path, no_picture, data, says):
    path = tmp_path / "annotations" / FILES["coco"]
    path.parent.mkdir()
    path.write_bytes(data)
    said = refusal("coco", tmp_path)
    assert re.search(says, said), said


def mat(**arrays):
    return lambda path: scipy.io.savemat(path, arrays)


def lsp_with(spoil, shape=(3, 14, 2000)):
    joints = np.full(shape, 50.0)
    spoil(joints)
    return mat(joints=joints)


def cut_mat(path):
    scipy.io.savemat(path, {"joints": np.ones((3, 14, 2000))}, do_compression=True)
    path.write_bytes(path.read_bytes()[:-400])


def far_too_large(path):
    """A header that promises 3 x 14 x 200 million numbers."""
    scipy.io.savemat(path, {"joints": np.ones((3, 14, 2000))})
    data = path.read_bytes()
    shape = struct.pack("<3i", 3, 14, 2000), struct.pack("<3i", 3, 14, 2 * 10**8)
    path.write_bytes(data.replace(*shape))


def set_(at, value):
    return lambda joints: joints.__setitem__(at, value)


@pytest.mark.parametrize(
    ("name", "write", "says"),
    [
        ("lsp", lambda p: p.write_bytes(b""), "empty"),
        ("lsp", lambda p: p.write_bytes(b"hello world" * 40), "not a MAT file"),
        ("lsp", cut_mat, "cut off|damaged"),
        ("lsp", lambda p: p.write_bytes(b"MATLAB 7.3 MAT-file" + bytes(493) + b"\x89HDF"), "7.3"),
        ("lsp", far_too_large, "numbers has|not a MAT file|damaged"),
        ("lsp", mat(points=np.ones(3)), "no array 'joints'"),
        ("lsp", mat(joints=np.ones((3, 14))), "is 3 x 14, not 3 x 14 x 2000"),
        ("lsp", mat(joints=np.ones((3, 16, 2000))), "3 x 16 x 2000"),
        ("lsp", mat(joints=np.ones((3, 14, 1999))), "3 x 14 x 1999"),
        ("lsp", mat(joints=np.ones((14, 3, 10000))), "'lspet'"),
        ("lsp", mat(joints="text"), "other things than numbers"),
        ("lsp", mat(joints={"a": 1}), "other things than numbers"),
        ("lsp", mat(joints=np.ones((3, 14, 2000)) * 1j), "other things than numbers"),
        ("lsp", lsp_with(set_((0, 3, 5), np.nan)), "Person 6 .* no place"),
        ("lsp", lsp_with(set_((1, 3, 1500), np.inf)), "Person 1501 .* no place"),
        ("lsp", lsp_with(set_((1, 3, 7), 1e9)), "Person 8 .* no place"),
        ("lspet", mat(joints=np.ones((3, 14, 2000))), "'lsp'"),
        ("lspet", lsp_with(set_((3, 2, 4), 0.5), (14, 3, 10000)), "flags other than"),
        ("lspet", mat(joints=np.ones((14, 3, 12))), "14 x 3 x 12"),
    ],
)  # fmt: skip
def test_matrices_that_cannot_be(tmp_path, no_picture, name, write, says):
    write(tmp_path / "joints.mat")
    said = refusal(name, tmp_path)
    assert re.search(says, said), said


def mpii_with(spoil):
    """A file of one person with two points, spoilt."""

    def write(root):
        points = [{"x": 5.0, "y": 6.0, "id": n, "is_visible": "1"} for n in (0, 3)]
        content = {
            "name": "a.jpg",
            "points": points,
            "train": np.array([[1]], np.uint8),
            "lists": ("annolist", "img_train"),
        }
        spoil(content)
        annopoints = structs([{"point": structs(content["points"])}])
        image = structs([{"name": content["name"]}])
        annolist = structs([{"image": image, "annorect": structs([{"annopoints": annopoints}])}])
        release = {"annolist": annolist, "img_train": content["train"]}
        write_mpii(root, {name: release[name] for name in content["lists"]})

    return write


def point_with(**changes):
    return lambda content: content["points"][0].update(changes)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (point_with(x=np.nan), "'x' is no number of a picture"),
        (point_with(y=1e12), "'y' is no number of a picture"),
        (point_with(x="a"), "'x' is no number of a picture"),
        (point_with(x=np.zeros((0, 0))), "'x' is no number of a picture"),
        (point_with(id=16), "they go from 0 to 15"),
        (point_with(id=-1), "they go from 0 to 15"),
        (point_with(id=0.5), "they go from 0 to 15"),
        (point_with(id=3), "point 3 twice"),
        (lambda c: [row.pop("id") for row in c["points"]], "there is no 'id'"),
        (lambda c: c.update(name="../../etc/passwd"), "not opened"),
        (lambda c: c.update(name="/etc/passwd"), "not opened"),
        (lambda c: c.update(name=5.0), "has no name"),
        (lambda c: c.update(train=np.array([[1, 1]], np.uint8)), "lists 1 images, 2 flags"),
        (lambda c: c.update(lists=("annolist",)), "there is no 'img_train'"),
        (lambda c: c.update(lists=("img_train",)), "there is no 'annolist'"),
    ],
)
def test_structs_that_cannot_be(tmp_path, no_picture, spoil, says):
    mpii_with(spoil)(tmp_path)
    said = refusal("mpii", tmp_path)
    assert re.search(says, said), said


def test_files_of_something_else_are_not_mpiis(tmp_path):
    path = write_mpii(tmp_path, {"annolist": 5.0})
    for arrays in ({"other": 1.0}, {"RELEASE": 3.0}, {"RELEASE": "text"}):
        scipy.io.savemat(path, arrays)
        assert "not MPII's annotation file" in refusal("mpii", tmp_path)
    path.write_bytes(path.read_bytes()[:150])
    assert "it should be MPII's annotation file" in refusal("mpii", tmp_path)


IMAGE = "000000000000000a"
ROW = [IMAGE, "xclick", "/m/01g317", 1, 0.1, 0.5, 0.2, 0.6, 0, 0, 0, 0, 0]
MASK_ROW = [f"{IMAGE}_m01g317_00ff.png", IMAGE, "/m/01g317", "00ff", 0.1, 0.5, 0.2, 0.6, 0.9, ""]


def boxes(**changes):
    row = dict(zip(BOX_HEADER, ROW, strict=True)) | changes
    return lambda p: write_csv(p / OPEN_BOXES["test"], BOX_HEADER, [list(row.values())])


def masks(**changes):
    row = dict(zip(MASK_HEADER, MASK_ROW, strict=True)) | changes
    name = "test-annotations-object-segmentation.csv"

    def write(root):
        boxes()(root)
        write_csv(root / name, MASK_HEADER, [list(row.values())])

    return write


def table(data):
    return lambda root: (root / OPEN_BOXES["test"]).write_bytes(data)


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (table(b""), "empty"),
        (table(b"ImageID,LabelName\nx,y\n"), "no column 'XMin'"),
        (table(",".join(BOX_HEADER).encode() + b"\na,b,/m/01g317\n"), "Line 2 .* ends early"),
        (table(",".join(BOX_HEADER).encode() + b"\n\xff\xfe\x00\x01\n"), "not a table"),
        (table(",".join(BOX_HEADER).encode() + b'\n"' + b"a" * 300_000), "not a table|ends early"),
        (boxes(ImageID="../../../../etc/passwd"), "not 16 digits"),
        (boxes(ImageID="/etc/passwd"), "not 16 digits"),
        (boxes(ImageID=""), "not 16 digits"),
        (boxes(ImageID=IMAGE + "\n" + IMAGE), "not 16 digits"),
        (boxes(XMin="nan"), "not within its image"),
        (boxes(XMin=0.7), "not within its image"),
        (boxes(YMax=1.5), "not within its image"),
        (boxes(YMin=-3), "not within its image"),
        (boxes(XMax="a"), "not four numbers"),
        (boxes(XMax=1e300), "not within its image"),
        (masks(MaskPath="../../../etc/passwd"), "no name of one"),
        (masks(MaskPath="/tmp/a.png"), "no name of one"),
        (masks(MaskPath=f"{IMAGE}_m01g317_00ff.png\n"), "no name of one"),
        (masks(BoxXMin="inf"), "not within its image"),
    ],
)
def test_tables_that_cannot_be(tmp_path, no_picture, write, says):
    write(tmp_path)
    said = refusal("open-images", tmp_path)
    assert re.search(says, said), said


def test_images_and_masks_that_cannot_be_decoded(tmp_path):
    masks()(tmp_path)
    picture = tmp_path / "test" / f"{IMAGE}.jpg"
    picture.parent.mkdir()
    picture.write_bytes(b"\xff\xd8\xff" + bytes(50))
    assert "damaged or incomplete" in refusal("open-images", tmp_path)

    Image.new("RGB", (40, 30)).save(picture)
    mask = tmp_path / "test-masks" / str(MASK_ROW[0])
    mask.parent.mkdir()
    Image.new("1", (80, 60), 1).save(mask)
    (sample,) = samples(reader_of("open-images"), tmp_path)
    assert sample.mask is not None and sample.mask.array().shape == (30, 40)
    mask.write_bytes(mask.read_bytes()[:40])
    with pytest.raises(InputError, match="damaged or incomplete"):
        sample.mask.array()
    with pytest.raises(InputError, match="does not exist"):
        replace(sample.mask, path=tmp_path / "none.png").array()


def test_a_picture_outside_of_the_root_is_not_opened(tmp_path, no_picture):
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    root = tmp_path / "coco"
    content = copy.deepcopy(GOOD)
    content["images"][0]["file_name"] = "../../secret.jpg"
    coco_root(root, "coco", content)

    with pytest.raises(InputError, match="not opened"):
        list(samples(reader_of("coco"), root))
    assert inside(root, "deep/a.jpg") == root / "deep" / "a.jpg"


def test_a_unit_without_a_reader_for_it_is_not_silently_empty(tmp_path):
    unit = Unit(tmp_path / "none.json", "val2017", "val2017")
    with pytest.raises(InputError, match="does not exist"):
        list(reader_of("coco").read(tmp_path, unit))


def test_masks_of_no_kind_are_refused():
    with pytest.raises(InputError, match="add up"):
        Mask((4, 4))
