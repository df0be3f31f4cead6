import numpy as np
import pytest
from cmu_skeleton import JOINTS, bvh_text

from kinflow.datasets.bvh import forward_kinematics, local_rotations, parse_bvh, read_bvh
from kinflow.errors import InputError


@pytest.fixture
def clip_text() -> str:
    rng = np.random.default_rng(0)
    return bvh_text({name: rng.uniform(-60, 60, (4, 3)) for name, _, _ in JOINTS}, 4)


def test_reads_names_tree_offsets_and_motion(clip_text, tmp_path):
    path = tmp_path / "clip.bvh"
    path.write_text(clip_text)
    clip = read_bvh(path)
    assert sorted(clip.joint_names) == sorted(name for name, _, _ in JOINTS)
    for name, parent, offset in JOINTS:
        joint = clip.joint(name)
        parent_name = clip.joint_names[clip.parents[joint]] if clip.parents[joint] >= 0 else ""
        assert parent_name == parent
        np.testing.assert_allclose(clip.offsets[joint], offset, atol=1e-9)
    assert clip.motion.shape == (4, 6 + 3 * (len(JOINTS) - 1))
    assert clip.frame_time_s == pytest.approx(1 / 30)


def test_euler_angles_multiply_in_the_order_of_the_channels():
    angles = np.array([[30.0, 40.0, 50.0]])
    clip = parse_bvh(bvh_text({"LeftArm": angles}, 1))
    z, y, x = np.radians(angles[0])
    Rz = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    Ry = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    Rx = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    expected = np.array(Rz) @ np.array(Ry) @ np.array(Rx)
    np.testing.assert_allclose(local_rotations(clip)[0, clip.joint("LeftArm")], expected, atol=1e-9)


def test_forward_kinematics_keeps_bone_lengths_and_moves_the_root(clip_text):
    clip = parse_bvh(clip_text)
    R_global, positions = forward_kinematics(clip)
    np.testing.assert_allclose(positions[:, 0], np.tile([0.0, 17.0, 0.0], (4, 1)), atol=1e-9)
    for joint, parent in enumerate(clip.parents):
        if parent >= 0:
            length = np.linalg.norm(positions[:, joint] - positions[:, parent], axis=-1)
            np.testing.assert_allclose(length, np.linalg.norm(clip.offsets[joint]), atol=1e-9)
    identity = np.broadcast_to(np.eye(3), R_global.shape)
    np.testing.assert_allclose(R_global @ R_global.swapaxes(-1, -2), identity, atol=1e-9)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "", "begin with HIERARCHY"),
        (lambda text: text.replace("HIERARCHY", "HELLO"), "begin with HIERARCHY"),
        (lambda text: text.split("MOTION")[0], "no MOTION"),
        (lambda text: text.replace("}", "", 3), "not closed"),
        (lambda text: text.replace("OFFSET 0.0 2.0 0.0", "OFFSET 2.0 0.0", 1), "three numbers"),
        (lambda text: text.replace("Frames: 4", "Frames: 5"), "damaged"),
        (lambda text: text[:-40], "damaged"),
        (lambda text: text.replace(" 17.00000000", " nan", 1), "damaged"),
        (lambda text: text.replace("Xrotation", "Xspin", 1), "CHANNELS"),
    ],
)
def test_a_broken_file_is_refused_with_a_sentence(clip_text, damage, message):
    with pytest.raises(InputError, match=message):
        parse_bvh(damage(clip_text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere.bvh"):
        read_bvh(tmp_path / "nowhere.bvh")


def test_an_unknown_joint_is_named(clip_text):
    with pytest.raises(InputError, match="Tail"):
        parse_bvh(clip_text).joint("Tail")
