"""`kinflow motion`: a motion file goes on, or gets a gap filled in."""

import math

import numpy as np
import pytest
import torch

from kinflow.body import BodyModel
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.cli.main import main
from kinflow.cli.motion import on_the_floor
from kinflow.datasets.motion_files import find_motions, read_motions
from kinflow.datasets.retarget import RetargetedMotion
from kinflow.export.bvh import bvh_bytes
from kinflow.export.motion import Motion
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.priors.shape import ShapePrior

FRAMES = 40


@pytest.fixture
def file(tmp_path):
    """Somebody who walks ahead at 1 m/s, as kinflow itself writes motion."""
    t = torch.arange(FRAMES) / 30
    rotvec = torch.zeros(FRAMES, 22, 3)
    swing = torch.sin(math.pi * 1.8 * t)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        rotvec[:, JOINT_INDEX[f"{side}_hip"], 0] = -0.1 - 0.4 * sign * swing
        rotvec[:, JOINT_INDEX[f"{side}_knee"], 0] = 0.35 + 0.2 * sign * swing
        rotvec[:, JOINT_INDEX[f"{side}_shoulder"], 2] = -sign * 1.3
        rotvec[:, JOINT_INDEX[f"{side}_elbow"], 1] = -sign * (0.6 + 0.3 * swing)
    shape = ShapePrior().decode(torch.zeros(ShapePrior().size))
    offsets = BodyModel.load("joints").with_shape(shape).joint_offsets_m()
    motion = Motion(
        identity=0,
        start_s=0.0,
        period_s=1 / 30,
        pose=rotvec_to_matrix(rotvec).double().numpy(),
        t_world_root_m=torch.stack([0 * t, 0 * t + 0.93, t], -1).double().numpy(),
        offsets_m=offsets.double().numpy(),
        shape=shape.double().numpy(),
        seen=np.ones(FRAMES, bool),
    )
    path = tmp_path / "walk.bvh"
    path.write_bytes(bvh_bytes(motion))
    return path


def read(path) -> RetargetedMotion:
    _, motion = next(iter(read_motions(find_motions([path]), 30.0)))
    assert isinstance(motion, RetargetedMotion), motion
    return motion


