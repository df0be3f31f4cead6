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
    assert poses.clip_subjects == ("amass/subject7",)
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
        ({"poses": np.zeros((8, 156)) + np.inf}, "not finite"),
        ({"poses": np.full((8, 156), 1e9)}, "no angles"),
        ({"poses": np.array([["0.1"] * 156] * 8)}, "not numbers"),
        ({"poses": np.zeros((0, 156)), "trans": np.zeros((0, 3))}, "holds no frames"),
        ({"poses": np.zeros(156)}, "do not fit"),
        ({"poses": np.array([object()])}, "objects"),
        ({"trans": np.full((8, 3), np.nan)}, "not finite"),
        ({"mocap_framerate": np.array("fast")}, "frame rate"),
        ({"mocap_framerate": np.zeros(0)}, "not one number"),
        ({"mocap_framerate": np.array([30.0, 60.0])}, "not one number"),
        *(
            ({"mocap_framerate": np.array(rate)}, "its frame rate is")
            for rate in (0.0, -30.0, np.nan, np.inf, 1e-300, 1e5)
        ),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, changes, message):
    path = write_motion(tmp_path / "bad_poses.npz", **changes)
    with pytest.raises(InputError, match=message):
        read_amass(path)


@pytest.mark.parametrize("rate", [60, np.array([60.0]), np.array([[60]]), np.array([60.0, 60.0])])
def test_the_rate_may_be_an_array(tmp_path, rate):
    path = write_motion(tmp_path / "walk_poses.npz", mocap_framerate=np.array(rate))
    assert read_amass(path).frame_time_s == pytest.approx(1 / 60)
    assert read_amass(path, 30.0).frame_time_s == pytest.approx(1 / 30)
    assert len(read_amass(path, 30.0).rotations) == 4


@pytest.mark.parametrize("gender", [np.array("male", dtype=object), np.array(b"male"), None])
def test_what_else_an_archive_holds_does_not_matter(tmp_path, gender):
    path = write_motion(tmp_path / "walk_poses.npz", gender=np.array(gender))
    assert len(read_amass(path).rotations) == 8


def write_stage_ii(path):
    """A file as AMASS is downloaded today: SMPL-X, 165 numbers a frame."""
    plain = np.load(write_motion(path.with_name("plain.npz")))["poses"]
    poses = np.concatenate([plain[:, :66], np.zeros((8, 99))], axis=1)
    path.with_name("plain.npz").unlink()
    return write_motion(
        path,
        "mocap_frame_rate",
        poses=poses,
        surface_model_type=np.array("smplx"),
        mocap_time_length=np.array(0.13),
        root_orient=poses[:, :3],
        pose_body=poses[:, 3:66],
        markers_latent=np.zeros((5, 3)),
        labels_latent=np.array(["ARIEL"], dtype=object),
    )


def test_stage_ii_and_generic_names_are_found_and_shapes_are_passed_over(tmp_path):
    subject = tmp_path / "s1"
    subject.mkdir()
    write_stage_ii(subject / "walk_stageii.npz")
    write_motion(subject / "dance.npz")
    np.savez(subject / "shape.npz", betas=np.zeros(16))
    np.savez(subject / "female_shape.npz", betas=np.zeros(16))
    np.savez(subject / "neutral_stagei.npz", betas=np.zeros(16))
    np.savez(subject / "features.npz", x=np.zeros(3))
    (subject / "notes.npz").write_text("no archive")
    poses, report = build_pose_set([tmp_path])
    assert poses.clip_names == ("dance", "walk_stageii")
    assert report.skipped_clips == ()


@pytest.mark.parametrize("missing", ["poses", "trans", "mocap_framerate"])
def test_what_is_missing_is_named(tmp_path, missing):
    arrays = {"poses": np.zeros((3, 156)), "trans": np.zeros((3, 3)), "mocap_framerate": 60.0}
    del arrays[missing]
    np.savez(tmp_path / "a_poses.npz", **arrays)
    with pytest.raises(InputError, match=rf"a_poses.npz.*has no .*{missing}"):
        read_amass(tmp_path / "a_poses.npz")


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "text_poses.npz"
    path.write_text("hello")
    with pytest.raises(InputError, match="not an AMASS motion"):
        read_amass(path)
    with pytest.raises(InputError, match="not an AMASS motion"):
        build_pose_set([tmp_path])
