"""EMDB as its authors give it out: pickles of numpy arrays."""

import pickle

import numpy as np
import pytest
from damage import assert_check_fails, assert_refused, cut_off, hostile_pickle
from made_people import (
    REST_PELVIS_M,
    Z_UP,
    angle_between,
    extrinsics_of,
    made_camera,
    made_person,
    matrix_of,
    read_all,
    seen,
)

from kinflow.datasets.readers.joint_names import SMPL24
from kinflow.datasets.sequence_lists import EMDB1, EMDB2, SEQUENCES, THREEDPW_TEST, lacking

FRAMES, SIZE = 4, (1440, 1920)
NAME = "P0_00_mvs_a"


def fields(R_file=Z_UP, **changes):
    person, camera = made_person(FRAMES, 6), made_camera(SIZE, 1450.0)
    pose = person.rotvec(24, R_file)
    px = seen(camera, person.points(SMPL24))
    corners = np.concatenate([px.min(1), px.max(1)], 1)
    corners[2] = 0
    return {
        "gender": "female",
        "name": NAME,
        "emdb1": np.bool_(True),
        "emdb2": False,
        "n_frames": FRAMES,
        "good_frames_mask": np.array([True, True, True, False]),
        "camera": {
            "intrinsics": matrix_of(camera),
            "extrinsics": np.stack([extrinsics_of(camera, R_file)] * FRAMES),
            "width": SIZE[0],
            "height": SIZE[1],
        },
        "smpl": {
            "poses_root": pose[:, :3],
            "poses_body": pose[:, 3:],
            "trans": person.translation(R_file),
            "betas": np.linspace(-1, 1, 10),
        },
        "kp2d": px,
        "bboxes": {"bboxes": corners, "invalid_idxs": np.array([2, 3])},
    } | changes


def write(root, content):
    path = root / "P0" / "00_mvs_a" / f"{NAME}_data.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
    return path


def test_labels_come_back_upright(tmp_path):
    person, camera = made_person(FRAMES, 6), made_camera(SIZE, 1450.0)
    path = write(tmp_path, fields())
    found = read_all("emdb", tmp_path, "emdb1")

    assert [s.key for s in found] == [f"emdb1/P0/00_mvs_a/{f:05d}" for f in range(FRAMES)]
    assert [s.valid for s in found] == [True, True, True, False]
    assert [s.box_px is None for s in found] == [False, False, True, True]
    for frame, sample in enumerate(found):
        assert angle_between(sample.body.R_parent_joint[:22], person.R[frame]) < 1e-5
        pelvis_m = sample.body.pelvis_space_m(REST_PELVIS_M)
        np.testing.assert_allclose(pelvis_m, person.root_m[frame], atol=1e-4)
        # the camera sees the pelvis where the keypoint of the pelvis is
        if sample.valid:
            px = sample.camera.project(sample.camera.to_camera(pelvis_m[None]))
            np.testing.assert_allclose(px[0], sample.keypoints.px[0], atol=0.5)
        np.testing.assert_array_equal(sample.up, [0, 1, 0])
    assert found[3].keypoints is None and found[0].body.gender == "female"
    assert found[0].picture.path == path.parent / "images/00000.jpg"
    assert (found[1].identity, found[1].sequence, found[1].time_s) == ("P0", NAME, 1 / 30)
    np.testing.assert_allclose(found[0].camera.R_cam_world, camera.R_cam_world, atol=1e-6)


def test_sequences_of_both_benchmarks_are_in_both_splits(tmp_path):
    write(tmp_path, fields(emdb2=True))
    assert len(read_all("emdb", tmp_path, "emdb1")) == len(read_all("emdb", tmp_path, "emdb2")) == 4
    keys = [s.key for s in read_all("emdb", tmp_path)]
    assert len(set(keys)) == len(keys) == 8


def test_check_says_what_is_missing(tmp_path, capsys):
    write(tmp_path, fields(emdb1=False))
    said = assert_check_fails("emdb", tmp_path, capsys)
    assert "holds 1 of 81 sequences" in said and "split other: 4" in said
    assert "00000.jpg' and 3 more, not there" in said and "not valid: 1" in said
    assert "note: There are no sequences of the split emdb1." in said
    write(tmp_path, fields())
    said = assert_check_fails("emdb", tmp_path, capsys)
    assert (
        "missing: 17 of the 17 sequences of emdb emdb1 are not there: P1_14_outdoor_climb" in said
    )
    assert f"version: {NAME}: of emdb1" in said


def test_lists_of_benchmarks():
    assert (len(EMDB1), len(EMDB2), len(THREEDPW_TEST)) == (17, 25, 24)
    assert all(len(set(names)) == len(names) for names in SEQUENCES.values())
    assert lacking("emdb", "emdb1", EMDB1) is None and lacking("h36m", "test", []) is None
    assert "1 of the 17" in (lacking("emdb", "emdb1", EMDB1[1:]) or "")


def within(part, **changes):
    return {part: fields()[part] | changes}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"smpl": {}}, "no 'smpl.poses_root'"),
        ({"smpl": 3}, "'smpl' has no fields"),
        ({"camera": [1]}, "'camera' has no fields"),
        ({"n_frames": 5}, "not 5 x 3"),
        ({"n_frames": -1}, "not -1 x 3"),
        ({"n_frames": "many"}, "'n_frames' is no numbers"),
        ({"gender": "robot"}, "no gender 'robot'"),
        ({"good_frames_mask": np.ones(3)}, "'good_frames_mask' has the shape"),
        ({"kp2d": np.zeros((FRAMES, 17, 2))}, "not 4 x 24 x 2"),
        ({"kp2d": np.full((FRAMES, 24, 2), np.nan)}, "A labelled keypoint is not finite"),
        (within("smpl", poses_body=np.zeros((FRAMES, 72))), "not 4 x 69"),
        (within("smpl", poses_root=np.full((FRAMES, 3), np.nan)), "not finite"),
        (within("smpl", trans=np.full((FRAMES, 3), 1e20)), "as large as"),
        (within("smpl", betas=np.zeros(3)), "has 3 numbers, not 10"),
        (within("camera", extrinsics=np.ones((FRAMES, 4, 4))), "no rotation"),
        (within("camera", intrinsics=np.zeros((3, 3))), "positive focal"),
        (within("camera", width=0), "cannot be 0 by 1920 pixels"),
    ],
)
def test_what_cannot_be_right_is_said(tmp_path, changes, says):
    write(tmp_path, fields(**changes))
    assert_refused("emdb", tmp_path, says)


def test_other_files_are_refused_and_nothing_runs(tmp_path):
    marker = tmp_path / "ran"
    for content in (b"hello", hostile_pickle(marker), hostile_pickle(marker, 4), pickle.dumps(3)):
        write(tmp_path, content)
        assert_refused("emdb", tmp_path)
    cut_off(write(tmp_path, fields()))
    assert_refused("emdb", tmp_path)
    assert not marker.exists()
