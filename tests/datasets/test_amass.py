import numpy as np
import pytest
import roma
import torch

from kinflow.body.skeleton import JOINT_INDEX
from kinflow.datasets.amass import read_amass
from kinflow.datasets.build_poses import BuildPosesConfig, build_pose_set, main
from kinflow.datasets.poses import PoseSet
from kinflow.errors import InputError


def write_motion(path, rate_key="mocap_framerate", **changes):
    """A file in AMASS's official format: standing upright in a z-up world, left elbow bent."""
    poses = np.zeros((8, 156))
    poses[:, :3] = [np.pi / 2, 0.0, 0.0]  # SMPL's y-up body stands up in a z-up world
    poses[:, 3 * JOINT_INDEX["left_elbow"] + 1] = -np.linspace(0.5, 0.8, 8)
    fields = {
        "poses": poses,
        "trans": np.tile([1.0, 2.0, 0.9], (8, 1)),
        "betas": np.zeros(16),
        "gender": np.array("female"),
        rate_key: np.array(60.0),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **(fields | changes))
    return path


@pytest.mark.parametrize("rate_key", ["mocap_framerate", "mocap_frame_rate"])
def test_an_upright_body_is_upright_in_the_canonical_frame(tmp_path, rate_key):
    motion = read_amass(write_motion(tmp_path / "walk_poses.npz", rate_key))
    np.testing.assert_allclose(motion.rotations[:, 0], np.tile(np.eye(3), (8, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(motion.root_positions_m[0], [1.0, 0.9, -2.0])
    assert motion.frame_time_s == pytest.approx(1 / 60)
    elbow = torch.from_numpy(motion.rotations[0, JOINT_INDEX["left_elbow"]])
    np.testing.assert_allclose(roma.rotmat_to_rotvec(elbow), [0.0, -0.5, 0.0], atol=1e-12)


def test_a_folder_becomes_a_pose_set_at_30_frames_a_second(tmp_path, capsys):
    write_motion(tmp_path / "amass" / "subject7" / "walk_poses.npz")
    out = tmp_path / "poses.safetensors"
    main(BuildPosesConfig((tmp_path / "amass",), out, thin_deg=0.0))
    poses = PoseSet.load(out)
    assert len(poses) == 4
    assert poses.clip_subjects == ("subject7",)
    assert "4 of 4 frames" in capsys.readouterr().out


def test_frames_that_repeat_a_pose_are_thinned(tmp_path, capsys):
    write_motion(tmp_path / "amass" / "subject7" / "walk_poses.npz")
    out = tmp_path / "poses.safetensors"
    main(BuildPosesConfig((tmp_path / "amass",), out))
    assert len(PoseSet.load(out)) == 1
    assert "4 of 4 frames of 1 clips kept, 1 after thinning" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"poses": np.zeros((8, 30))}, "do not fit"),
        ({"trans": np.zeros((7, 3))}, "do not fit"),
        ({"poses": np.full((8, 156), np.nan)}, "not finite"),
        ({"mocap_framerate": np.array("fast")}, "frame rate"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, changes, message):
    path = write_motion(tmp_path / "bad_poses.npz", **changes)
    with pytest.raises(InputError, match=message):
        read_amass(path)


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "text_poses.npz"
    path.write_text("hello")
    with pytest.raises(InputError, match="not an AMASS motion"):
        read_amass(path)
    with pytest.raises(InputError, match="not an AMASS motion"):
        build_pose_set([tmp_path])
