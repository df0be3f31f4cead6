"""A predictor that learns before a studio: samples are labelled rightly, come and go, and teach."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_up_people import MadeUpPeople

from kinflow.errors import InputError
from kinflow.predictors import Predictor
from kinflow.predictors.network import NetworkConfig
from kinflow.synth.studio import StudioConfig
from kinflow.training.loop import Loop
from kinflow.training.predictors.batches import crop_points, seen_points
from kinflow.training.predictors.config import TrainPredictorConfig
from kinflow.training.predictors.figures import figures
from kinflow.training.predictors.live import LiveConfig, LivePool, LiveSource
from kinflow.training.predictors.losses import LossConfig, PredictorLoss
from kinflow.training.predictors.pool import Pool, draw
from kinflow.training.predictors.recipe import PredictorRecipe
from kinflow.training.predictors.regimes import as_known, is_used

NETWORK = NetworkConfig(
    width=24, layers=1, heads=2, readout=32, blocks=1, context=8, flow_blocks=1, flow_hidden=16
)
LIVE = LiveConfig(pictures=24, first=48, pool=120, validation=48)


def config_of(out: Path, **changes) -> TrainPredictorConfig:
    config = TrainPredictorConfig(
        out=out,
        studio=StudioConfig(poses=Path("poses.safetensors")),
        live=LIVE,
        network=NETWORK,
        batch_size=24,
        steps=60,
        eval_every=20,
        learning_rate=5e-3,
    )
    return replace(config, **changes)


def recipe_of(config: TrainPredictorConfig) -> PredictorRecipe:
    def source(studio: StudioConfig, seed: int) -> LiveSource:
        return MadeUpPeople(seed).source(config.live.pictures)

    return PredictorRecipe(config, "train", source)


def people_of(recipe: PredictorRecipe) -> set[tuple[float, ...]]:
    assert isinstance(recipe.live, LivePool)
    return {tuple(row.tolist()) for row in recipe.live[:].truth.z}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, PredictorRecipe, float]:
    """A finished run, and the score before it."""
    out = tmp_path_factory.mktemp("run")
    recipe = recipe_of(config_of(out))
    before = recipe.evaluate()
    Loop(recipe, recipe.loop_config, out).run()
    return out, recipe, before


def test_samples_are_labelled_with_what_was_shown(prior):
    people = MadeUpPeople(1)
    source = people.source(16)
    batch = source.next()
    shown = people.shown
    assert shown is not None and len(batch) == 16
    points_m = PredictorLoss(prior, LossConfig()).points_m(batch.truth)
    xy = crop_points(points_m, batch.looks)
    gap = (xy - shown.keypoints_crop).norm(dim=-1).mean(1)
    assert float(gap.median()) < 1e-3  # of the few that the latent cannot hold not
    torch.testing.assert_close(batch.points[..., :2], shown.keypoints_crop)
    assert torch.equal(batch.points[..., 2] > 0, shown.keypoint_shows)
    assert batch.looks.joint_features.dtype == torch.float16


def test_who_is_mistaken_for_somebody_else_is_left_out():
    source = MadeUpPeople(2, strangers=0.5).source(32)
    batch = source.several(64)
    assert len(batch) == 64
    share = source.throughput.figures()["kept_share"]
    assert 0.3 < share < 0.7
    seen, truth = batch.looks.landmarks[..., :2], batch.points[..., :2]
    assert float((seen - truth).abs().max()) < 0.1


def test_what_is_not_finite_is_left_out():
    people = MadeUpPeople(3)

    def draws(count: int, generator: torch.Generator):
        shown = people.draw(count, generator)
        shown.root_cam_m[0, 2] = math.nan
        return shown

    source = LiveSource(draws, people.look, people.prior, people.shape_prior, 8)
    batch = source.next()
    assert len(batch) == 7
    assert all(bool(tensor.isfinite().all()) for tensor in batch.tensors())


def test_a_detector_that_sees_nobody_ends_the_run_with_a_sentence():
    with pytest.raises(InputError, match=r"found 0 of 160 people"):
        MadeUpPeople(4, strangers=1.0).source(8).several(4)


def test_a_full_pool_forgets_the_oldest():
    batch = MadeUpPeople(5).source(20).next()
    pool = Pool(12)
    for rows in torch.arange(20).split(5):
        pool.add(batch[rows])
    assert len(pool) == 12 and pool.seen == 20
    kept = {tuple(row.tolist()) for row in pool[:].truth.z}
    assert kept == {tuple(row.tolist()) for row in batch.truth.z[8:]}
    drawn = draw(pool, 50)
    assert {tuple(row.tolist()) for row in drawn.truth.z} <= kept
    assert len(Pool(3)) == 0


def test_new_samples_come_for_their_share_of_the_time():
    def added(share: float) -> int:
        live = replace(LIVE, drawing_share=share)
        pool = LivePool(MadeUpPeople(6).source(24), live, lambda batch: batch)
        pool.fill()
        first = pool.seen
        for _ in range(5):
            pool.keep_up()
        return pool.seen - first

    assert added(0.0) == 0
    assert added(0.9) >= 24


def test_regimes_know_what_they_may():
    batch = MadeUpPeople(7).source(40).next()
    everybody, half = torch.ones(40, dtype=torch.bool), torch.arange(40) % 2 == 0
    unseen = as_known(batch, "ss", everybody)
    assert not bool(unseen.has_body.any()) and bool(is_used(unseen, "ss").all())
    assert torch.equal(unseen.points, seen_points(batch.looks.landmarks))
    assert bool(is_used(as_known(batch, "fs", everybody), "fs").all())
    assert torch.equal(is_used(as_known(batch, "fs", half), "fs"), half)
    mixed = as_known(batch, "mix", half)
    assert torch.equal(mixed.has_body, half) and torch.equal(mixed.points, batch.points)
    assert bool(is_used(mixed, "mix").all())
    alone = as_known(batch, "mix", everybody, use=("parts",))
    assert not bool(alone.in_space.any()) and not bool(is_used(alone, "mix").any())


def test_it_learns(run):
    out, recipe, before = run
    predictor = Predictor.load(out / "predictor.safetensors")
    metrics = predictor.info.metrics
    assert metrics["nats"] > before + 5
    assert predictor.info.samples >= LIVE.first
    assert {"adults_height_mm", "children_height_mm", "children_under_ten_known"} <= set(metrics)
    rows = (out / "log.csv").read_text().splitlines()
    assert [int(row.split(",")[0]) for row in rows] == [20, 40, 60]
    assert float(rows[-1].split(",")[1]) < float(rows[0].split(",")[1])


def test_the_file_is_as_good_as_its_figures_say(run):
    out, recipe, _ = run
    predictor = Predictor.load(out / "predictor.safetensors")
    again = figures(predictor, recipe.loss_of, recipe.validation)
    for name in ("nats", "mpjpe_mm", "rotation_deg"):
        assert again[name] == pytest.approx(predictor.info.metrics[name], rel=0.02)


def test_a_run_goes_on_with_new_pictures(tmp_path):
    class Killed(Exception):
        pass

    config = config_of(tmp_path, steps=30, eval_every=10)
    recipe = recipe_of(config)
    loop, loss = Loop(recipe, recipe.loop_config, tmp_path), recipe.loss

    def dies(step: int) -> torch.Tensor:
        if step == 15:
            raise Killed
        return loss(step)

    recipe.loss = dies
    with pytest.raises(Killed):
        loop.run()
    assert Predictor.load(tmp_path / "predictor.safetensors").info.metrics["step"] == 10
    before, recipe = recipe, recipe_of(config)
    mean = recipe.network.network.input_mean.clone()
    loop = Loop(recipe, recipe.loop_config, tmp_path)
    loop.run()
    assert loop.step == 30
    assert not people_of(before) & people_of(recipe)
    own = recipe.live
    assert isinstance(own, LivePool)
    assert own.before > 0
    assert Predictor.load(tmp_path / "predictor.safetensors").info.samples > own.before
    assert not torch.equal(recipe.network.network.input_mean, mean)  # of the first call
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3


def test_a_budget_of_time_is_kept(tmp_path):
    config = config_of(tmp_path, minutes=0.02, eval_seconds=0.4, steps=1000)
    recipe = recipe_of(config)
    loop = Loop(recipe, recipe.loop_config, tmp_path)
    assert loop.run().exists()
    assert 1.2 <= loop.clock.seconds < 8.0
    assert loop.step < 1000
    # longer, on the same weights
    recipe = recipe_of(replace(config, minutes=0.03))
    loop = Loop(recipe, recipe.loop_config, tmp_path)
    loop.resume()
    assert loop.step > 0 and not loop.is_over()


def test_validation_people_are_others(run):
    _, recipe, _ = run
    shown = people_of(recipe)
    assert shown and not shown & {tuple(row.tolist()) for row in recipe.validation.truth.z}


@pytest.mark.parametrize(
    "change", [{"pool": 0}, {"drawing_share": 1.0}, {"pictures": 0}, {"validation": -1}]
)
def test_options_out_of_range_are_refused(change):
    with pytest.raises(InputError):
        LiveConfig(**change)


@pytest.mark.parametrize("change", [{"minutes": 0.0}, {"ema_decay": 1.0}, {"eval_seconds": 0.0}])
def test_a_run_of_no_length_is_refused(change, tmp_path):
    with pytest.raises(InputError):
        config_of(tmp_path, **change)


def test_a_device_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="cuda:99"):
        recipe_of(config_of(tmp_path, device="cuda:99"))
