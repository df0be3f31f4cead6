"""`kinflow sample` and `kinflow interpolate`."""

import cv2
import numpy as np
import pytest
import torch

import kinflow.priors
from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.cli.gallery import CELL_PX, contact_sheet, latent_path, slerp_path
from kinflow.cli.gallery import _people as gallery_people
from kinflow.cli.main import main
from kinflow.export.people_files import write_npz
from kinflow.geometry.pinhole import Camera
from kinflow.priors.pose_space import matrix_to_rotvec, rotvec_to_matrix
from kinflow.results import Person, Reconstruction


def angle(R_a, R_b):
    return matrix_to_rotvec(R_a @ R_b.mT).norm(dim=-1)


def write_people(path, seed, camera):
    """A result with one person in a sampled pose."""
    pose = torch.eye(3).repeat(22, 1, 1)
    pose[list(FREE_JOINTS)] = kinflow.priors.load().sample(1, torch.Generator().manual_seed(seed))
    person = Person(
        person=1,
        camera=camera,
        R_cam_root=pose[0],
        t_cam_root_m=torch.tensor([0.0, 0.0, 3.0]),
        pose=pose,
        z=torch.zeros(42),
        shape=torch.full((6,), 0.5),
        joints_cam_m=torch.zeros(22, 3),
        joint_std_m=torch.zeros(22),
        t_cam_root_std_m=torch.zeros(3),
        keypoints_px=torch.zeros(33, 3),
        score=1.0,
    )
    write_npz(Reconstruction.of_frame(camera, (person,), "a photo"), path)


@pytest.fixture
def camera():
    return Camera.from_fov((200, 200), 50.0)


def test_sample_writes_a_sheet_and_meshes_that_follow_the_seed(tmp_path, capsys):
    for folder, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        arguments = ["sample", "--out", str(tmp_path / folder), "--count", "3", "--seed", seed]
        assert main(arguments) == 0
    sheet = cv2.imread(str(tmp_path / "a" / "samples.png"))
    assert sheet.shape == (2 * CELL_PX, 2 * CELL_PX, 3)
    cells = [sheet[:CELL_PX, :CELL_PX], sheet[:CELL_PX, CELL_PX:], sheet[CELL_PX:, :CELL_PX]]
    assert all(cell.std() > 10 for cell in cells)
    assert sheet[CELL_PX:, CELL_PX:].std() == 0
    a, b, c = ((tmp_path / f / "samples.glb").read_bytes() for f in "abc")
    assert a[:4] == b"glTF"
    assert a == b != c


def test_interpolate_pictures_two_paths(tmp_path, camera):
    for name, seed in (("a.npz", 0), ("b.npz", 1)):
        write_people(tmp_path / name, seed, camera)
    out = tmp_path / "path.png"
    paths = [str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]
    assert main(["interpolate", *paths, "--out", str(out), "--steps", "3"]) == 0
    picture = cv2.imread(str(out))
    assert picture.shape == (2 * CELL_PX, 3 * CELL_PX, 3)
    assert picture[:CELL_PX, CELL_PX : 2 * CELL_PX].std() > 10


def test_a_raised_hand_is_inside_of_its_cell():
    pose = torch.eye(3).repeat(1, len(FREE_JOINTS), 1, 1)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for name, angle_rad in (("collar", 0.4), ("shoulder", 1.1)):
            joint = list(FREE_JOINTS).index(JOINT_INDEX[f"{side}_{name}"])
            pose[0, joint] = rotvec_to_matrix(torch.tensor([0.0, 0.0, sign * angle_rad]))
    cell = contact_sheet(gallery_people(pose), 1)
    edge = np.concatenate([cell[0], cell[-1], cell[:, 0], cell[:, -1]])
    assert edge.std() == 0
    assert cell.std() > 10


def test_both_paths_start_and_end_at_the_poses():
    prior = kinflow.priors.load()
    ends = prior.sample(2, torch.Generator().manual_seed(0))
    share = torch.tensor([0.0, 0.25, 1.0])
    for path in (latent_path(prior, ends, share), slerp_path(ends, share)):
        assert angle(path[0], ends[0]).max() < 1e-3
        assert angle(path[-1], ends[1]).max() < 1e-3
    turned = angle(slerp_path(ends, share)[1], ends[0])
    torch.testing.assert_close(turned, 0.25 * angle(ends[1], ends[0]), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sample", "--out", "x", "--count", "0"], "--count has to be a whole number from 1"),
        (["sample", "--out", "x", "--count", "501"], "--count has to be a whole number from 1"),
        (["interpolate", "no.npz", "no.npz", "--out", "x.png"], "no.npz"),
        (["interpolate", "a", "b", "--out", "x.jpg"], "ends in .png"),
        (
            ["interpolate", "a", "b", "--out", "x.png", "--steps", "1"],
            "--steps has to be a whole number",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
