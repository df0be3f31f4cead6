"""Training of the part parser: its pool, loss, figures, and runs that go on where they were."""

import math
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from painted import Painter, people

from kinflow.body.parts import PART_INDEX
from kinflow.cli.main import main
from kinflow.datasets.poses import PoseSet
from kinflow.errors import InputError
from kinflow.evidence.part_network import GRID, PartNetworkConfig, load_part_network
from kinflow.synth.studio import StudioConfig
from kinflow.training.loop import Loop
from kinflow.training.parts import trainer
from kinflow.training.parts.loss import between_parts, cell_weights, part_loss
from kinflow.training.parts.pictures import IGNORED, Pictures
from kinflow.training.parts.scores import borders_of, intersection_over_union, scores
from kinflow.training.parts.stream import Pool, PoolConfig, seeded, within_image
from kinflow.training.parts.trainer import PartRecipe, TrainPartsConfig, train
from kinflow.training.parts.views import PLAIN, views

CPU = torch.device("cpu")
needs_onnx = pytest.mark.skipif(find_spec("onnx") is None, reason="of the extras train and dev")


@pytest.fixture(scope="module")
def painted() -> Pictures:
    return people()


@pytest.fixture(scope="module")
def poses(tmp_path_factory) -> Path:
    """A few poses of a subject for training, and of one for validation."""
    path = tmp_path_factory.mktemp("poses") / "poses.safetensors"
    generator = torch.Generator().manual_seed(0)
    PoseSet(
        0.3 * torch.randn(20, 19, 3, generator=generator),
        0.1 * torch.randn(20, 3, generator=generator),
        torch.arange(20).int() // 10,
        torch.arange(20).int(),
        ("01_01", "02_01"),
        ("01", "02"),
    ).save(path)
    return path


@pytest.fixture
def no_studio(monkeypatch, painted):
    """Bodies as flat colours, in place of a studio and detectors."""
    monkeypatch.setattr(trainer, "Studio", lambda config, device: config.split)
    monkeypatch.setattr(trainer, "Detectors", lambda device: None)
    monkeypatch.setattr(trainer, "Watcher", lambda *_: Painter(painted))


def tiny(out: Path, poses: Path, steps: int = 4) -> TrainPartsConfig:
    return TrainPartsConfig(
        out=out,
        studio=StudioConfig(poses=poses),
        network=PartNetworkConfig((8, 8, 8, 8), 8, refinements=1),
        pool=PoolConfig(pictures=6, draw=2, first_draws=1, uses=1),
        validation_pictures=4,
        batch_size=2,
        steps=steps,
        eval_every=2,
    )


def pool_of(painted: Pictures, **options: int) -> Pool:
    settings = {"pictures": 6, "draw": 2, "first_draws": 1, "uses": 1} | options
    return Pool(Painter(painted), PoolConfig(**settings), 0)


def test_a_pool_that_goes_on_holds_what_it_would_have_held(painted):
    painter = Painter(painted)
    grown, begun = pool_of(painted), Pool(painter, pool_of(painted).config, 0)
    for draws in range(1, 9):
        grown.fill(draws)
    begun.fill(8)
    assert painter.draws == 3  # those that were forgotten are not painted again
    a, b = (pool.sample(20, seeded(CPU, 1, 2, 3)) for pool in (grown, begun))
    assert torch.equal(a.rgb, b.rgb) and torch.equal(a.keypoints_crop, b.keypoints_crop)


def test_pictures_make_room_after_so_many_uses():
    config = PoolConfig(pictures=2000, draw=50, first_draws=4, uses=5)
    assert config.draws_by(0, 100) == 4
    # 300 steps of 100 views are 30000 uses of 6000 pictures
    assert 50 * (config.draws_by(300, 100) - 4) == 6000


def test_people_whom_nobody_saw_are_not_learned_from(painted):
    useful = torch.tensor([True, False, False, False])
    pool = Pool(Painter(replace(painted, useful=useful)), PoolConfig(40, 10, 1, 1), 0)
    pool.fill(4)
    assert (pool.sample(50, seeded(CPU, 0, 0, 0)).rgb == painted.rgb[0]).all()
    nobody = Pool(Painter(replace(painted, useful=~useful & useful)), PoolConfig(), 0)
    with pytest.raises(InputError, match="saw none of the people"):
        nobody.fill(1)