def test_a_file_goes_on_where_it_ends(file, tmp_path, capsys):
    out = tmp_path / "on.bvh"
    call = ["motion", "sample", "--file", str(file), "--out", str(out), "--seconds", "1"]
    assert main(call) == 0
    assert "30 were drawn" in capsys.readouterr().out
    before, after = read(file), read(out)
    assert len(after.rotations) == FRAMES + 30
    np.testing.assert_allclose(
        after.rotations[: FRAMES // 2, 0], before.rotations[: FRAMES // 2, 0], atol=0.02
    )
    steps_m = np.linalg.norm(np.diff(after.root_positions_m, axis=0), axis=1)
    assert steps_m.max() < 0.15  # no jump at the seam, nor after it
    assert after.root_positions_m[-1, 2] - after.root_positions_m[FRAMES, 2] > 0.3  # walks on
    same, first = tmp_path / "same.bvh", out.read_bytes()
    assert main([*call[:5], str(same), *call[6:]]) == 0 and same.read_bytes() == first
    assert main([*call[:5], str(same), *call[6:], "--seed", "1"]) == 0
    assert same.read_bytes() != first


def test_drift_off_the_floor_is_taken_out_and_jumps_stay():
    t = np.arange(150) / 30
    rotations = np.tile(np.eye(3), (150, 22, 1, 1))
    jump = np.clip(3 * (t - 3) - 4.9 * (t - 3) ** 2, 0, None)
    drift = np.clip(t - 1, 0, None) * 0.2
    root_m = np.stack([t, 0.9 + drift + jump, 0 * t], -1)
    found = on_the_floor(rotations, root_m, 31, 1 / 30)
    np.testing.assert_array_equal(found[:31], root_m[:31])
    np.testing.assert_array_equal(found[:, (0, 2)], root_m[:, (0, 2)])
    assert np.abs(found[:, 1] - 0.9 - jump).max() < 0.15 < drift.max() / 4
    assert found[:, 1].max() - 0.9 > 0.7 * jump.max()


def test_a_gap_is_filled_and_the_rest_stays(file, tmp_path):
    out = tmp_path / "filled.bvh"
    call = ["motion", "inbetween", "--file", str(file), "--out", str(out)]
    assert main([*call, "--start-s", "0.3", "--end-s", "0.8"]) == 0
    before, after = read(file), read(out)
    assert len(after.rotations) == FRAMES
    kept = [*range(9), *range(25, FRAMES)]
    np.testing.assert_allclose(
        after.root_positions_m[kept] - after.root_positions_m[0],
        before.root_positions_m[kept] - before.root_positions_m[0],
        atol=0.02,
    )
    assert np.abs(after.root_positions_m - before.root_positions_m).max() < 0.1


def test_a_spoilt_file_is_cleaned_and_told(file, tmp_path, capsys):
    lines = file.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("Frame Time")) + 1
    rng = np.random.default_rng(0)
    for row in range(first, len(lines)):
        numbers = np.array(lines[row].split(), float)
        numbers[3:] += rng.normal(0, 1.5, len(numbers) - 3)
        if row == first + 20:
            numbers[4] += 90
        lines[row] = " ".join(f"{number:.6f}" for number in numbers)
    spoilt = tmp_path / "spoilt.bvh"
    spoilt.write_text("\n".join(lines) + "\n")
    told = {}
    for out in (tmp_path / "clean.bvh", tmp_path / "clean_poses.npz"):
        assert main(["motion", "clean", str(spoilt), "--out", str(out)]) == 0
        said = capsys.readouterr().out
        told[out.suffix] = said.replace(str(out), "")
        assert (
            "Replaced 1 glitches" in said and f"Wrote {out}: {FRAMES} frames, 30 a second." in said
        )
        before, after = (float(v) for v in said.splitlines()[1].split()[-2:])
        assert after < 0.2 * before  # the jitter
        truth, found, noise = read(file), read(out), read(spoilt)
        errors = [np.abs(one.rotations - truth.rotations).mean() for one in (found, noise)]
        assert errors[0] < 0.5 * errors[1]
    assert told[".bvh"] == told[".npz"]
    untouched = ["--smoothing", "0", "--no-hold-feet"]
    assert main(["motion", "clean", str(file), "--out", str(tmp_path / "a.bvh"), *untouched]) == 0
    np.testing.assert_allclose(read(tmp_path / "a.bvh").rotations, read(file).rotations, atol=0.02)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("sample --file walk.bvh --out on.glb", "ends in .bvh"),
        ("clean walk.bvh --out on.glb", "ends in .bvh or .npz"),
        ("clean none.bvh --out on.bvh", "does not exist"),
        ("clean text.bvh --out on.bvh", "cannot be used"),
        ("clean walk.bvh --out on.bvh --smoothing -1", "--smoothing has to be"),
        ("sample --file none.bvh --out on.bvh", "does not exist"),
        ("sample --file . --out on.bvh", "is a folder"),
        ("sample --file text.bvh --out on.bvh", "cannot be used"),
        ("sample --file walk.bvh --out on.bvh --seconds 0", "--seconds has to be"),
        ("inbetween --file walk.bvh --out on.bvh --start-s 1 --end-s 9", "lasts 1.30 s"),
        ("inbetween --file walk.bvh --out on.bvh --start-s 1 --end-s 0.5", "has to be after"),
    ],
)
def test_what_cannot_be_done_is_said(file, tmp_path, arguments, words, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.bvh").write_text("not motion")
    assert main(["motion", *arguments.split()]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "on.bvh").exists()
