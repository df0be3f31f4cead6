"""CMU's recordings in both their formats."""

import sys
from pathlib import Path

import numpy as np
import pytest
from damage import assert_check_fails, assert_refused, cut_off
from made_people import angle_between, read_all

sys.path.insert(0, str(Path(__file__).parents[1]))
from acclaim_files import BVH_TO_ASF, made_motion, starts, write_amc, write_asf
from cmu_skeleton import bvh_text, elbow_angles_deg

from kinflow.cli.main import main
from kinflow.datasets.acclaim import as_bvh, read_amc, read_asf
from kinflow.datasets.readers.cmu import _JOINTS, true_rate_hz
from kinflow.datasets.retarget import METRES_PER_CMU_UNIT

FRAMES = 24


def write(root, subject="05", trial="01", bend=True):
    write_asf(root / subject / f"{subject}.asf")
    motion = made_motion(FRAMES, bend=bend)
    return motion, write_amc(root / subject / f"{subject}_{trial}.amc", motion)


def write_bvh(root, subject="05", trial="01"):
    """The same motion as `write` writes, as BVH."""
    skeleton = read_asf(root / subject / f"{subject}.asf")
    amc = root / subject / f"{subject}_01.amc"
    clip = as_bvh(skeleton, read_amc(amc, skeleton), 1 / 120)
    angles = {
        name: clip.motion[:, clip.channel(name, "Zrotation") :][:, :3] for name in clip.joint_names
    }
    head, numbers = bvh_text(angles, FRAMES, 1 / 120).rsplit("Frame Time:", 1)
    first, *rows = numbers.strip().splitlines()
    moved = [
        " ".join([*map(str, place), *row.split()[3:]])
        for place, row in zip(clip.motion[:, :3], rows, strict=True)
    ]
    text = f"{head}Frame Time: {first}\n" + "\n".join(moved) + "\n"
    (root / subject / f"{subject}_{trial}.bvh").write_text(text)


def test_joints_of_amc_are_where_the_definition_puts_them(tmp_path):
    motion, _ = write(tmp_path)
    found = read_all("cmu", tmp_path, "test")

    assert [s.key for s in found[:2]] == ["05/05_01.amc/000000", "05/05_01.amc/000004"]
    for row, sample in enumerate(found):
        truth = starts(motion, 4 * row)
        for name, place in zip(sample.joints.names, sample.joints.position_m, strict=True):
            place_m = truth[BVH_TO_ASF[_JOINTS[name]]] * METRES_PER_CMU_UNIT
            assert 1e3 * np.abs(place - place_m).max() < 0.1
        assert sample.time_s == pytest.approx(4 * row / 120) and sample.fps == pytest.approx(30)
        assert sample.identity == "05" and sample.body is not None


def test_both_formats_say_the_same(tmp_path, capsys):
    write(tmp_path)
    write_bvh(tmp_path)
    found = read_all("cmu", tmp_path)
    amc, bvh = ([s for s in found if kind in s.key] for kind in (".amc", ".bvh"))

    for a, b in zip(amc, bvh, strict=True):
        assert 1e3 * np.abs(a.joints.position_m - b.joints.position_m).max() < 0.1
        assert angle_between(a.body.R_parent_joint, b.body.R_parent_joint) < 1e-4
    assert main(["data", "check", "cmu", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "12 samples in 2 label files" in said and "as AMC and as BVH, so twice" in said


def test_straight_elbows_leave_joints_only(tmp_path):
    write(tmp_path, bend=False)
    found = read_all("cmu", tmp_path)
    assert len(found) == 6 and all(s.body is None and s.joints is not None for s in found)


def test_a_clock_that_runs_at_twice_the_rate_is_set_right():
    def falling(factor, seconds):
        t = np.minimum(np.arange(120) / 60, seconds)
        places_m = np.zeros((len(t), len(_JOINTS), 3))
        places_m[:, :, 1] = (3.0 - 0.5 * factor * 9.81 * t**2)[:, None]
        return places_m

    assert true_rate_hz(falling(1, 0.7), 60.0) == 60.0
    assert true_rate_hz(falling(1, 0.7), 120.0) == 60.0
    assert true_rate_hz(falling(9, 0.7), 60.0) is None


def test_a_motion_without_skeleton_is_named(tmp_path, capsys):
    write(tmp_path)
    (tmp_path / "05" / "05.asf").unlink()
    said = assert_check_fails("cmu", tmp_path, capsys)
    assert "05_01.amc' needs a skeleton" in said


def test_damaged_files_and_other_skeletons_are_refused(tmp_path):
    _, path = write(tmp_path)
    cut_off(path)
    assert_refused("cmu", tmp_path)
    path.write_bytes(b"\x80\x02cos\nsystem\n")
    assert_refused("cmu", tmp_path)
    path.unlink()
    other = bvh_text({"LeftForeArm": elbow_angles_deg("Left", np.full(3, 30.0))}, 3)
    (tmp_path / "05" / "05_02.bvh").write_text(other.replace("LeftForeArm", "LowerArm_L"))
    assert_refused("cmu", tmp_path, "another skeleton")
    (tmp_path / "05" / "05_02.bvh").write_text(other.replace("Frames: 3", "Frames: 30"))
    assert_refused("cmu", tmp_path, "not a readable BVH file")
