"""Fits of people without labels: kept when the picture says so, and labels of the next round."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kinflow.cli.main import main
from kinflow.datasets.samples import Samples, look_of
from kinflow.errors import InputError
from kinflow.geometry import Camera
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.predictors import Predictor
from kinflow.predictors.network import NetworkConfig
from kinflow.synth.looks import Looker, world_kinds
from kinflow.training.predictors.fits import FitLooksConfig, FitRound, Kept, fit_looks


@pytest.fixture(scope="module")
def truth() -> Samples:
    """A few rendered people."""
    looker = Looker(world_kinds(None, "train")[:1])
    return Samples.concatenate([s for number in range(6) for s in looker.samples(number)])


@pytest.fixture(scope="module")
def looks(truth, tmp_path_factory) -> Path:
    """The same without labels, but for the first."""
    folder = tmp_path_factory.mktemp("unlabelled")
    rows = [truth[:1]]
    for row in range(1, len(truth)):
        f, x, y, width, height = truth.camera[row].tolist()
        rows.append(
            Samples.of_look(look_of(truth, row), Camera(f, (x, y), (int(width), int(height))))
        )
    Samples.concatenate(rows[:3]).save(folder / "samples_00000.safetensors")
    Samples.concatenate(rows[3:]).save(folder / "samples_00001.safetensors")
    return folder


@pytest.fixture(scope="module")
def first(looks, tmp_path_factory) -> tuple[FitLooksConfig, Kept]:
    config = FitLooksConfig(looks, tmp_path_factory.mktemp("fits") / "out", at_most_off=0.05)
    return config, fit_looks(config)


def assert_same(one: Samples, other: Samples) -> None:
    for name, column in vars(one).items():
        assert torch.equal(column, getattr(other, name)), name


def test_fits_are_near_the_truth_that_they_never_saw(first, looks, truth):
    config, kept = first
    found, given = Samples.load_all([config.out]), Samples.load_all([looks])
    assert kept.people == len(truth) - 1 and kept.new == int(found.has_body[1:].sum()) >= 2
    assert kept.better == kept.before == 0
    # labels stay what they are, and so does everybody without a believable fit
    assert torch.equal(found.rotvec[0], truth.rotvec[0]) and bool(found.has_body[0])
    alone = ~found.has_body
    assert torch.equal(found.rotvec[alone], given.rotvec[alone])
    fitted = found.has_body.nonzero()[1:, 0]
    gap = rotvec_to_matrix(found.rotvec[fitted, 0]).mT @ rotvec_to_matrix(truth.rotvec[fitted, 0])
    angle = ((gap.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1).acos().rad2deg()
    assert float(angle.median()) < 40
    ratio = found.root_cam_m[fitted, 2] / truth.root_cam_m[fitted, 2]
    assert float(ratio.log().abs().median()) < 0.25


def test_a_round_of_the_same_network_keeps_what_was_there(first):
    config, kept = first
    before = Samples.load_all([config.out])
    again = fit_looks(config)
    assert again == Kept(kept.people, 0, 0, kept.new)
    assert_same(Samples.load_all([config.out]), before)


def test_a_better_fit_takes_the_place_of_an_earlier_one(first):
    config, _ = first
    round_, shard = FitRound(config), config.out / "samples_00001.safetensors"
    fitted = Samples.load(shard)
    rows = fitted.has_body.nonzero()[:, 0]
    unlabelled = Samples.load(config.looks / shard.name)
    # the same people half a metre to the side
    moved = fitted.root_cam_m.clone()
    moved[rows, 0] += 0.5
    found, kept = round_.fitted(unlabelled, replace(fitted, root_cam_m=moved))
    assert kept.better == len(rows) and kept.new == kept.before == 0
    torch.testing.assert_close(found.root_cam_m, fitted.root_cam_m)


def test_fits_that_are_far_off_are_not_believed(looks, tmp_path):
    kept = fit_looks(FitLooksConfig(looks, tmp_path / "out", at_most_off=1e-5))
    assert kept.new == 0
    assert int(Samples.load_all([tmp_path / "out"]).has_body.sum()) == 1


def test_a_killed_round_is_gone_on_with(first, looks, tmp_path, monkeypatch):
    config = replace(first[0], out=tmp_path / "out")
    save, saved = Samples.save, []

    def killed(self, path):
        if saved:
            raise KeyboardInterrupt
        saved.append(path)
        save(self, path)

    monkeypatch.setattr(Samples, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        fit_looks(config)
    monkeypatch.undo()
    fit_looks(config)
    assert_same(Samples.load_all([config.out]), Samples.load_all([first[0].out]))


def test_the_command_says_what_was_kept(first, capsys):
    config, _ = first
    asked = ["data", "fits", "--looks", str(config.looks), "--out", str(config.out)]
    assert main([*asked, "--at-most-off", "0.05"]) == 0
    assert "earlier ones stay" in capsys.readouterr().out


def test_what_cannot_be_is_said(looks, first, tmp_path):
    with pytest.raises(InputError, match="the looks themselves"):
        fit_looks(FitLooksConfig(looks, looks))
    others = tmp_path / "others"
    others.mkdir()
    # nobody of these people
    one = Samples.load(looks / "samples_00000.safetensors")
    replace(one, region=one.region + 1).save(others / "samples_00000.safetensors")
    with pytest.raises(InputError, match="other people"):
        fit_looks(FitLooksConfig(looks, others))
    with pytest.raises(InputError, match="holds no samples"):
        (tmp_path / "empty").mkdir()
        fit_looks(FitLooksConfig(tmp_path / "empty", tmp_path / "out"))
    of_none = tmp_path / "none.safetensors"
    stranger = replace(Predictor.load().info, prior_sha256="0")
    Predictor(NetworkConfig(width=24, heads=2, layers=1), stranger).save(of_none)
    with pytest.raises(InputError, match="another pose prior"):
        fit_looks(FitLooksConfig(looks, tmp_path / "out", predictor=str(of_none)))
