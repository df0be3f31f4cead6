"""`kinflow data show` and `list`: drawings are where labels say, and the page is the code's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from image_trees import coco_tree, densepose_tree
from PIL import Image

import kinflow
from kinflow.cli.main import main
from kinflow.datasets.readers.cell import CELL_PX, LEFT, RIGHT, draw_cell
from kinflow.datasets.readers.page import page
from kinflow.datasets.readers.registry import READERS
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import BodyLabel, CalibratedCamera, Keypoints2D, Mask

COLORS = {"left": LEFT, "right": RIGHT}


def near(cell, at, color):
    """Whether a cell has a colour about a place."""
    x, y = (round(float(v)) for v in at)
    patch = cell[max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5].reshape(-1, 3).astype(int)
    return (np.abs(patch - color).max(1) < 40).any()


def where(sample, points_px):
    """Places in the cell of points of a picture, for a sample with this box alone."""
    left, top, width, height = sample.box_px
    side = max(width, height) * 1.3
    corner = np.array([left + width / 2 - side / 2, top + height / 2 - side / 2])
    return (np.asarray(points_px) - corner) * CELL_PX / side


def bare(**labels):
    return Sample("made", "a", box_px=(100.0, 50.0, 200.0, 200.0), **labels)


def test_sides_of_keypoints_have_their_colours():
    names = ("left_hip", "right_hip")
    px = np.array([[150, 100], [250, 200]], np.float32)
    sample = bare(keypoints=Keypoints2D(names, px, np.ones(2, np.float32)))
    cell, line = draw_cell(sample)

    for name, at in zip(names, where(sample, px), strict=True):
        side = name.split("_")[0]
        other = COLORS["right" if side == "left" else "left"]
        assert near(cell, at, COLORS[side]) and not near(cell, at, other)
    assert line.startswith("a  split -")


def test_a_mask_is_outlined_where_it_is():
    pixels = np.zeros((300, 400), bool)
    pixels[100:200, 150:250] = True
    sample = bare(mask=Mask((400, 300), pixels))
    cell, _ = draw_cell(sample)

    green = np.argwhere((cell[..., 1] > 200) & (cell[..., 0] < 180))[:, ::-1]
    wanted = where(sample, [[150, 100], [250, 200]])
    assert np.abs(green.min(0) - wanted[0]).max() < 3
    assert np.abs(green.max(0) - wanted[1]).max() < 3


@pytest.mark.parametrize("space", ["camera", "world"])
def test_a_body_of_the_smpl_family_stands_where_the_camera_sees_it(space):
    # facing the camera, so that the left is on the right of the picture
    turn = np.diag([1.0, -1.0, -1.0]).astype(np.float32)
    eye = np.eye(3, dtype=np.float32)
    camera = CalibratedCamera(
        (500.0, 500.0), (200.0, 150.0), (400, 300),
        R_cam_world=turn, t_cam_world_m=np.array([0, 0, 4], np.float32),
    )  # fmt: skip
    here = space == "camera"
    body = BodyLabel(
        "smpl",
        ("pelvis", "left_shoulder"),
        np.stack([turn if here else eye, eye]),
        np.array([0, 0, 4.0 if here else 0.0], np.float32),
        space,
    )
    cell, _ = draw_cell(Sample("made", "a", body=body, camera=camera))
    cell = cell[:CELL_PX].astype(int)
    blue = np.argwhere(np.abs(cell - LEFT).max(2) < 10)
    orange = np.argwhere(np.abs(cell - RIGHT).max(2) < 10)

    assert len(blue) > 20 and len(orange) > 20
    assert blue[:, 1].mean() > orange[:, 1].mean() + 20
    assert np.ptp(blue[:, 0]) > CELL_PX / 3  # from shoulder to foot


def test_mocap_without_a_picture_is_drawn_upright(single):
    whole = single[0].people[0]
    body = replace(whole.body, model="smplh", shape=None)
    sample = replace(
        whole, picture=None, keypoints=None, parts=None, mask=None, camera=None, box_px=None,
        joints=None, body=body,
    )  # fmt: skip
    cell, _ = draw_cell(sample)
    blue = np.argwhere(np.abs(cell.astype(int) - LEFT).max(2) < 10)
    assert np.ptp(blue[:, 0]) > CELL_PX / 4


def test_exchanged_sides_change_the_reprojection_that_is_told(single):
    good = single[0].people[0]
    swap = {"left": "right", "right": "left"}
    names = tuple("_".join(swap.get(w, w) for w in n.split("_")) for n in good.keypoints.names)
    told = []
    for sample in (good, replace(good, keypoints=replace(good.keypoints, names=names))):
        line = draw_cell(replace(sample, picture=None))[1]
        told.append(float(line.split("reprojection ")[1].split(" px")[0]))
    assert told[0] < 5 < told[1]


def test_a_sheet_is_written_and_the_same_seed_draws_the_same(tmp_path, pairs, capsys):
    root = densepose_tree(tmp_path / "data", pairs)
    out = tmp_path / "new" / "sheet.png"
    asked = ["data", "show", "coco-densepose", str(root), "--out", str(out), "--count", "3"]
    said = []
    for _ in range(2):
        assert main([*asked, "--split", "minival2014"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] and "Wrote 3 samples" in said[0]
    with Image.open(out) as sheet:
        assert sheet.format == "PNG" and sheet.width == 2 * CELL_PX


def test_what_cannot_be_shown_is_said(tmp_path, single, capsys):
    root = coco_tree(tmp_path / "data", single)
    ask = ["data", "show", "coco", str(root), "--out"]
    for arguments, says in (
        ([str(tmp_path / "a.jpg")], "ends in .png"),
        ([str(tmp_path / "a.png"), "--split", "test"], "no split 'test'"),
        ([str(tmp_path / "a.png"), "--count", "0"], "count"),
    ):
        assert main([*ask, *arguments]) == 2
        assert says in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


def test_labels_without_their_pictures_are_drawn_on_grey(tmp_path, single, capsys):
    root, out = coco_tree(tmp_path / "data", single), tmp_path / "a.png"
    ask = ["data", "show", "coco", str(root), "--out", str(out)]
    for picture in root.rglob("*.jpg"):
        picture.unlink()
    (root / "annotations/person_keypoints_train2017.json").write_text("{")
    assert main(ask) == 0
    said = capsys.readouterr().out
    assert "000000000001.jpg' does not exist" in said and "is cut off" in said and out.exists()

    out.unlink()
    (root / "annotations/person_keypoints_val2017.json").write_text("{")
    assert main(ask) == 2
    assert "is cut off" in capsys.readouterr().err and not out.exists()


def test_the_page_is_what_the_readers_say(tmp_path, capsys):
    written = Path(kinflow.__file__).parents[1] / "docs" / "datasets.md"
    assert written.read_text(encoding="utf8") == page(), (
        "write it anew: kinflow data list --page docs/datasets.md"
    )
    assert list(READERS) == sorted(READERS)
    assert main(["data", "list", "--page", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text(encoding="utf8") == page()
    capsys.readouterr()
    assert main(["data", "list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in READERS)
