"""Archives of a user's SMPL-family body, against SMPL's equations written out in numpy."""

import io

import numpy as np
import pytest
import roma
import torch
from smpl_files import reference_smpl
from smpl_people import person_fields

from kinflow.body.users_body import UsersBody
from kinflow.datasets.amass import read_amass
from kinflow.export.motion import Motion, period_of
from kinflow.export.smpl import SmplPerson, smpl_bytes, smpl_name
from kinflow.export.stage import Stage

R_ZUP_YUP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""From our world to that of AMASS."""


@pytest.fixture(scope="module")
def theirs(smplh_file) -> UsersBody:
    return UsersBody.load(smplh_file, 16)


@pytest.fixture(scope="module")
def archive(clip, theirs, tmp_path_factory):
    """The archive of the person who is out of view for some frames, and its path."""
    track = clip.tracks[1]
    person = SmplPerson.of(track, theirs)
    motion = person.motion(Stage.of(clip), period_of(clip.frames))
    path = tmp_path_factory.mktemp("out") / smpl_name(track.identity, theirs)
    path.write_bytes(smpl_bytes(person, motion, theirs))
    return path, dict(np.load(path))


def posed(arrays: dict, poses: np.ndarray, trans: np.ndarray):
    """Joints of the file's own equations."""
    R = roma.rotvec_to_rotmat(torch.from_numpy(poses.reshape(-1, 3))).numpy()
    joints, _ = reference_smpl(person_fields("smplh"), arrays["betas"], R, trans)
    return joints


def test_layout(archive, clip):
    path, arrays = archive
    assert path.name == "person_3_smplh_poses.npz"
    frames = clip.tracks[1].bodies[-1].frame - clip.tracks[1].bodies[0].frame + 1
    seen = len(clip.tracks[1].bodies)
    assert arrays["poses"].shape == (frames, 156) and arrays["trans"].shape == (frames, 3)
    assert arrays["betas"].shape == (16,) and str(arrays["gender"]) == "male"
    assert arrays["mocap_framerate"] == pytest.approx(29.97)
    assert not arrays["poses"][:, 66:].any()
    assert arrays["seen"].sum() == seen == len(arrays["frame"]) == len(arrays["vertex_error_mm"])
    assert arrays["cam_body_pose"].shape == (seen, 63)
    assert arrays["image_size"].tolist() == [[320, 240]] * seen


def test_smpl_equations_put_the_person_in_the_world(archive, clip):
    """Poses, `trans` and betas by SMPL's equations are where our own joints are, z up."""
    _, arrays = archive
    motion = Motion.of(clip.tracks[1], Stage.of(clip), period_of(clip.frames))
    for row in range(0, len(motion), 9):
        joints_m = posed(arrays, arrays["poses"][row], arrays["trans"][row])
        pelvis_m = R_ZUP_YUP @ motion.t_world_root_m[row]
        assert np.linalg.norm(joints_m[0] - pelvis_m) < 0.008


def test_smpl_equations_put_the_person_before_the_camera(archive, clip):
    _, arrays = archive
    for row in range(0, len(arrays["frame"]), 9):
        body = clip.tracks[1].bodies[row]
        assert body.frame == arrays["frame"][row] and body.time_s == arrays["time_s"][row]
        poses = np.concatenate([arrays["cam_global_orient"][row], arrays["cam_body_pose"][row]])
        joints_m = posed(arrays, np.pad(poses, (0, 90)), arrays["cam_trans"][row])
        off_mm = 1e3 * np.linalg.norm(joints_m - body.joints_cam_m.numpy(), axis=1)
        assert off_mm.mean() < 5
        assert arrays["joint_error_mm"][row] < 5


def test_readers_of_amass_take_it(archive):
    path, arrays = archive
    motion = read_amass(path)
    assert len(motion.rotations) == len(arrays["poses"])
    R = roma.rotvec_to_rotmat(torch.from_numpy(arrays["poses"][:, 3:66].reshape(-1, 21, 3)))
    np.testing.assert_allclose(motion.rotations[:, 1:], R, atol=1e-9)


def test_nothing_in_it_is_pickled(archive):
    path, _ = archive
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "biufU" for name in arrays)
