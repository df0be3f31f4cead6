"""Labels of datasets as truth files."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "body"))
sys.path.insert(0, str(Path(__file__).parents[2]))
from image_trees import coco_tree, densepose_tree
from made_people import read_all
from smpl_files import synthetic_fields
from test_threedpw_reader import SEQUENCE, fields, made, write

from kinflow.body.part_maps import part_map
from kinflow.body.parts import PART_INDEX
from kinflow.body.smpl import load_smpl
from kinflow.body.smpl_mesh import SmplMesh
from kinflow.cli.main import main
from kinflow.datasets.person_rows import write_rows
from kinflow.datasets.readers.joint_names import SMPL24


@pytest.fixture
def bodies(tmp_path):
    folder = tmp_path / "smpl"
    folder.mkdir()
    for seed, gender in enumerate(("FEMALE", "MALE")):
        np.savez(folder / f"SMPL_{gender}.npz", **synthetic_fields("smpl", 120, seed))
    return folder


def test_the_mesh_is_that_of_our_reading_of_smpl_while_hands_are_at_rest(bodies):
    person = made()[0][0]
    mesh, body = SmplMesh.load(bodies / "SMPL_MALE.npz"), load_smpl(bodies / "SMPL_MALE.npz")
    betas = np.linspace(-1, 1, 10)
    R = np.concatenate([person.R[0], np.tile(np.eye(3), (2, 1, 1))])
    vertices, joints = mesh.posed(betas, R, np.array([0.1, 0.2, 0.3]))

    shaped = body.with_shape(torch.from_numpy(betas).float())
    t_m = shaped.rest_joints_m[0] + torch.tensor([0.1, 0.2, 0.3])
    posed = shaped.with_pose(torch.from_numpy(person.R[0]), t_m)
    np.testing.assert_allclose(joints[:22], posed.joints_m, atol=1e-5)
    np.testing.assert_allclose(vertices, posed.vertices_m(), atol=1e-5)


def test_truth_of_3dpw_is_the_posed_mesh_before_the_camera(tmp_path, bodies, capsys):
    people, camera = made()
    root = tmp_path / "3DPW"
    content = fields(people, camera)
    content["betas"] = [np.linspace(-1, 1, 10), np.zeros(10)]
    content["poses"][0][:, 66:] = 0.3
    write(root, content)
    out = tmp_path / "truth"
    options = ["--out", str(out), "--bodies", str(bodies)]
    assert main(["data", "truth", "3dpw", str(root), *options]) == 0
    assert "Wrote 8 rows of 1 label files" in capsys.readouterr().out

    truth = np.load(out / f"test_{SEQUENCE}.npz")
    assert str(truth["format"]) == "kinflow person rows 1" and str(truth["topology"]) == "smpl"
    assert tuple(truth["joint_names"]) == SMPL24 and str(truth["joint_source"]) == "model:smpl"
    assert truth["sequence"].tolist() == [SEQUENCE] * 8
    assert truth["person"].tolist() == [0, 1] * 4 and truth["frame"].tolist() == [
        0,
        0,
        1,
        1,
        2,
        2,
        3,
        3,
    ]
    assert truth["valid"].tolist() == [True, True, True, True, False, True, True, True]
    # straight from the numbers of the file, in its own world
    mesh = SmplMesh.load(bodies / "SMPL_MALE.npz")
    E = content["cam_poses"][1]
    R = _matrices(content["poses"][0][1])
    vertices, joints = mesh.posed(content["betas"][0], R, content["trans"][0][1])
    row = 2
    np.testing.assert_allclose(
        truth["vertices_m"][row], vertices @ E[:3, :3].T + E[:3, 3], atol=1e-4
    )
    np.testing.assert_allclose(truth["joints_m"][row], joints @ E[:3, :3].T + E[:3, 3], atol=1e-4)
    # the pose is the same body before the camera
    R_root = truth["pose"][row][0]
    np.testing.assert_allclose(R_root, E[:3, :3] @ R[0], atol=1e-4)
    np.testing.assert_allclose(truth["pose"][row][1:], R[1:22], atol=1e-4)
    assert np.isnan(truth["pose"][4]).all()
    assert np.isnan(truth["joints_m"][4]).all() and np.isfinite(truth["joints_world_m"]).all()


def _matrices(rotvec):
    return np.stack([cv2.Rodrigues(v)[0] for v in rotvec.reshape(-1, 3)])


def test_truth_of_human36m_is_its_joints(tmp_path):
    pytest.importorskip("cdflib")
    pytest.importorskip("h5py")
    from test_h36m_reader import write_metadata, write_npz

    world_m, cameras = write_npz(tmp_path / "h36m", ("S1", "S9"))
    write_metadata(tmp_path / "h36m", cameras)
    out = tmp_path / "truth.npz"
    assert main(["data", "truth", "h36m", str(tmp_path / "h36m"), "--out", str(out)]) == 0

    truth = np.load(out)
    assert set(truth["subject"]) == {"S9"} and set(truth["camera"]) == set(cameras)
    assert len(set(truth["sequence"])) == 4 and set(truth["action"]) == {"Walking"}
    assert float(truth["rate_hz"]) == 50
    for joints, name, frame in zip(truth["joints_m"], truth["camera"], truth["frame"], strict=True):
        np.testing.assert_allclose(joints, cameras[name].to_camera(world_m[frame]), atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lsp", "."], "Truth can be written of"),
        (["3dpw", "."], "--bodies"),
        (["3dpw", ".", "--bodies", "nowhere"], "is no folder"),
        (["h36m", "nowhere"], "is no folder"),
        (["3dpw", ".", "--bodies", ".", "--split", "dev"], "no split 'dev'"),
    ],
)
def test_what_cannot_be_written_is_said(tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "truth", *arguments, "--out", "truth"]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1
    assert not (tmp_path / "truth").exists()


def test_truth_of_coco_has_pictures_that_show_nobody(tmp_path, pairs, capsys):
    """Points, areas, crowds and boxes as COCO's file has them; the same compared is perfect."""
    root, out = coco_tree(tmp_path / "coco", pairs), tmp_path / "truth.npz"
    path = root / "annotations" / "person_keypoints_val2017.json"
    content = json.loads(path.read_text())
    content["images"].append({"id": 77, "file_name": "empty.jpg", "width": 64, "height": 48})
    path.write_text(json.dumps(content))
    assert main(["data", "truth", "coco", str(root), "--out", str(out)]) == 0
    assert "Wrote 6 rows of 3 pictures" in capsys.readouterr().out

    truth = np.load(out)
    annotations = content["annotations"]
    assert truth["area_px2"].tolist() == pytest.approx([a["area"] for a in annotations] + [0])
    assert truth["crowd"].tolist() == [False] * 4 + [True, False]
    points = np.array(annotations[0]["keypoints"], float).reshape(17, 3)
    np.testing.assert_allclose(truth["keypoints_px"][0, :, :2], points[:, :2] + 0.5)
    np.testing.assert_array_equal(truth["keypoints_px"][0, :, 2], points[:, 2])
    assert not truth["keypoints_px"][4:].any() and truth["image"][5] == "val2017/empty.jpg"
    np.testing.assert_allclose(truth["box_px"][1], annotations[1]["bbox"], atol=1e-4)

    found = {n: truth[n][:4] for n in ("sequence", "frame", "person", "keypoints_px", "box_px")}
    found["keypoints_px"][..., 2] = found["keypoints_px"][..., 2] > 0
    write_rows(
        tmp_path / "ours.npz",
        {**found, "keypoint_names": truth["keypoint_names"], "score": np.ones(4)},
    )
    arguments = ["--truth", str(out), "--predictions", str(tmp_path / "ours.npz")]
    report = tmp_path / "report"
    command = ["evaluate", "reconstruction", "--protocol", "coco-keypoints", *arguments]
    assert main([*command, "--out", str(report)]) == 0
    figures = json.loads((report / "result_ours.json").read_text())["figures"]
    assert figures["OKS AP %"]["value"] == pytest.approx(100)


