"""Labels of datasets as truth files."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "body"))
sys.path.insert(0, str(Path(__file__).parents[2]))
from smpl_files import synthetic_fields
from test_threedpw_reader import SEQUENCE, fields, made, write

from kinflow.body.smpl import load_smpl
from kinflow.body.smpl_mesh import SmplMesh
from kinflow.cli.main import main
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
        (["coco", "."], "Truth can be written of"),
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
