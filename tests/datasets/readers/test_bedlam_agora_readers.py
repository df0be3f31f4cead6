"""BEDLAM and AGORA in the npz layout of BEDLAM's training code."""

import cv2
import numpy as np
import pytest
from damage import Hostile, assert_check_fails, assert_refused, cut_off, hostile_pickle
from made_people import (
    REST_PELVIS_M,
    angle_between,
    made_camera,
    made_person,
    matrix_of,
    read_all,
    seen,
)
from PIL import Image

from kinflow.datasets.readers.joint_names import SMPLX_POINTS

FRAMES = 3
GROUP, CLOSE = (
    "20221010_3_1000_batch01hand_6fps",
    "20221011_1_250_batch01hand_closeup_suburb_a_6fps",
)


def made(size=(1280, 720)):
    """Somebody with the camera in the middle of the image, as Unreal has it."""
    camera = made_camera(size, 1000.0, principal_px=(size[0] / 2, size[1] / 2))
    return made_person(FRAMES, 8), camera


def fields(size=(1280, 720), **changes):
    person, camera = made(size)
    points = np.zeros((FRAMES, 127, 3))
    points[:, :66, :2] = seen(camera, person.points(SMPLX_POINTS))
    points[..., 2] = 1
    E = np.tile(np.eye(4), (FRAMES, 1, 1))
    E[:, :3, :3] = camera.R_cam_world @ np.diag([1, -1, -1])  # their world has y down
    t_m = person.root_m @ camera.R_cam_world.T + camera.t_cam_world_m - REST_PELVIS_M
    E[:, :3, 3] = t_m - [0.1, 0.2, 0.3]
    return {
        "imgname": [f"seq_000007/seq_000007_{5 * frame:04d}.png" for frame in range(FRAMES)],
        "center": np.zeros((FRAMES, 2)),
        "scale": np.ones(FRAMES),
        "pose_cam": person.rotvec(55, camera.R_cam_world),
        "pose_world": np.zeros((FRAMES, 165)),
        "shape": np.tile(np.linspace(-1, 1, 11), (FRAMES, 1)),
        "trans_cam": np.tile([0.1, 0.2, 0.3], (FRAMES, 1)),
        "trans_world": np.zeros((FRAMES, 3)),
        "gtkps": points,
        "cam_int": np.tile(matrix_of(camera), (FRAMES, 1, 1)),
        "cam_ext": E,
        "gender": ["male"] * FRAMES,
        "proj_verts": np.zeros((FRAMES, 437, 3)),
        "sub": ["rp_aaron_posed_009"] * FRAMES,
    } | changes


def write(root, content, group=GROUP, folder="training_labels/all_npz_12_training"):
    path = root / folder / f"{group}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: v for name, v in content.items() if v is not None})
    return path


def pelvis_px(sample):
    return sample.camera.project(sample.body.pelvis_space_m(REST_PELVIS_M)[None])[0]


def test_bodies_come_back_in_the_camera_s_frame(tmp_path):
    person, camera = made()
    write(tmp_path, fields())
    found = read_all("bedlam", tmp_path)

    assert len(found) == FRAMES
    for frame, sample in enumerate(found):
        R = person.R[frame].copy()
        R[0] = camera.R_cam_world @ R[0]
        assert angle_between(sample.body.R_parent_joint[:22], R) < 1e-5
        pelvis_m = camera.to_camera(person.root_m[frame])
        assert 1e3 * np.abs(sample.body.pelvis_space_m(REST_PELVIS_M) - pelvis_m).max() < 0.1
        np.testing.assert_allclose(pelvis_px(sample), sample.keypoints.px[0], atol=0.5)
        np.testing.assert_allclose(sample.up, camera.R_cam_world[:, 1], atol=1e-5)
        assert sample.keypoints.names == SMPLX_POINTS
    assert (found[2].time_s, found[2].fps) == (10 / 30, 6.0)
    assert found[0].picture.size == (1280, 720) and found[0].body.gender == "neutral"
    image = "png/seq_000007/seq_000007_0000.png"
    assert found[0].picture.path == tmp_path / "training_images" / GROUP / image
    assert (found[0].identity, found[0].sequence) == ("rp_aaron_posed_009", f"{GROUP}/000007")


def test_labels_of_closeups_are_turned_to_the_images_as_they_are_stored(tmp_path):
    size = (720, 1280)
    write(tmp_path, fields(size), CLOSE)
    sample = read_all("bedlam", tmp_path)[0]

    assert sample.picture.size == sample.camera.size == (1280, 720)
    np.testing.assert_allclose(pelvis_px(sample), sample.keypoints.px[0], atol=0.5)
    # a pixel of the image turned upright is where the label of that image was
    upright = fields(size)["gtkps"][0, 0, :2]
    stored = np.zeros((720, 1280), np.uint8)
    x, y = sample.keypoints.px[0].astype(int)
    stored[y, x] = 1
    turned = cv2.rotate(stored, cv2.ROTATE_90_CLOCKWISE)
    row, column = np.argwhere(turned)[0]
    np.testing.assert_allclose([column, row], upright, atol=1.5)
    # up is to the left of a picture that has to be turned clockwise to be upright
    assert sample.up[0] < -0.9


