import tracemalloc
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from cmu_skeleton import JOINTS, bvh_text

from kinflow.datasets import bvh_motion
from kinflow.datasets.bvh import (
    forward_kinematics,
    local_rotations,
    parse_bvh,
    pruned,
    read_bvh,
)
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
        (lambda text: text.replace("Xrotation", "Xspin", 1), "CHANNELS of joint 'Hips'"),
        (lambda text: text.replace("Yrotation", "Xrotation", 1), "CHANNELS of joint 'Hips'"),
        (lambda text: text.replace("OFFSET", "OFFSET nan", 1), "OFFSET of joint 'Hips'"),
        (lambda text: text.replace("OFFSET", "NONE", 1), "not understood.*line 4"),
        (lambda text: text.replace("{", "{\n}\n}", 1), "one '}' too many"),
        (lambda text: text.replace("JOINT", "ROOT", 1), "ROOT inside"),
        (lambda text: text.replace("HIERARCHY", "HIERARCHY\nJOINT a"), "JOINT outside"),
        (lambda text: text.replace("Frames: 4", "Frames: 0"), "holds no frames"),
        (lambda text: text.replace("Frames: 4", "Frames: -4"), "number of frames"),
        (lambda text: text.replace("Frames: 4", "Frames: 9999999999999"), "number of frames"),
        (lambda text: text.replace("Frames: 4", "Frames: 999999999"), "there are 4 frames"),
        (lambda text: text.replace("Frames: 4", "Frames: 3"), "there are more .line"),
        (lambda text: text.replace("Frames: 4\n", ""), "'Frames: ...' is missing"),
        (lambda text: text.replace(" 17.00000000", " 1e999", 1), "one is '1e999'"),
        (lambda text: text.replace(" 17.00000000", " up", 1), "one is 'up'"),
        (lambda text: text.replace(" 17.00000000", "", 1), "a line holds"),
        (lambda text: text.replace("{", "{" * 20_000, 1), "line of the joint tree has 20000"),
    ],
)
def test_a_broken_file_is_refused_with_a_sentence(clip_text, damage, message):
    with pytest.raises(InputError, match=message):
        parse_bvh(damage(clip_text))


@pytest.mark.parametrize("value", ["0", "-0.03", "nan", "inf", "1e-300", "", "soon", "1e9"])
def test_a_frame_time_that_cannot_be_is_refused_by_its_line(clip_text, value):
    text = clip_text.replace(f"Frame Time: {1 / 30:.8f}", f"Frame Time: {value}")
    line = text.splitlines().index(f"Frame Time: {value}") + 1
    with pytest.raises(InputError, match=f"Frame Time.*line {line}"):
        parse_bvh(text)


def test_a_missing_frame_time_is_refused(clip_text):
    lines = [line for line in clip_text.splitlines() if not line.startswith("Frame Time")]
    with pytest.raises(InputError, match="'Frame Time: ...' is missing"):
        parse_bvh("\n".join(lines))


@pytest.mark.parametrize(
    "written",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace(" ", "\t").encode(),
        lambda text: text.replace("\n", "\n\n").encode() + b"\n \n\x00",
        lambda text: text.replace(".", ",").encode(),
        lambda text: text.replace("{\n", "{ ").replace(" CHANNELS", "   CHANNELS").encode(),
        lambda text: text.replace("\n{", " {").encode(),
        lambda text: text.replace("Xposition", "XPOSITION").encode(),
        lambda text: (
            text.replace("End Site", "End  Site").replace("Frames: 4", "Frames:4").encode()
        ),
    ],
    ids=[
        "crlf",
        "cr",
        "bom",
        "utf16",
        "tabs",
        "blank",
        "commas",
        "oneline",
        "braces",
        "case",
        "spaces",
    ],
)
def test_the_same_clip_however_it_is_written(clip_text, written, tmp_path):
    path = tmp_path / "clip.bvh"
    path.write_bytes(written(clip_text))
    clip, plain = read_bvh(path), parse_bvh(clip_text)
    assert clip.joint_names == plain.joint_names
    assert clip.channels == plain.channels
    np.testing.assert_array_equal(clip.motion, plain.motion)
    np.testing.assert_array_equal(clip.offsets, plain.offsets)


def test_names_with_spaces_namespaces_and_old_code_pages(clip_text, tmp_path):
    path = tmp_path / "clip.bvh"
    text = clip_text.replace("LeftArm", "Bip01 L UpperArm").replace("Head", "mixamorig:Head")
    path.write_bytes(text.replace("Neck1", "Hüfte").encode("latin1"))
    names = read_bvh(path).joint_names
    assert {"Bip01 L UpperArm", "mixamorig:Head"} <= set(names)


