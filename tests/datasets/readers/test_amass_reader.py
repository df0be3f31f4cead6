"""AMASS as it is given out: SMPL-H and SMPL-X, old and today's names."""

import numpy as np
import pytest
from damage import Hostile, assert_check_fails, assert_refused, cut_off
from made_people import REST_PELVIS_M, Z_UP, angle_between, made_person, read_all

from kinflow.cli.main import main

FRAMES = 12


def fields(person, joints=52, rate_key="mocap_framerate", rate=120.0, gender="female"):
    """A file's fields; fingers and face are at rest but for one."""
    poses = person.rotvec(joints, Z_UP)
    poses[:, -1] = 0.25
    return {
        "poses": poses,
        "trans": person.translation(Z_UP),
        "betas": np.linspace(-1, 1, 16),
        "gender": np.array(gender),
        rate_key: np.array(rate),
        "dmpls": np.zeros((FRAMES, 8)),
    }


def write(root, content, name="KIT/3/walk_poses"):
    path = root / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **content)
    return path


@pytest.mark.parametrize(
    ("joints", "name", "rate_key", "model"),
    [
        (52, "KIT/3/walk_poses", "mocap_framerate", "smplh"),
        (55, "KIT/3/walk_stageii", "mocap_frame_rate", "smplx"),
    ],
)
def test_poses_come_back_upright_and_thinned(tmp_path, joints, name, rate_key, model):
    person = made_person(FRAMES)
    write(tmp_path, fields(person, joints, rate_key), name)
    found = read_all("amass", tmp_path, "train")

    assert [s.key for s in found] == [f"{name}/{frame:06d}" for frame in (0, 4, 8)]
    for sample, frame in zip(found, (0, 4, 8), strict=True):
        assert sample.body.model == model and len(sample.body.joint_names) == joints
        assert angle_between(sample.body.R_parent_joint[:22], person.R[frame]) < 1e-5
        pelvis_m = sample.body.pelvis_space_m(REST_PELVIS_M)
        np.testing.assert_allclose(pelvis_m, person.root_m[frame], atol=1e-5)
        assert sample.time_s == pytest.approx(frame / 120) and sample.fps == 30
    assert found[0].identity == "KIT/3" and found[0].body.gender == "female"
    last = found[0].body.R_parent_joint[-1]
    np.testing.assert_allclose(last[0, 0], np.cos(0.25), atol=1e-6)


@pytest.mark.parametrize("gender", [b"neutral", np.array(b"neutral", object), "neutral", "n"])
def test_genders_are_read_however_they_are_stored(tmp_path, gender):
    write(tmp_path, fields(made_person(FRAMES), gender=gender))
    assert read_all("amass", tmp_path)[0].body.gender == "neutral"


def test_splits_are_amass_s_own_and_files_without_frames_are_no_fault(tmp_path, capsys):
    person = made_person(FRAMES)
    for part in ("KIT", "HumanEva", "SSM_synced"):
        write(tmp_path, fields(person), f"{part}/s1/a_poses")
    empty = {"poses": np.zeros((0, 156)), "trans": np.zeros((0, 3))}
    write(tmp_path, fields(person) | empty, "KIT/s1/none_poses")
    np.savez(tmp_path / "KIT" / "s1" / "shape.npz", betas=np.zeros(16))

    assert main(["data", "check", "amass", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert all(f"split {name}: 3" in said for name in ("train", "validation", "test"))
    assert "'KIT/s1/none_poses' holds nobody" in said and "1 other archives" in said


def drop(name):
    return lambda content: {k: v for k, v in content.items() if k != name}


@pytest.mark.parametrize(
    ("damaged", "says"),
    [
        (drop("poses"), "no poses"),
        (drop("trans"), "no trans"),
        (drop("mocap_framerate"), "no frame rate"),
        (lambda c: c | {"poses": c["poses"][:, :100]}, "poses of 100 numbers"),
        (lambda c: c | {"poses": c["poses"] * np.nan}, "not finite"),
        (lambda c: c | {"poses": c["poses"].astype(str)}, "no numbers"),
        (lambda c: c | {"trans": c["trans"][:-5]}, "'trans' has the shape"),
        (lambda c: c | {"trans": c["trans"] + 1e9}, "as large as"),
        (lambda c: c | {"mocap_framerate": np.array(0.0)}, "frame rate is 0"),
        (lambda c: c | {"gender": np.array("robot")}, "no gender 'robot'"),
    ],
)
def test_what_cannot_be_right_is_said(tmp_path, damaged, says):
    write(tmp_path, damaged(fields(made_person(FRAMES))))
    assert_refused("amass", tmp_path, says)


def test_damaged_and_hostile_files_are_refused_and_nothing_runs(tmp_path, capsys):
    marker = tmp_path / "ran"
    content = fields(made_person(FRAMES))
    for name in ("poses", "gender"):
        write(tmp_path, content | {name: np.array([Hostile(marker)], object)})
        assert_refused("amass", tmp_path)
    cut_off(write(tmp_path, content))
    assert_refused("amass", tmp_path)
    assert "malformed: " in assert_check_fails("amass", tmp_path, capsys)
    (tmp_path / "KIT/3/walk_poses.npz").write_text("hello")
    assert_refused("amass", tmp_path)
    assert not marker.exists()