@pytest.mark.parametrize("kind", [object, "S", "U"])
def test_texts_may_be_bytes_or_objects(tmp_path, kind):
    names = np.array(fields()["imgname"])
    write(tmp_path, fields(imgname=names.astype(kind), gender=None, sub=None))
    assert read_all("bedlam", tmp_path)[0].picture.path.name == "seq_000007_0000.png"


def test_check_finds_images(tmp_path, capsys):
    write(tmp_path, fields())
    folder = tmp_path / "training_images" / GROUP / "png" / "seq_000007"
    folder.mkdir(parents=True)
    for frame in (0, 5):
        Image.new("RGB", (8, 8)).save(folder / f"seq_000007_{frame:04d}.png")
    said = assert_check_fails("bedlam", tmp_path, capsys)
    assert "seq_000007_0010.png', not there" in said and "split training: 3" in said


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pose_cam": np.zeros((FRAMES, 66))}, "poses of 66 numbers"),
        ({"pose_cam": np.zeros(3)}, "poses of 0 numbers"),
        ({"pose_cam": np.full((FRAMES, 165), np.nan)}, "not finite"),
        ({"shape": np.zeros((FRAMES + 1, 11))}, "'shape' has the shape"),
        ({"cam_int": np.zeros((FRAMES, 3, 3))}, "positive focal"),
        ({"cam_ext": np.zeros((FRAMES, 3, 4))}, "not 3 x 4 x 4"),
        ({"gtkps": np.zeros((FRAMES, 5, 3))}, "no points"),
        ({"gtkps": np.full((FRAMES, 127, 3), np.inf)}, "not finite"),
        ({"trans_cam": np.zeros((FRAMES, 2))}, "not 3 x 3"),
        ({"imgname": np.arange(FRAMES)}, "does not hold texts"),
        ({"imgname": ["../../../etc/passwd"] * FRAMES}, "not in its folder"),
        ({"sub": ["a"]}, "has 1 entries, not 3"),
        ({"shape": np.zeros((FRAMES, 10)), "gender": ["x"] * FRAMES}, "no gender 'x'"),
    ],
)
def test_what_cannot_be_right_is_said(tmp_path, changes, says):
    write(tmp_path, fields(**changes))
    assert_refused("bedlam", tmp_path, says)


def test_damaged_and_hostile_files_are_refused_and_nothing_runs(tmp_path):
    marker = tmp_path / "ran"
    for name in ("imgname", "gtkps", "sub"):
        write(tmp_path, fields(**{name: np.array([Hostile(marker)] * FRAMES, object)}))
        assert_refused("bedlam", tmp_path)
    path = write(tmp_path, fields())
    cut_off(path)
    assert_refused("bedlam", tmp_path)
    path.write_bytes(hostile_pickle(marker))
    assert_refused("bedlam", tmp_path)
    assert not marker.exists()


def test_agora_s_npz_labels_have_their_translation_in_the_extrinsics(tmp_path):
    content = fields(imgname=[f"ag_trainset_{frame}_1280x720.png" for frame in range(FRAMES)])
    content["cam_ext"][:, :3, 3] += content.pop("trans_cam")
    write(tmp_path, content | {"gender": None, "sub": None}, "agora-body")
    (tmp_path / "training_images" / "images").mkdir(parents=True)
    found = read_all("agora", tmp_path)

    assert len(found) == FRAMES and found[0].sequence is None
    np.testing.assert_allclose(pelvis_px(found[0]), found[0].keypoints.px[0], atol=0.5)
    assert found[0].picture.path == tmp_path / "training_images/images/ag_trainset_0_1280x720.png"


def test_agora_s_own_tables_are_refused_with_what_to_do(tmp_path, capsys):
    marker = tmp_path / "ran"
    (tmp_path / "SMPLX").mkdir()
    (tmp_path / "SMPLX" / "train_0_withjv.pkl").write_bytes(hostile_pickle(marker))
    said = assert_check_fails("agora", tmp_path, capsys)
    assert "train_0_withjv.pkl" in said and "agora-body.npz" in said and "export" in said
    assert not marker.exists()
    write(tmp_path, fields(pose_cam=np.zeros((FRAMES, 7))), "agora-body", "")
    assert_refused("agora", tmp_path, "poses of 7 numbers")
