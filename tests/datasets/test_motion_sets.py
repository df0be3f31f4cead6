"""Recordings as sequences with their roots."""

import numpy as np
import pytest
import torch
from cmu_skeleton import bvh_text, elbow_angles_deg

from kinflow.datasets.motion_sets import read_motion_set
from kinflow.datasets.retarget import METRES_PER_CMU_UNIT
from kinflow.errors import InputError
from kinflow.priors.average_adult import joint_positions_m

FRAMES = 60


def write(folder, subject, trial, frame_time_s=1 / 30, drop_m=None, jump_at=None):
    """Somebody who bends the elbows; on request falling, or with a jump in the knee."""
    bends = np.linspace(20, 80, FRAMES)
    angles = {f"{side}ForeArm": elbow_angles_deg(side, bends) for side in ("Left", "Right")}
    knee = np.zeros((FRAMES, 3))
    if jump_at is not None:
        knee[jump_at:, 2] = 100.0
    text = bvh_text({**angles, "LeftLeg": knee}, FRAMES, frame_time_s)
    if drop_m is not None:
        head, motion = text.rsplit("Frame Time:", 1)
        first, *rows = motion.strip().splitlines()
        moved = []
        for row, fall in zip(rows, drop_m, strict=True):
            x, y, *others = row.split()
            moved.append(" ".join([x, str(float(y) - fall / METRES_PER_CMU_UNIT), *others]))
        text = f"{head}Frame Time: {first}\n" + "\n".join(moved) + "\n"
    (folder / subject).mkdir(parents=True, exist_ok=True)
    (folder / subject / f"{subject}_{trial}.bvh").write_text(text)


def test_sequences_keep_time_root_and_subject(tmp_path):
    for subject in ("01", "02", "05"):
        write(tmp_path, subject, "01")
    data = read_motion_set([tmp_path])
    assert len(data) == 3 * FRAMES and data.subjects == ("01", "02", "05")
    parts = [data.split(name) for name in ("train", "validation", "test")]
    assert [part.subjects for part in parts] == [("01",), ("02",), ("05",)]
    assert all(len(part) == FRAMES and part.sequence.unique().tolist() == [0] for part in parts)
    torch.testing.assert_close(data.root_m[0, 1], torch.tensor(17 * METRES_PER_CMU_UNIT))
    assert data.sha256 != parts[0].sha256


def test_rows_never_reach_into_another_sequence(tmp_path):
    for trial in ("01", "02"):
        write(tmp_path, "01", trial)
    data = read_motion_set([tmp_path])
    for stride in (1, 3):
        rows = data.last_frames(3, stride)
        assert len(rows) == 2 * (FRAMES - 2 * stride)
        assert torch.equal(data.sequence[rows], data.sequence[rows - 2 * stride])


def test_a_jump_cuts_a_sequence(tmp_path):
    write(tmp_path, "01", "01", jump_at=25)
    data = read_motion_set([tmp_path])
    assert data.names == ("01_01", "01_01")
    assert torch.bincount(data.sequence).tolist() == [25, FRAMES - 26]


def test_who_falls_faster_than_gravity_is_left_out(tmp_path):
    t = np.arange(FRAMES) / 30
    write(tmp_path, "01", "01")
    write(tmp_path, "01", "02", drop_m=np.minimum(0.5 * 9.81 * t**2, 1.5))
    write(tmp_path, "01", "03", drop_m=np.minimum(0.5 * 4 * 9.81 * t**2, 1.5))
    write(tmp_path, "01", "04", frame_time_s=1 / 20)
    data = read_motion_set([tmp_path])
    reasons = {skipped.path.stem: skipped.reason for skipped in data.skipped}
    assert set(data.names) == {"01_01", "01_02"}
    assert "falls" in reasons["01_03"] and "30 frames a second" in reasons["01_04"]


def test_a_mirror_image_has_its_joints_mirrored(tmp_path):
    write(tmp_path, "01", "01", jump_at=25)
    data = read_motion_set([tmp_path])
    mirrored, twice = data.mirrored(), data.mirrored().mirrored()
    assert torch.equal(twice.R_free, data.R_free) and torch.equal(twice.root_m, data.root_m)
    # the knee that is bent is the other one
    moved = [joint_positions_m(part.R_free)[-1] for part in (data, mirrored)]
    left, right = 7, 8
    flip = torch.tensor([-1.0, 1.0, 1.0])
    assert (moved[0][left] - moved[0][right] * flip).norm() > 0.2
    torch.testing.assert_close(moved[1][right], moved[0][left] * flip, atol=0.02, rtol=0)


def test_nothing_that_can_be_used_is_said(tmp_path):
    write(tmp_path, "01", "01", frame_time_s=1 / 20)
    with pytest.raises(InputError, match="30 frames a second"):
        read_motion_set([tmp_path])