def test_loss_is_lowest_at_the_truth():
    target = torch.randint(0, 15, (2, GRID, GRID))
    target[0, :10] = IGNORED
    right = torch.nn.functional.one_hot(target.where(target != IGNORED, 0), 15).permute(0, 3, 1, 2)
    right = 20.0 * right.float()
    weight = cell_weights(target, torch.ones(2, GRID, GRID), 1.0, 1.0)
    ignored = right.clone()
    ignored[0, :, :10] = torch.randn(15, 10, GRID)
    at_truth = part_loss(right, target, weight, 0.5)
    assert float(at_truth) < 1e-3
    assert float(part_loss(ignored, target, weight, 0.5)) == pytest.approx(
        float(at_truth), abs=1e-6
    )
    assert part_loss(right.roll(1, 1), target, weight, 0.5) > 5


def test_cells_between_parts_count_more_and_the_empty_background_less():
    target = torch.zeros(1, 8, 8, dtype=torch.long)
    target[0, 2:6, 2:4], target[0, 2:6, 4:6] = 1, 2
    target[0, 5, 2:6] = IGNORED
    between = between_parts(target)[0]
    assert between[2:5, 3:5].all() and between.sum() == 6
    mask = (target[:, :] > 0).float()
    weight = cell_weights(target, mask, 0.25, 2.0)[0]
    assert weight[0, 0] == 0.25 and weight[3, 3] == 3.0 and weight[3, 2] == 1.0
    assert (weight[5, 2:6] == 0).all()
    assert (cell_weights(target, mask + 1, 0.25, 2.0)[0, 0] == 1).all()


def test_figures_are_perfect_for_the_truth_and_fall_with_errors(painted):
    batch = views(painted, PLAIN, torch.Generator().manual_seed(0))
    shift = {"rows": 0}

    def answer(given: object) -> torch.Tensor:
        found = batch.target.roll(shift["rows"], 1).where(batch.target != IGNORED, 0)
        return torch.nn.functional.one_hot(found.clamp(max=14), 15).permute(0, 3, 1, 2).float()

    people_and_ages = [(batch, painted.age)]
    perfect = scores(answer, people_and_ages).figures()
    assert all(value == pytest.approx(1.0) for value in perfect.values())
    shift["rows"] = 1
    near = scores(answer, people_and_ages).figures()
    assert near["border_f"] > 0.95 and 0.5 < near["miou"] < 0.95
    shift["rows"] = 4
    far = scores(answer, people_and_ages).figures()
    assert far["border_f"] < 0.7 and far["miou"] < near["miou"] < 1
    assert far["silhouette"] < near["silhouette"] < 1


def test_sizes_of_heads_are_told_apart_by_age(painted):
    batch = views(painted, PLAIN, torch.Generator().manual_seed(0))
    head = PART_INDEX["head"]

    def answer(given: object) -> torch.Tensor:
        """Half of every child's head is missing."""
        cells = batch.target.clone()
        for i in (painted.age < 0.4).nonzero()[:, 0].tolist():
            rows, columns = (cells[i] == head).nonzero(as_tuple=True)
            half = len(rows) // 2
            cells[i, rows[:half], columns[:half]] = 0
        return torch.nn.functional.one_hot(cells.clamp(max=14), 15).permute(0, 3, 1, 2).float()

    found = scores(answer, [(batch, painted.age)]).figures()
    assert found["head"] == pytest.approx(1.0) and found["child_head"] == pytest.approx(
        0.5, abs=0.05
    )
    adults = scores(answer, [(batch, painted.age + 1)]).figures()
    assert math.isnan(adults["child_head"])


def test_borders_lie_between_parts_of_the_body_alone():
    labels = torch.zeros(1, 6, 6, dtype=torch.long)
    labels[0, 1:5, 1:5], labels[0, 3:5, 1:5], labels[0, 1, 1] = 1, 2, IGNORED
    expected = torch.zeros(6, 6, dtype=torch.bool)
    expected[2, 1:5] = True
    assert torch.equal(borders_of(labels)[0], expected)


