"""Predictors learn from whatever labels there are, and a run goes on where it was."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kinflow.datasets.look_labels import shows_parts
from kinflow.datasets.samples import Samples, look_of
from kinflow.errors import InputError
from kinflow.geometry import Camera
from kinflow.predictors import Predictor
from kinflow.predictors.network import NetworkConfig
from kinflow.synth.looks import Looker, world_kinds
from kinflow.training.loop import Loop
from kinflow.training.predictors.batches import Labelled, crop_points
from kinflow.training.predictors.config import TrainPredictorConfig
from kinflow.training.predictors.losses import keypoint_distance
from kinflow.training.predictors.recipe import PredictorRecipe, train
from kinflow.training.predictors.sources import Source

SMALL = NetworkConfig(
    width=48,
    layers=1,
    readout=48,
    blocks=1,
    context=8,
    flow_blocks=2,
    flow_hidden=16,
    dropout=0.0,
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """A few rendered people, and the same as if they were photographs without labels."""
    root = tmp_path_factory.mktemp("samples")
    looker = Looker(world_kinds(None, "train")[:1])
    known = Samples.concatenate([s for number in range(10) for s in looker.samples(number)])
    unknown = Samples.concatenate([Samples.of_look(look, camera) for look, camera in _looks(known)])
    for name, samples in (("known", known), ("unknown", unknown)):
        (root / name).mkdir()
        samples.save(root / name / "samples_00000.safetensors")
    return {name: root / name for name in ("known", "unknown")}


def _looks(samples: Samples):
    for row in range(len(samples)):
        f, x, y, width, height = samples.camera[row].tolist()
        yield look_of(samples, row), Camera(f, (x, y), (int(width), int(height)))


def config_of(folders, out: Path, **changes) -> TrainPredictorConfig:
    config = TrainPredictorConfig(
        sources=(Source("looks", folders["known"]),),
        validation=(Source("looks", folders["known"]),),
        out=out,
        network=SMALL,
        batch_size=16,
        steps=20,
        eval_every=10,
    )
    return replace(config, **changes)


def known_of(recipe: PredictorRecipe) -> Labelled:
    return recipe.mixture.first(len(recipe.mixture))


def test_it_learns_bodies(folders, tmp_path):
    config = config_of(folders, tmp_path, steps=60, eval_every=20, learning_rate=3e-3)
    recipe = PredictorRecipe(config)
    recipe.evaluate()
    before = dict(recipe.figures(0.0, 0.0, 0.0))
    predictor = Predictor.load(Loop(recipe, recipe.loop_config, tmp_path).run())
    after = predictor.info.metrics
    assert after["nats"] > before["nats"]
    assert after["mpjpe_mm"] < 0.8 * before["mpjpe_mm"]
    assert after["rotation_deg"] < before["rotation_deg"]


@pytest.mark.parametrize("regime", ["ws", "ss"])
def test_it_learns_from_keypoints_alone(regime, folders, tmp_path):
    config = config_of(folders, tmp_path, recipe=regime, labels=0.0, learning_rate=3e-3)
    recipe = PredictorRecipe(config)
    batch = known_of(recipe)
    assert not bool(batch.in_space.any())
    assert bool(shows_parts(batch.parts).all()) == (regime == "ws")

    def distance() -> float:
        with torch.no_grad():
            points = recipe.loss_of.points_m(recipe.network.eval()(batch.looks).point())
            xy = crop_points(points, batch.looks)
            return float(keypoint_distance(xy, batch.points).mean())

    before, loop = distance(), Loop(recipe, recipe.loop_config, tmp_path)
    for _ in range(60):
        loop.train_step()
    assert distance() < 0.75 * before
    assert recipe.score_name == "minus_mpjpe_mm"


def test_parts_alone_bring_bodies_to_their_place(folders, tmp_path):
    source = Source("looks", folders["known"], use=("parts",))
    config = config_of(folders, tmp_path, recipe="ws", sources=(source,), learning_rate=3e-3)
    recipe = PredictorRecipe(config)
    batch = known_of(recipe)
    assert not bool(batch.in_space.any() or (batch.points[..., 2] > 0).any())

    def off() -> float:
        with torch.no_grad():
            guess = recipe.loss_of.points_m(recipe.network.eval()(batch.looks).point())
            truth = known_of(everything).points
            gap = (crop_points(guess, batch.looks) - truth[..., :2]).norm(dim=-1)
            return float((gap * truth[..., 2]).sum() / truth[..., 2].sum())

    everything = PredictorRecipe(config_of(folders, tmp_path))
    before, loop = off(), Loop(recipe, recipe.loop_config, tmp_path)
    for _ in range(50):
        loop.train_step()
    assert off() < 0.75 * before


def test_fully_supervised_training_leaves_out_who_has_no_label(folders, tmp_path):
    everybody = known_of(PredictorRecipe(config_of(folders, tmp_path)))
    some = known_of(PredictorRecipe(config_of(folders, tmp_path, labels=0.4)))
    assert 0 < len(some) < len(everybody) and bool(some.has_body.all())


def test_a_run_begins_with_the_weights_of_another(folders, tmp_path):
    first = train(config_of(folders, tmp_path / "first"))
    recipe = PredictorRecipe(config_of(folders, tmp_path / "second", start=str(first)))
    for (name, was), now in zip(
        Predictor.load(first).state_dict().items(),
        recipe.network.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(was, now), name
    others = replace(SMALL, width=96)
    with pytest.raises(InputError, match="another shape"):
        PredictorRecipe(config_of(folders, tmp_path, start=str(first), network=others))


def test_an_interrupted_run_ends_like_another(folders, tmp_path):
    whole = train(config_of(folders, tmp_path / "whole"))
    recipe = PredictorRecipe(config_of(folders, tmp_path / "cut"))
    loop = Loop(recipe, recipe.loop_config, tmp_path / "cut")
    (tmp_path / "cut").mkdir()
    for _ in range(10):
        loop.train_step()
    loop._evaluate(0.0, 1.0, None)
    loop.save()
    again = train(config_of(folders, tmp_path / "cut"))
    one, other = Predictor.load(whole).state_dict(), Predictor.load(again).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_folder_of_another_run_is_refused(folders, tmp_path):
    train(config_of(folders, tmp_path))
    with pytest.raises(InputError, match="another value of 'seed'"):
        train(config_of(folders, tmp_path, seed=1))


@pytest.mark.parametrize("change", [{"labels": 1.5}, {"steps": 0}, {"learning_rate": 0.0}])
def test_options_out_of_range_are_refused(change, folders, tmp_path):
    with pytest.raises(InputError):
        config_of(folders, tmp_path, **change)
