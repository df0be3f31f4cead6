"""`kinflow convert` on folders that were written before."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from moving_people import walking_clip

from kinflow.cli.main import main
from kinflow.datasets.bvh import read_bvh
from kinflow.export.clip_writer import ClipExportOptions, write_clip
from kinflow.results import Reconstruction


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Results of a clip of two people."""
    folder = tmp_path_factory.mktemp("results") / "walk"
    write_clip(walking_clip(30), folder, ClipExportOptions(formats=("npz",)))
    return folder


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("bvh", {"person_0.bvh", "person_3.bvh"}),
        ("glb", {"scene.glb"}),
        ("amass", {"person_0_poses.npz", "person_3_poses.npz"}),
    ],
)
def test_formats(folder, kind, files, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["convert", str(folder), "--to", kind, "--out", str(out)]) == 0
    assert {p.name for p in out.iterdir()} == files
    said = capsys.readouterr().out
    assert all(name in said for name in files)


def test_names_of_mixamo(folder, tmp_path):
    arguments = ["convert", str(folder), "--to", "bvh", "--out", str(tmp_path)]
    assert main([*arguments, "--joint-names", "mixamo"]) == 0
    clip = read_bvh(tmp_path / "person_0.bvh")
    assert clip.joint_names[0] == "Hips" and len(clip) == 30


def test_nothing_is_replaced_unasked(folder, tmp_path, capsys):
    (tmp_path / "person_3.bvh").write_text("mine")
    arguments = ["convert", str(folder), "--to", "bvh", "--out", str(tmp_path)]
    assert main(arguments) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert {p.name for p in tmp_path.iterdir()} == {"person_3.bvh"}
    assert main([*arguments, "--overwrite"]) == 0
    assert (tmp_path / "person_3.bvh").read_text().startswith("HIERARCHY")


def test_results_that_show_nobody(tmp_path, capsys):
    clip = walking_clip(2)
    nobody = Reconstruction.of_frames(clip.frames, [(), ()])
    write_clip(nobody, tmp_path / "empty", ClipExportOptions(formats=("npz",)))
    arguments = ["convert", str(tmp_path / "empty"), "--to", "bvh", "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert "shows nobody" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_no_result(tmp_path, capsys):
    assert main(["convert", str(tmp_path / "no"), "--to", "glb", "--out", str(tmp_path)]) == 2
    assert "There is no file" in capsys.readouterr().err


def test_feet_are_held(folder, tmp_path, capsys):
    arguments = ["convert", str(folder), "--lock-feet", "--out", str(tmp_path)]
    assert main([*arguments, "--to", "bvh"]) == 0
    assert len(read_bvh(tmp_path / "person_0.bvh")) == 30
    assert main([*arguments, "--to", "glb"]) == 2
    assert "--lock-feet goes with" in capsys.readouterr().err
    longer = tmp_path / "longer"
    convert = ["convert", str(folder), "--to", "bvh", "--out", str(longer), "--legs"]
    assert main([*convert, "1.15", "--lock-feet"]) == 0
    own, other = ((at / "person_0.bvh").read_text() for at in (tmp_path, longer))
    # the skeleton is the person's own
    assert own.split("MOTION")[0] == other.split("MOTION")[0]
    assert main([*convert, "1.15"]) == 2
    assert "goes with --lock-feet" in capsys.readouterr().err
    assert main([*convert, "9", "--lock-feet", "--overwrite"]) == 2
    assert "(--legs) has to be a number from 0.25 to 4" in capsys.readouterr().err


def test_onto_a_body_of_the_user(smplh_file, tmp_path, capsys):
    write_clip(walking_clip(9), tmp_path / "walk", ClipExportOptions(formats=("npz",)))
    arguments = ["convert", str(tmp_path / "walk"), "--to", "smplh", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--model", str(smplh_file)]) == 0
    said = capsys.readouterr().out
    assert "mesh off by" in said and "joints by" in said
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"person_0_smplh_poses.npz", "person_3_smplh_poses.npz"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--to", "smplh"], "--to smplh needs the file of the body"),
        (["--to", "glb", "--model", "x.npz"], "--model goes with smpl, smplh and smplx"),
        (["--to", "smpl", "--model", "no.npz"], "does not exist"),
        (["--to", "smpl", "--model", "MODEL"], "has 52 joints, those of SMPL-H; convert to that"),
        (["--to", "smplh", "--model", "MODEL", "--betas", "17"], "16 shape directions, not 17"),
        (["--to", "smplh", "--model", "MODEL", "--betas", "0"], "--betas"),
        (["--to", "smplh", "--model", "MODEL", "--lock-feet"], "--lock-feet goes with"),
    ],
)
def test_bodies_that_cannot_be_used(folder, smplh_file, tmp_path, capsys, arguments, sentence):
    arguments = [str(smplh_file) if a == "MODEL" else a for a in arguments]
    assert main(["convert", str(folder), *arguments, "--out", str(tmp_path / "out")]) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_the_folder_of_several_results_names_them(folder, tmp_path, capsys):
    arguments = ["convert", str(tmp_path), "--to", "bvh", "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert "There is no file" in capsys.readouterr().err
    shutil.copytree(folder, tmp_path / "walk")
    assert main(arguments) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "holds no people.npz, but its folder 'walk' does: name that." in said
    for number in range(7):
        shutil.copytree(folder, tmp_path / f"clip{number}")
    assert main(arguments) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "holds several results: name one of its folders 'clip0', 'clip1'" in said
    assert "and 3 others" in said and not (tmp_path / "out").exists()


def test_feet_that_never_stand_are_named(tmp_path, capsys):
    clip = walking_clip(30)
    shaken = [
        [
            replace(body, t_cam_root_m=body.t_cam_root_m + torch.tensor([0.3 * (row % 2), 0, 0]))
            for body in people
        ]
        for row, people in enumerate(clip.people_of(frame.index) for frame in clip.frames)
    ]
    moved = Reconstruction.of_frames(clip.frames, shaken, clip.source)
    write_clip(moved, tmp_path / "walk", ClipExportOptions(formats=("npz",)))
    arguments = ["convert", str(tmp_path / "walk"), "--lock-feet", "--to", "bvh"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert "No foot of person 0 was found to stand" in capsys.readouterr().out