def test_intersection_over_union():
    iou = intersection_over_union(np.array([[5, 1, 0], [2, 4, 0], [0, 0, 0]]))
    np.testing.assert_allclose(iou[:2], [5 / 8, 4 / 7])
    assert np.isnan(iou[2])


@pytest.mark.usefixtures("no_studio")
def test_an_interrupted_run_ends_the_same(tmp_path, poses, monkeypatch):
    train(tiny(tmp_path / "at_once", poses))
    write = trainer.Loop.save
    monkeypatch.setattr(trainer.Loop, "save", lambda loop: _stop(write, loop))
    with pytest.raises(KeyboardInterrupt):
        train(tiny(tmp_path / "in_two", poses))
    monkeypatch.setattr(trainer.Loop, "save", write)
    train(tiny(tmp_path / "in_two", poses))
    recipes = [PartRecipe(tiny(tmp_path / name, poses)) for name in ("at_once", "in_two")]
    for recipe in recipes:
        loop = Loop(recipe, recipe.loop_config, recipe.config.out)
        loop.resume()
        assert loop.step == 4
    once, twice = (recipe.network.state_dict() | recipe.average.state_dict() for recipe in recipes)
    for key in once:
        assert torch.equal(once[key], twice[key])
    assert len((tmp_path / "in_two" / "log.csv").read_text().splitlines()) == 2
    _, info = load_part_network(tmp_path / "at_once" / "parts.safetensors")
    assert 0 <= info.metrics["miou"] <= 1 and info.steps in (2, 4)
    assert {"border_f", "silhouette", "iou_head"} <= info.metrics.keys()


def _stop(write, loop: Loop) -> None:
    write(loop)
    raise KeyboardInterrupt


@pytest.mark.usefixtures("no_studio")
def test_a_run_learns(tmp_path, poses):
    """Flat colours are easily told apart: the loss falls within some steps."""
    config = replace(tiny(tmp_path, poses, steps=40), eval_every=10, learning_rate=1e-2)
    train(replace(config, batch_size=4))
    losses = [float(row.split(",")[1]) for row in (tmp_path / "log.csv").read_text().splitlines()]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.usefixtures("no_studio")
def test_a_run_is_not_mixed_with_another(tmp_path, poses):
    train(tiny(tmp_path, poses))
    with pytest.raises(InputError, match="another learning_rate"):
        train(replace(tiny(tmp_path, poses, steps=6), learning_rate=1e-4))


@needs_onnx
def test_the_command_paints_looks_and_records_itself(tmp_path, poses, capsys):
    out = str(tmp_path / "run")
    sizes = ["--pool.draw", "4", "--pool.first-draws", "1", "--validation-pictures", "2"]
    arguments = ["train", "parts", "--out", out, "--studio.poses", str(poses)]
    arguments += ["--batch-size", "2", "--steps", "1", *sizes]
    assert main(arguments) == 0
    assert "parts.safetensors" in capsys.readouterr().out
    network, info = load_part_network(Path(out) / "parts.safetensors")
    assert info.command == " ".join(["kinflow", *arguments])
    assert network.config == TrainPartsConfig(Path(out), StudioConfig(poses)).network


def test_keypoints_outside_of_the_image_have_no_confidence():
    """Of a crop that is turned by a quarter, whose right side is the image's upper or lower one."""
    landmarks = torch.tensor([[0.0, 0.0, 0.9], [0.4, 0.0, 0.8], [-0.4, 0.0, 0.7]])
    landmarks = torch.cat([landmarks, torch.zeros(30, 3)])[None]
    region = torch.tensor([[50.0, 90.0, 100.0, math.pi / 2]])
    found = within_image(landmarks, region, torch.tensor([[100.0, 100.0]]))[0]
    # crop's right is the image's down: 90 + 40 px lies below the image
    assert found[:3, 2].tolist() == pytest.approx([0.9, 0.0, 0.7])
    assert torch.equal(found[:, :2], landmarks[0, :, :2])
    upright = torch.tensor([[50.0, 90.0, 100.0, 0.0]])
    assert (within_image(landmarks, upright, torch.tensor([[100.0, 100.0]]))[0, :3, 2] > 0.5).all()
