"""One record that cannot be right is left out, named and counted; its neighbours are read."""

import copy
import json

import numpy as np
import pytest
import scipy.io
import test_amass_reader as amass
import test_bedlam_agora_readers as bedlam
import test_emdb_reader as emdb
import test_h36m_reader as h36m
import test_malformed_images as images
import test_mpi_inf_3dhp_reader as mpi
import test_threedpw_reader as threedpw
from image_trees import structs, write_csv, write_mpii
from made_people import made_person

from kinflow.cli.main import main
from kinflow.datasets.readers.joint_names import MPI28
from kinflow.datasets.readers.reader import samples
from kinflow.datasets.readers.registry import reader_of
from kinflow.datasets.shards.reading import ShardSet
from kinflow.errors import InputError


def coco_content(people):
    """Five good people whose fields `people` changes by their rows."""
    content = copy.deepcopy(images.GOOD)
    good = content["annotations"][0]
    content["annotations"] = [{**good, "id": 5 + i, **people.get(i, {})} for i in range(5)]
    return content


def coco(root, name="coco", **people):
    content = coco_content({int(key[1:]): fields for key, fields in people.items()})
    return images.coco_root(root, name, content)


def coco_images(root):
    """The second of two images has no width, and two people are in it."""
    content = coco_content({3: {"image_id": 2}, 4: {"image_id": 2}})
    content["images"].append({"id": 2, "file_name": "b.jpg", "width": None, "height": 5})
    images.coco_root(root, "coco", content)


def open_images(root):
    row = images.ROW
    rows = [row, row[:5], [*row[:4], "nan", *row[5:]], row]
    write_csv(root / images.OPEN_BOXES["test"], images.BOX_HEADER, rows)
    bad_mask = ["../../x.png", *images.MASK_ROW[1:]]
    table = root / "test-annotations-object-segmentation.csv"
    write_csv(table, images.MASK_HEADER, [images.MASK_ROW, bad_mask])


def lsp(root):
    joints = np.full((3, 14, 2000), 50.0)
    joints[0, 3, 5] = np.nan
    scipy.io.savemat(root / "joints.mat", {"joints": joints})


def mpii(root):
    """Three images: good, a point that is none, a name that leads out."""
    bad = structs([{"x": np.nan, "y": 6.0, "id": 1, "is_visible": "1"}])
    good = structs([{"x": 5.0, "y": 6.0, "id": 1, "is_visible": "1"}])
    rows = [
        {
            "image": structs([{"name": name}]),
            "annorect": structs([{"annopoints": structs([{"point": p}])} for p in points]),
        }
        for name, points in (("a.jpg", [good, good]), ("b.jpg", [bad, good]), ("../c.jpg", [good]))
    ]
    write_mpii(root, {"annolist": structs(rows), "img_train": np.ones((1, 3), np.uint8)})


def nan_in_3dpw(root):
    """The second person of frame 1, and the camera of frame 2, which only one of them needs."""
    content = threedpw.fields(*threedpw.made())
    content["poses"][1][1, 7] = np.nan
    content["cam_poses"][3] = np.inf
    threedpw.write(root, content)


def nan_in_emdb(root):
    content = emdb.fields()
    content["smpl"]["trans"][1] = np.inf
    emdb.write(root, content)


def nan_in_amass(root):
    content = amass.fields(made_person(amass.FRAMES))
    content["poses"][4, 8] = 1e30
    amass.write(root, content)


def nan_in_bedlam(root):
    content = bedlam.fields()
    content["gtkps"][1, 3] = np.nan
    content["imgname"] = np.array([*content["imgname"][:2], "../../x.png"])
    bedlam.write(root, content)


def nan_in_h36m(root):
    world_m, _ = h36m.write_official(root)
    rows = h36m.thirty_two(world_m @ h36m.Z_UP.T * 1000).reshape(h36m.FRAMES, 96)
    rows[2, 0] = np.nan
    h36m.write_cdf(root / "S1/MyPoseFeatures/D3_Positions/Walking 1.cdf", rows)


def nan_in_mpi(root):
    """In the first camera alone."""
    world_m, cameras = made_person(mpi.FRAMES, 4).points(MPI28), mpi.made_cameras()
    annot3 = mpi.train_fields(world_m, cameras)["annot3"]
    annot3[0, 0] = annot3[0, 0].copy()
    annot3[0, 0][1] = np.nan
    mpi.write_train(root, annot3=annot3)