def test_truth_of_densepose_is_parts_in_boxes(tmp_path, pairs):
    root, out = densepose_tree(tmp_path / "dp", pairs), tmp_path / "truth.npz"
    assert main(["data", "truth", "coco-densepose", str(root), "--out", str(out)]) == 0
    truth = np.load(out)
    assert truth["parts"].shape == (4, 256, 256) and str(truth["split"]) == "val2017"
    np.testing.assert_array_equal(truth["silhouette"], truth["parts"] > 0)
    np.testing.assert_array_equal(truth["window_px"], truth["box_px"])
    assert truth["person"].tolist() == [0, 1, 0, 1]
    sample = next(s for s in read_all("coco-densepose", root, "minival2014") if s.parts)
    heads = part_map("coco-densepose").classes.index("head")
    ours, theirs = truth["parts"][0] == PART_INDEX["head"], sample.parts.labels == heads
    np.testing.assert_array_equal(ours, theirs)
    assert ours.any()
    report = tmp_path / "report"
    same = ["--protocol", "coco-parts", "--truth", str(out), "--predictions", str(out)]
    assert main(["evaluate", "reconstruction", *same, "--out", str(report)]) == 0
    figures = json.loads((report / "result_truth.json").read_text())["figures"]
    assert figures["part IoU %"]["value"] == pytest.approx(100)


def test_outlines_of_whoever_has_masks(tmp_path, pairs, capsys):
    root, out = coco_tree(tmp_path / "coco", pairs), tmp_path / "truth.npz"
    command = ["data", "truth", "coco", str(root), "--silhouettes", "--out", str(out)]
    assert main([*command, "--split", "val2017"]) == 0
    truth = np.load(out)
    assert truth["silhouette"].shape == (4, 256, 256)  # and not of the crowd
    people = [s for s in read_all("coco", root, "val2017") if not s.crowd]
    for grid, sample in zip(truth["silhouette"], people, strict=True):
        share = sample.mask.array().sum() / (sample.box_px[2] * sample.box_px[3])
        assert grid.mean() == pytest.approx(share, abs=0.02)
    report = tmp_path / "report"
    same = ["--protocol", "silhouettes", "--truth", str(out), "--predictions", str(out)]
    assert main(["evaluate", "reconstruction", *same, "--out", str(report)]) == 0
    figures = json.loads((report / "result_truth.json").read_text())["figures"]
    assert figures["silhouette IoU %"]["value"] == pytest.approx(100)
    arguments = ["data", "truth", "cmu", str(root), "--silhouettes", "--out", str(out)]
    assert main(arguments) == 2 and "has no masks" in capsys.readouterr().err


def test_truth_of_coco_refuses_what_cannot_be_right(tmp_path, pairs, capsys):
    root = coco_tree(tmp_path / "coco", pairs)
    path = root / "annotations" / "person_keypoints_val2017.json"
    content = json.loads(path.read_text())
    content["annotations"][1]["area"] = "large"
    path.write_text(json.dumps(content))
    out = tmp_path / "truth.npz"
    assert main(["data", "truth", "coco", str(root), "--out", str(out)]) == 2
    assert "'area' is no number of pixels" in capsys.readouterr().err and not out.exists()
    assert main(["data", "truth", "coco", str(root), "--split", "test", "--out", str(out)]) == 2
    assert "of its splits val2017, train2017" in capsys.readouterr().err
