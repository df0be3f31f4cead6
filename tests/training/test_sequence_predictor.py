"""Training of sequence predictors: from clips, resumed to the bit, others refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kinflow.datasets.look_clips import LookClips
from kinflow.errors import InputError
from kinflow.predictors.sequence_predictor import SequencePredictor
from kinflow.predictors.temporal import TemporalConfig
from kinflow.training.loop import Loop
from kinflow.training.predictors.sequence_figures import sequence_figures
from kinflow.training.predictors.sequence_losses import in_picture_m
from kinflow.training.predictors.sequence_recipe import (
    SequencePredictorRecipe,
    TrainSequencePredictorConfig,
)
from kinflow.training.predictors.sequences import (
    WordClip,
    by_liveliness,
    drawn,
    with_errors_of,
)

CLIPS, FRAMES = 4, 9
NETWORK = TemporalConfig(window=6, width=16, layers=1, heads=2, averages=3)


def made_up(seed: int) -> LookClips:
    """Clips of people who turn slowly, seen by a detector that says anything."""
    g = torch.Generator().manual_seed(seed)
    frames = []
    for clip in range(CLIPS):
        rotvec = 0.2 * torch.randn(22, 3, generator=g)
        for i in range(FRAMES):
            rotvec = rotvec + 0.02 * torch.randn(22, 3, generator=g)
            rotvec[0] = torch.tensor([3.1, 0.1 * i, 0.0])
            frames.append(
                {
                    "clip": torch.tensor(clip),
                    "time_s": torch.tensor(i / 15),
                    "seen": torch.tensor(i != 3),
                    "features": torch.randn(1152, generator=g).relu(),
                    "landmarks": torch.rand(33, 3, generator=g) - 0.5,
                    "world_m": 0.3 * torch.randn(33, 3, generator=g),
                    "region": torch.tensor([160.0, 120.0, 200.0, 0.1]),
                    "camera": torch.tensor([300.0, 160.0, 120.0, 320.0, 240.0]),
                    "R_still_cam": torch.eye(3),
                    "rotvec": rotvec,
                    "phenotypes": torch.full((6,), 0.5),
                    "root_cam_m": torch.tensor([0.05 * i, 0.0, 4.0]),
                }
            )
    return LookClips.of_frames(frames)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("clips")
    for name, seed in (("train", 1), ("validation", 2)):
        (folder / name).mkdir()
        made_up(seed).save(folder / name / "clips_00000.safetensors")
    return folder / "train", folder / "validation"


def config_of(folders, out: Path, **changes) -> TrainSequencePredictorConfig:
    config = TrainSequencePredictorConfig(
        out=out,
        clips=(folders[0],),
        validation=(folders[1],),
        network=NETWORK,
        batch_size=4,
        steps=8,
        eval_every=4,
        ema_decay=0.5,
    )
    return replace(config, **changes)


@pytest.fixture(scope="module")
def run(folders, tmp_path_factory) -> tuple[Path, SequencePredictorRecipe]:
    out = tmp_path_factory.mktemp("run")
    recipe = SequencePredictorRecipe(config_of(folders, out), "train")
    Loop(recipe, recipe.loop_config, out).run()
    return out, recipe


def test_a_run_leaves_weights_that_say_where_they_come_from(run):
    out, recipe = run
    kept = SequencePredictor.load(out / "sequence-predictor.safetensors")
    assert kept.info.clips == CLIPS and kept.info.frames == CLIPS * FRAMES
    assert kept.is_of(recipe.frame_network)
    found = sequence_figures(kept, recipe.loss_of, recipe.validation)
    for name, value in found.items():
        assert value == pytest.approx(kept.info.metrics[name], rel=0.05, abs=0.5), name
    assert len((out / "log.csv").read_text().splitlines()) == 2


def test_losses_reach_every_weight(run):
    _, recipe = run
    torch.manual_seed(0)
    recipe.optimizer.zero_grad()
    for _ in range(4):
        recipe.loss(0).backward()
    for name, parameter in recipe.network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert bool(parameter.grad.any()), name
    assert not any(p.grad is not None for p in recipe.frame_network.parameters())


def test_a_stopped_run_ends_with_the_same_weights(folders, run, tmp_path):
    first = SequencePredictorRecipe(config_of(folders, tmp_path), "train")
    Loop(first, replace(first.loop_config, steps=4), tmp_path).run()  # stopped after the first 4
    second = SequencePredictorRecipe(config_of(folders, tmp_path), "train")
    Loop(second, second.loop_config, tmp_path).run()
    for name, value in run[1].network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name
    other = SequencePredictorRecipe(config_of(folders, tmp_path, learning_rate=2e-3), "train")
    with pytest.raises(InputError, match="learning_rate"):
        Loop(other, other.loop_config, tmp_path).run()


def test_the_truth_costs_least(run):
    _, recipe = run
    loss_of = recipe.loss_of
    batch = WordClip.stack([recipe.training[0]])
    truth = replace(batch.words, **{n: v for n, v in vars(batch.truth).items() if n != "log_focal"})
    R = batch.words.R_still_window()
    motion = recipe.network.network(batch.words, R, False, batch.there)
    right = motion._replace(vectors=truth.vectors(R), log_std=torch.zeros_like(motion.log_std))
    wrong = right._replace(vectors=batch.words.vectors(R))
    assert float(loss_of(right, batch, R)) < float(loss_of(wrong, batch, R))


def test_windows_are_varied_and_true(run):
    _, recipe = run
    torch.manual_seed(0)
    batch = drawn(recipe.training, 16, 6)
    assert batch.there.shape[0] == 16 and batch.there.shape[1] <= 6
    assert bool(batch.words.seen.any(1).all())
    assert not bool((batch.words.seen & ~batch.there).any())
    steps = batch.words.time_s[:, 1:] - batch.words.time_s[:, :-1]
    assert bool((steps[batch.there[:, 1:]] > 0).all())


def test_a_clip_with_its_own_errors_is_itself(run):
    clip = run[1].training[0]
    again = with_errors_of(clip, clip)
    seen = clip.words.seen
    for name in ("R_cam_root", "t_cam_root_m", "z", "s"):
        value, truth = getattr(again.words, name), getattr(clip.words, name)
        torch.testing.assert_close(value[seen], truth[seen], atol=1e-3, rtol=1e-3)
    back = clip.reversed().reversed()
    torch.testing.assert_close(back.words.time_s, clip.words.time_s)
    assert torch.equal(back.truth.z, clip.truth.z)


def test_a_clip_played_twice_as_quickly_is_twice_as_lively_and_drawn_more_often(run):
    clip = run[1].training[0]
    quick = clip.played(2.0)
    assert quick.liveliness() == pytest.approx(2 * clip.liveliness(), rel=1e-4)
    assert torch.equal(quick.truth.z, clip.truth.z)
    likely = by_liveliness([clip, quick])
    assert 0 < float(likely[0]) < float(likely[1]) < 2 * float(likely[0])
    torch.manual_seed(0)
    only = drawn([clip, quick], 12, 6, torch.tensor([0.0, 1.0]))
    either = drawn([clip, quick], 12, 6, torch.tensor([1.0, 0.0]))

    def median_s(batch: WordClip) -> float:
        steps = batch.words.time_s[:, 1:] - batch.words.time_s[:, :-1]
        return float(steps[batch.there[:, 1:]].median())

    assert median_s(only) < median_s(either)


def test_limbs_in_the_picture_do_not_tell_where_somebody_is():
    g = torch.Generator().manual_seed(0)
    points = 0.4 * torch.randn(5, 33, 3, generator=g) * torch.tensor([1.0, 1.0, 0.0])
    points = points + torch.tensor([0.0, 0.0, 4.0])
    beside = points + torch.tensor([0.5, -0.2, 0.0])
    torch.testing.assert_close(
        in_picture_m(beside, points), torch.full((5,), 1e-4), atol=1e-4, rtol=0
    )
    farther = points * torch.tensor([1.0, 1.0, 1.1])
    larger = (points - points.mean(1, keepdim=True)) * torch.tensor([1.1, 1.1, 1.0])
    assert float(in_picture_m(farther, points).min()) > 0.01
    assert float(in_picture_m(larger + points.mean(1, keepdim=True), points).min()) > 0.01
    lifted = points.clone()
    lifted[:, 15, 1] += 0.12  # a wrist, one of twelve limb keypoints
    gap = in_picture_m(lifted, points)
    torch.testing.assert_close(gap, torch.full((5,), 0.12 * 22 / 144), atol=1e-3, rtol=0)


def test_clips_that_are_missing_or_damaged_are_named(tmp_path):
    with pytest.raises(InputError, match="no clips"):
        LookClips.load_all([tmp_path])
    clips = made_up(1)
    broken = clips.root_cam_m.clone()
    broken[5, 0] = torch.nan
    replace(clips, root_cam_m=broken).save(tmp_path / "clips_00000.safetensors")
    with pytest.raises(InputError, match="'root_cam_m' holds values that are not finite"):
        LookClips.load_all([tmp_path])
    path = tmp_path / "clips_00000.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError):
        LookClips.load_all([tmp_path])


def test_clips_are_numbered_anew():
    both = LookClips.concatenate([made_up(1), made_up(2)])
    assert both.clip.unique().tolist() == list(range(2 * CLIPS))
    assert both.clip.tolist() == sorted(both.clip.tolist())


@pytest.mark.parametrize("wrong", [{"clips": ()}, {"batch_size": 0}, {"learning_rate": -1.0}])
def test_options_out_of_range_are_refused(folders, tmp_path, wrong):
    with pytest.raises(InputError):
        config_of(folders, tmp_path, **wrong)
