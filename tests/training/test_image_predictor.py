"""Training of image predictors: they learn from pictures, go on after a stop, refuse others."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_up_people import MadeUpPeople
from painted_crops import SIDE, painted_crops, write_crops

from kinflow.errors import InputError
from kinflow.predictors import Predictor
from kinflow.predictors.image_network import ImageNetworkConfig
from kinflow.synth.crops import CropSet, shrunk
from kinflow.training.loop import Loop
from kinflow.training.predictors import runs
from kinflow.training.predictors.batches import crop_points
from kinflow.training.predictors.crops import CropSource, labelled_crops, looked_at_anew
from kinflow.training.predictors.image_recipe import (
    ImagePredictorRecipe,
    TrainImagePredictorConfig,
    train,
)
from kinflow.training.predictors.losses import LossConfig, PredictorLoss
from kinflow.training.predictors.mean_body import MeanBody

NETWORK = ImageNetworkConfig(
    crop_px=SIDE, readout=48, blocks=1, context=8, flow_blocks=1, flow_hidden=16
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("crops")
    return write_crops(folder / "train", 192, 1), write_crops(folder / "validation", 64, 2)


def config_of(folders, out: Path, **changes) -> TrainImagePredictorConfig:
    config = TrainImagePredictorConfig(
        out=out,
        crops=(folders[0],),
        validation=(folders[1],),
        network=NETWORK,
        batch_size=32,
        steps=40,
        eval_every=20,
        learning_rate=4e-3,
        ema_decay=0.9,
    )
    return replace(config, **changes)


@pytest.fixture(scope="module")
def run(folders, tmp_path_factory) -> tuple[Path, ImagePredictorRecipe, dict[str, float]]:
    """A finished run, and the figures before it."""
    out = tmp_path_factory.mktemp("run")
    recipe = ImagePredictorRecipe(config_of(folders, out), "train")
    recipe.evaluate()
    before = dict(recipe.figures(0.0, 0.0, 0.0))
    Loop(recipe, recipe.loop_config, out).run()
    return out, recipe, before


def test_it_learns_from_pictures(run):
    out, recipe, before = run
    kept = Predictor.load(out / "predictor.safetensors")
    mean = MeanBody.of(recipe.training, kept.config.latent_size)
    nothing = mean.figures(recipe.validation, recipe.loss_of)
    found = kept.info.metrics
    assert found["nats"] > before["nats"] + 1
    assert found["rotation_deg"] < before["rotation_deg"]
    assert found["tokens_pa_mpjpe_mm"] < 0.9 * before["tokens_pa_mpjpe_mm"]
    assert math.isfinite(nothing["nats"]) and 50 < nothing["pa_mpjpe_mm"] < 300


def test_a_stopped_run_ends_with_the_same_weights(folders, run, tmp_path):
    config = config_of(folders, tmp_path)
    first = ImagePredictorRecipe(config, "train")
    Loop(first, replace(first.loop_config, steps=20), tmp_path).run()  # stopped after the first 20
    again = ImagePredictorRecipe(config, "train")
    Loop(again, again.loop_config, tmp_path).run()
    there = Predictor.load(run[0] / "predictor.safetensors").state_dict()
    for name, tensor in Predictor.load(tmp_path / "predictor.safetensors").state_dict().items():
        assert torch.equal(tensor, there[name]), name


@pytest.mark.parametrize("what", ["settings", "version"])
def test_a_run_of_other_settings_or_another_version_is_refused(what, folders, run, monkeypatch):
    config = config_of(folders, run[0])
    if what == "settings":
        config = replace(config, batch_size=16)
    else:
        monkeypatch.setattr(runs, "__version__", "0.0.0")
    recipe = ImagePredictorRecipe(config)
    with pytest.raises(InputError, match="delete it"):
        Loop(recipe, recipe.loop_config, run[0]).run()


@pytest.mark.parametrize("how", ["mirrored", "anew"])
def test_varied_crops_show_what_their_labels_say(how, prior):
    crops = painted_crops(24, 6)
    crops = replace(crops, region=crops.region + torch.tensor([30.0, -20.0, 0.0, 0.3]))
    batch = labelled_crops(crops, prior, MadeUpPeople(0).shape_prior)
    points = PredictorLoss(prior, LossConfig()).points_m(batch.truth)
    moved = crop_points(points, batch.looks)
    crops = replace(crops, keypoints_crop=moved)  # as the turned and moved regions have them
    if how == "mirrored":
        batch = labelled_crops(crops.mirrored(), prior, MadeUpPeople(0).shape_prior)
        other = crops.mirrored().mirrored()
        for name, value in vars(crops).items():
            torch.testing.assert_close(getattr(other, name), value)
    else:
        batch = looked_at_anew(labelled_crops(crops, prior, MadeUpPeople(0).shape_prior))
    points = PredictorLoss(prior, LossConfig()).points_m(batch.truth)
    gap = (crop_points(points, batch.looks) - batch.points[..., :2]).norm(dim=-1).mean(1)
    assert float(gap.median()) < 2e-3  # of the few that the latent cannot hold not


def test_pixels_go_with_the_points_of_a_varied_crop(prior):
    batch = labelled_crops(painted_crops(8, 7), prior, MadeUpPeople(0).shape_prior)
    varied = looked_at_anew(batch)
    assert varied.looks.crop is not None
    at = ((varied.points[..., :2] + 0.5) * SIDE).floor().long()
    inside = ((at >= 1) & (at < SIDE - 1)).all(-1)
    person, point = inside.nonzero().unbind(1)
    x, y = at[person, point].unbind(-1)
    lit = varied.looks.crop[person, y, x].amax(-1).float()
    assert float((lit > 20).float().mean()) > 0.9


def test_without_bodies_keypoints_teach(folders, tmp_path):
    recipe = ImagePredictorRecipe(config_of(folders, tmp_path, labels=0.0))
    assert not bool(recipe.training.has_body.any())
    recipe.network.train()
    loss = recipe.loss(0)
    loss.backward()
    assert math.isfinite(float(loss))
    slope = recipe.network.network.backbone.conv1.weight.grad
    assert slope is not None and float(slope.abs().max()) > 0


def test_a_studio_shows_them_while_it_learns(prior):
    people = MadeUpPeople(3)
    source = CropSource(people.draw, prior, people.shape_prior, 8, 0, 32)
    batch = source.several(12)
    assert len(batch) == 12 and batch.looks.crop is not None
    assert batch.looks.crop.shape == (12, 32, 32, 3)


def test_numbers_that_are_none_are_left_out_of_a_stream_and_refused_in_files(prior, tmp_path):
    crops = painted_crops(6, 4)
    crops.root_cam_m[2, 0] = math.nan
    assert len(labelled_crops(crops, prior, MadeUpPeople(0).shape_prior)) == 5
    crops.save(tmp_path / "crops_00000.safetensors")
    with pytest.raises(InputError, match="root_cam_m"):
        CropSet.load(tmp_path / "crops_00000.safetensors")


def test_folders_without_crops_or_of_different_sizes_are_named(folders, tmp_path):
    with pytest.raises(InputError, match="holds no crops"):
        CropSet.load_all([tmp_path])
    crops = painted_crops(4, 5)
    other = replace(crops, rgb=shrunk(crops.rgb, 32))
    (tmp_path / "other").mkdir()
    other.save(tmp_path / "other" / "crops_00000.safetensors")
    with pytest.raises(InputError, match="different sizes"):
        CropSet.load_all([folders[0], tmp_path / "other"])


def test_crops_are_made_as_small_as_the_network_looks_at_and_not_larger(folders, tmp_path):
    smaller = replace(NETWORK, crop_px=32)
    recipe = ImagePredictorRecipe(config_of(folders, tmp_path, network=smaller))
    assert recipe.training.looks.crop.shape[1:] == (32, 32, 3)
    with pytest.raises(InputError, match="smaller than the 64"):
        train(config_of(folders, tmp_path, network=replace(NETWORK, crop_px=64)))


@pytest.mark.parametrize("changes", [{"crops": ()}, {"validation": ()}])
def test_nothing_to_learn_from_is_refused(changes, folders, tmp_path):
    with pytest.raises(InputError, match="name"):
        config_of(folders, tmp_path, **changes)