def test_a_clip_of_several_pieces_is_read_whole(clip_text, monkeypatch):
    plain = parse_bvh(clip_text).motion
    monkeypatch.setattr(bvh_motion, "_PIECE_BYTES", 1000)
    np.testing.assert_array_equal(parse_bvh(clip_text).motion, plain)
    wrapped = clip_text.replace("17.00000000", "\n17.00000000")
    np.testing.assert_array_equal(parse_bvh(wrapped).motion, plain)
    lines = clip_text.splitlines()
    lines[-1] = lines[-1][:-30] + " up 1"
    with pytest.raises(InputError, match=rf"one is 'up' \(line {len(lines)}\)"):
        parse_bvh("\n".join(lines))


def test_more_numbers_than_fit_are_refused_before_they_are_read(clip_text, monkeypatch):
    monkeypatch.setattr(bvh_motion, "MAX_NUMBERS", 4 * 84)
    parse_bvh(clip_text)
    more = clip_text.replace("Frames: 4", "Frames: 5") + clip_text.splitlines()[-1] + "\n"
    with pytest.raises(InputError, match="5 frames of 84 numbers are more than.*cut it"):
        parse_bvh(more)


@pytest.mark.parametrize("padding", ["\n" * 1000, " " * 1000, "1" * 1000, "0 " * 500])
def test_memory_follows_the_size_of_the_file(clip_text, padding, tmp_path):
    """One letter that is not ASCII made the text four times as large, commas eight times."""
    path = tmp_path / "large.bvh"
    text = clip_text.replace("Neck1", "H\U0001f600")
    path.write_text(text + padding * 10_000, encoding="utf-8")
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"large\.bvh") if padding.strip() else nullcontext():
            read_bvh(path)
        assert tracemalloc.get_traced_memory()[1] < 9 * path.stat().st_size
    finally:
        tracemalloc.stop()


def test_a_deep_tree_is_refused_before_it_costs_anything():
    depth = 10_000
    joints = "".join(f"JOINT j{i}\n{{\nOFFSET 0 1 0\n" for i in range(depth))
    text = f"HIERARCHY\nROOT r\n{{\nOFFSET 0 0 0\n{joints}{'}' * depth}\n}}\nMOTION\n"
    with pytest.raises(InputError, match="more than 2000 joints"):
        parse_bvh(text)


def test_position_channels_add_to_an_offset_or_repeat_it():
    tree = (
        "HIERARCHY\nROOT a\n{\nOFFSET 0 9 0\nCHANNELS 3 Xposition Yposition Zposition\n"
        "JOINT b\n{\nOFFSET 0 5 0\nCHANNELS 6 Xposition Yposition Zposition Xscale Yscale Zscale\n"
        "End Site\n{\nOFFSET 0 1 0\n}\n}\n}\nMOTION\nFrames: 2\nFrame Time: 0.04\n"
    )
    repeats = parse_bvh(tree + "1 9.1 0 0 5 0 1 1 1\n2 9.2 0 0 5 0 1 1 1\n")
    adds = parse_bvh(tree + "1 0.1 0 0 0 0 1 1 1\n2 0.2 0 0 0 0 1 1 1\n")
    for clip in (repeats, adds):
        _, positions = forward_kinematics(clip)
        np.testing.assert_allclose(positions[:, 0], [[1, 9.1, 0], [2, 9.2, 0]])
        np.testing.assert_allclose(positions[:, 1], [[1, 14.1, 0], [2, 14.2, 0]])
        np.testing.assert_allclose(clip.end_offsets[1], [0, 1, 0])


def test_pruning_leaves_the_motion_of_what_is_kept(clip_text):
    clip = parse_bvh(clip_text)
    still = clip.joint("LeftUpLeg")
    columns = np.delete(
        clip.motion, range(clip.first_column(still), clip.first_column(still + 1)), 1
    )
    channels = tuple(() if j == still else names for j, names in enumerate(clip.channels))
    clip = replace(clip, motion=columns, channels=channels)
    kept = [clip.joint("LeftHand"), clip.joint("LeftFoot")]
    small, new = pruned(clip, kept)
    assert len(small.joint_names) < len(clip.joint_names) - 10
    for whole, part in zip(forward_kinematics(clip), forward_kinematics(small), strict=True):
        np.testing.assert_allclose(part[:, [new[j] for j in kept]], whole[:, kept], atol=1e-9)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere.bvh"):
        read_bvh(tmp_path / "nowhere.bvh")


def test_an_unknown_joint_is_named(clip_text):
    with pytest.raises(InputError, match="Tail"):
        parse_bvh(clip_text).joint("Tail")
