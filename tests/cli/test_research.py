"""`kinflow data`, `train` and `evaluate`: from motion files to a prior that loads."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import kinflow.priors
from kinflow.cli.main import main


def write_amass_motion(path: Path, seed: int) -> None:
    """A file in AMASS's format in which every joint sways about the T-pose."""
    frames, joints = 60, 52
    phases = np.random.default_rng(seed).uniform(0, 6.28, (1, joints * 3))
    time = np.linspace(0, 6.28, frames)[:, None]
    path.parent.mkdir(parents=True)
    np.savez(
        path,
        poses=0.2 * np.sin(time + phases),
        trans=np.zeros((frames, 3)),
        betas=np.zeros(16),
        gender=np.array("neutral"),
        mocap_framerate=np.array(30.0),
    )


@pytest.fixture(scope="module")
def pose_set(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("motion")
    for seed, subject in enumerate(("01", "02", "05")):
        write_amass_motion(root / "CMU" / subject / "sway_poses.npz", seed)
    path = root / "poses.safetensors"
    assert main(["data", "poses", "--folders", str(root / "CMU"), "--out", str(path)]) == 0
    return path


def test_a_prior_is_trained_and_says_how(pose_set, tmp_path, capsys):
    run = tmp_path / "run"
    arguments = ["train", "prior", "--data", str(pose_set), "--out", str(run)]
    assert main([*arguments, "--family", "gaussian", "--seed", "3"]) == 0
    assert "prior.safetensors" in capsys.readouterr().out
    prior = kinflow.priors.load(run / "prior.safetensors")
    assert prior.family == "gaussian"
    assert prior.info.command == " ".join(["kinflow", *arguments, "--family gaussian --seed 3"])
    assert torch.isfinite(prior.log_prob(prior.sample(3))).all()
    weights = str(run / "prior.safetensors")
    options = ["--num-completions", "2", "--num-samples", "50", "--num-fits", "3"]
    options += ["--weights", weights]
    options += ["--csv-path", str(tmp_path / "new" / "table.csv")]
    assert main(["evaluate", "prior", "--data", str(pose_set), *options]) == 0
    assert "nats" in capsys.readouterr().out
    figures, values = csv.reader((tmp_path / "new" / "table.csv").read_text().splitlines())
    assert figures[0] == "prior" and values[0] == weights
    assert all(math.isfinite(float(value)) for value in values[1:])
    with Image.open(tmp_path / "new" / "table.png") as picture:
        assert picture.format == "PNG" and picture.width > 1000


def test_bad_data(tmp_path, capsys):
    arguments = ["train", "prior", "--data", str(tmp_path / "none"), "--out", str(tmp_path)]
    assert main(arguments) == 2
    assert "does not exist" in capsys.readouterr().err
    out = str(tmp_path / "poses.safetensors")
    assert main(["data", "poses", "--folders", str(tmp_path), "--out", out]) == 2
    assert "no .bvh, .amc or AMASS" in capsys.readouterr().err