FAR, INSIDE = [2, 3, 2] * 16 + [400, 3, 2], [2, 3, 2] * 16 + [80, 3, 1]
CASES = [
    ("coco", lambda r: coco(r, _2={"keypoints": [np.nan, 1, 2] * 17}), 4, ["Annotation 7"]),
    ("coco", lambda r: coco(r, _0={"bbox": "a"}, _4={"id": 6}), 3, ["Annotation 5", "number 6"]),
    ("coco", lambda r: coco(r, _1={"keypoints": FAR}), 4, ["of 64 by 48 pixels, such as (400, 3)"]),
    ("coco", lambda r: coco(r, _1={"keypoints": INSIDE}), 5, []),
    ("coco", coco_images, 3, ["'width' of images[1]", "image 2", "image 2"]),
    ("coco-densepose", lambda r: coco(r, "coco-densepose", _3={"dp_masks": 5}), 4, ["14 masks"]),
    ("coco-wholebody", lambda r: coco(r, "coco-wholebody", _3={"foot_kpts": 5}), 4, ["foot_kpts"]),
    ("open-images", open_images, 2, ["'../../x.png'", "Line 3", "Line 4"]),
    ("lsp", lsp, 1999, ["Person 6"]),
    ("mpii", mpii, 3, ["Image 2 of", "'../c.jpg'"]),
    ("3dpw", nan_in_3dpw, 5, ["Frame 1, person 1,", "Frame 3, person 0,", "Frame 3, person 1,"]),
    ("emdb", nan_in_emdb, 3, ["Frame 1 of"]),
    ("amass", nan_in_amass, 2, ["Frame 4 of"]),
    ("bedlam", nan_in_bedlam, 1, ["Row 1 of", "not in its folder"]),
    ("h36m", nan_in_h36m, 8, ["Frame 2 of 'Walking 1.54138969'"] + ["Frame 2 of"] * 3),
    ("mpi-inf-3dhp", nan_in_mpi, 23, ["Frame 1 of 'S1/Seq1/0'"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "write", "good", "says"), CASES)
def test_the_others_are_read(tmp_path, name, write, good, says):
    write(tmp_path)
    reader, told = reader_of(name), []
    split = reader.units(tmp_path)[0][-1].split if name.startswith(("coco", "open")) else None
    found = list(samples(reader, tmp_path, split, lambda unit, error: told.append(str(error))))

    assert len(found) == good, told
    assert len(told) == len(says)
    for sentence, part in zip(told, says, strict=True):
        assert part in sentence and "\n" not in sentence and sentence.endswith(".")
        assert sentence.count(str(tmp_path)) >= 1
    if says:
        with pytest.raises(InputError) as caught:
            list(samples(reader, tmp_path, split))
        assert told[0] in str(caught.value)


def test_check_shard_and_show_go_on(tmp_path, capsys):
    root, out = coco(tmp_path / "coco", _1={"bbox": [1]}, _2={"iscrowd": 7}), tmp_path / "shards"
    images.Image.new("RGB", (64, 48)).save(_folder(root / "val2017") / "a.jpg")

    assert main(["data", "check", "coco", str(root)]) == 2
    said = capsys.readouterr().out
    assert "3 samples in 1 label files" in said and "left out, for they cannot be right: 2" in said
    assert "malformed: Annotation 6 of" in said and "'iscrowd' is neither 0 nor 1" in said

    assert main(["data", "shard", "coco", str(root), "--out", str(out)]) == 2
    assert "left out: 2 (records that cannot be right)" in capsys.readouterr().out
    assert len(ShardSet(out)) == 3
    assert json.loads((out / "index.json").read_text())["skipped"]

    sheet = tmp_path / "sheet.png"
    assert main(["data", "show", "coco", str(root), "--out", str(sheet)]) == 0
    assert "Annotation 6 of" in capsys.readouterr().out and sheet.is_file()


def test_a_damaged_sample_of_a_shard_is_left_out_alone(tmp_path, capsys):
    root, out = coco(tmp_path / "coco"), tmp_path / "shards"
    images.Image.new("RGB", (64, 48)).save(_folder(root / "val2017") / "a.jpg")
    assert main(["data", "shard", "coco", str(root), "--out", str(out)]) == 0
    (tar,) = out.glob("*.tar")
    data = bytearray(tar.read_bytes())
    data[data.index(b"val2017/6")] ^= 1
    tar.write_bytes(data)
    capsys.readouterr()

    assert main(["data", "check", "shards", str(out)]) == 2
    said = capsys.readouterr().out
    assert "4 samples" in said and "left out, for they cannot be right: 1" in said


def _folder(path):
    path.mkdir(parents=True, exist_ok=True)
    return path


def test_official_splits_that_are_not_there_are_nobodys_fault(tmp_path, capsys):
    coco(tmp_path)
    images.Image.new("RGB", (64, 48)).save(_folder(tmp_path / "val2017") / "a.jpg")

    assert main(["data", "check", "coco", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "note: 'annotations/person_keypoints_train2017.json' is not there, so neither" in said
