"""Training of the part parser: samples, loss, and runs that go on where they were."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kinflow.body.parts import PART_INDEX
from kinflow.cli.main import main
from kinflow.errors import InputError
from kinflow.evidence.part_network import GRID, PICTURE, PartNetworkConfig, load_part_network
from kinflow.synth.body_pool import BODIES_PER_FILE, BodyPool
from kinflow.synth.observation import ObservationConfig
from kinflow.synth.occlusion import OcclusionConfig
from kinflow.synth.part_samples import IGNORED, CropConfig, cropped, draw_batch
from kinflow.synth.rendering import RenderedBody
from kinflow.synth.silhouettes import ClothingConfig
from kinflow.training.loop import Loop
from kinflow.training.parts.loss import part_loss
from kinflow.training.parts.trainer import (
    PartRecipe,
    TrainPartsConfig,
    input_of,
    intersection_over_union,
    train,
)

UPRIGHT = CropConfig(turn_std_deg=0.0, any_turn_share=0.0, cut_share=0.0, edge_near_share=0.0)


def tiny(out: Path, steps: int = 4) -> TrainPartsConfig:
    return TrainPartsConfig(
        out=out,
        network=PartNetworkConfig((8, 8, 8, 8), 8),
        bodies=3,
        first_bodies=2,
        validation_bodies=2,
        batch_size=2,
        steps=steps,
        eval_every=2,
        decay=0.0,
    )


@pytest.mark.parametrize("seed", range(4))
def test_keypoints_stay_on_their_parts(bodies, seed):
    """Whether mirrored or not, turned or not, a knee lies on the leg of its side."""
    rng = np.random.default_rng(seed)
    hits = 0
    for body in bodies:
        view, inside, _ = cropped(body, replace(CropConfig(), cut_share=0.0), rng)
        assert view.labels.shape == inside.shape == (GRID, GRID)
        for side, knee in (("left", 25), ("right", 26)):
            x, y = np.floor(view.keypoints_cells[knee]).astype(int)
            if not (2 <= x < GRID - 2 and 2 <= y < GRID - 2 and view.keypoint_seen[knee]):
                continue
            near = set(np.unique(view.labels[y - 2 : y + 3, x - 2 : x + 3]).tolist())
            hits += 1
            assert near & {PART_INDEX[f"{side}_upper_leg"], PART_INDEX[f"{side}_lower_leg"]}
    assert hits >= 3


def test_mirroring_exchanges_sides(bodies):
    """Without turning, a nose lies left or right of the left ear: both occur."""
    body, sides = bodies[0], set()
    for seed in range(12):
        view, _, _ = cropped(body, UPRIGHT, np.random.default_rng(seed))
        columns = [
            np.nonzero(view.labels == k)[1].mean() for k in range(1, 15) if (view.labels == k).any()
        ]
        sides.add(bool(columns[0] < np.mean(columns)))
        assert view.keypoints_cells.min() > -GRID and view.keypoints_cells.max() < 2 * GRID
    assert sides == {True, False}


def test_cuts_hide(bodies):
    config = replace(UPRIGHT, cut_share=1.0, cut_sides=(0.0, 0.0, 0.0, 1.0))
    view, inside, _ = cropped(bodies[0], config, np.random.default_rng(0))
    assert (view.labels[~inside] > 0).any() and (view.labels[inside] > 0).any()
    assert inside[:5].any() and not inside[-1].any()


def test_batches(bodies, rng):
    batch = draw_batch(bodies, 4, CropConfig(), ObservationConfig(), rng)
    assert batch.keypoints_cells.shape == (4, 33, 3) and batch.target.shape == (4, GRID, GRID)
    assert set(batch.target.unique().tolist()) <= {*range(15), IGNORED}
    assert (batch.target[batch.inside == 0] == IGNORED).all()
    assert (batch.mask[batch.inside == 0] == 0).all()


def test_pictures_show_the_body_where_the_target_is(bodies, rng):
    """Colours change at the outline: a body's cells differ from the background beside them."""
    config = ObservationConfig(
        clothing=ClothingConfig(loose_share=0.0, skirt_share=0.0, bag_share=0.0),
        occlusion=OcclusionConfig(shape_share=0.0, person_share=0.0),
    )
    batch = draw_batch(bodies, 6, replace(UPRIGHT, no_picture_share=0.0), config, rng)
    assert batch.pixels.shape == (6, PICTURE, PICTURE, 3) and batch.pixels.dtype == torch.uint8
    for picture, target in zip(batch.pixels.float(), batch.target, strict=True):
        cells = picture.unfold(0, 2, 2).unfold(1, 2, 2).mean((-1, -2))
        body = cells[target > 0].mean(0)
        ground = cells[target == 0].mean(0)
        assert (body - ground).abs().max() > 5


def test_pictures_are_black_outside_and_sometimes_missing(bodies, rng):
    cut = replace(UPRIGHT, cut_share=1.0, cut_sides=(0.0, 0.0, 0.0, 1.0), no_picture_share=0.0)
    batch = draw_batch(bodies, 3, cut, ObservationConfig(), rng)
    outside = torch.nn.functional.interpolate(batch.inside[:, None], size=PICTURE)[:, 0] == 0
    edge = torch.nn.functional.max_pool2d((~outside).float()[:, None], 5, 1, 2)[:, 0] > 0
    assert (batch.pixels[outside & ~edge] == 0).all() and batch.pixels.amax() > 0
    none = draw_batch(bodies, 2, replace(UPRIGHT, no_picture_share=1.0), ObservationConfig(), rng)
    assert (none.pixels == 0).all()
    given = input_of(none)
    assert given.coarse.abs().max() > 0 and (given.fine == 0).all()


def test_loss_is_lowest_at_the_truth():
    target = torch.randint(0, 15, (2, GRID, GRID))
    target[0, :10] = IGNORED
    right = 20.0 * torch.nn.functional.one_hot(target.clamp(max=14), 15).float()
    ignored = right.clone()
    ignored[0, :10] = torch.randn(10, GRID, 15)
    at_truth = part_loss(right, target, 0.5)
    assert float(at_truth) < 1e-3
    assert float(part_loss(ignored, target, 0.5)) == pytest.approx(float(at_truth), abs=1e-6)
    assert part_loss(right.roll(1, -1), target, 0.5) > 5


def test_intersection_over_union():
    iou = intersection_over_union(np.array([[5, 1, 0], [2, 4, 0], [0, 0, 0]]))
    np.testing.assert_allclose(iou[:2], [5 / 8, 4 / 7])
    assert np.isnan(iou[2])


def test_an_interrupted_run_ends_the_same(tmp_path):
    train(tiny(tmp_path / "at_once"))
    train(tiny(tmp_path / "in_two", steps=2))
    train(tiny(tmp_path / "in_two", steps=4))
    recipes = [PartRecipe(tiny(tmp_path / name)) for name in ("at_once", "in_two")]
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


def test_a_run_is_not_mixed_with_another(tmp_path):
    train(tiny(tmp_path))
    with pytest.raises(InputError, match="other settings"):
        train(replace(tiny(tmp_path, steps=6), learning_rate=1e-4))


def test_the_command_records_itself(tmp_path, capsys):
    out = str(tmp_path / "run")
    sizes = ["--bodies", "2", "--first-bodies", "2", "--validation-bodies", "2", "--steps", "1"]
    arguments = ["train", "parts", "--out", out, "--batch-size", "2", *sizes]
    assert main(arguments) == 0
    assert "parts.safetensors" in capsys.readouterr().out
    _, info = load_part_network(Path(out) / "parts.safetensors")
    assert info.command == " ".join(["kinflow", *arguments])


def test_pools_are_kept_and_checked(tmp_path, monkeypatch, source, bodies):
    monkeypatch.setattr(source, "body", lambda rng: _View(bodies[0]))
    pool = BodyPool(tmp_path, source)
    for _ in range(BODIES_PER_FILE + 1):
        pool.grow()
    again = BodyPool(tmp_path, source)
    assert len(again.bodies) == BODIES_PER_FILE  # the last one is not in a file yet
    np.testing.assert_array_equal(again.bodies[7].labels, bodies[0].labels)
    np.testing.assert_array_equal(again.bodies[7].normals, bodies[0].normals)
    np.testing.assert_array_equal(again.bodies[7].keypoint_seen, bodies[0].keypoint_seen)
    path = tmp_path / "bodies_000000.npz"
    with np.load(path) as archive:
        good = dict(archive)
    bad = {
        "'labels_3' is missing": {k: v for k, v in good.items() if k != "labels_3"},
        "'labels_3' is": good | {"labels_3": good["labels_3"].astype(float)},
        "'normals_3' is": good | {"normals_3": good["normals_3"][1:]},
        "'keypoints_cells' is missing or": good | {"keypoints_cells": good["keypoint_depth_m"]},
        "'keypoint_depth_m' holds NaN": good | {"keypoint_depth_m": np.nan * np.ones((100, 33))},
        "no part's": good | {"labels_3": good["labels_3"] + np.uint8(50)},
        "without height": good | {"height_cells": -good["height_cells"]},
    }
    for sentence, arrays in bad.items():
        np.savez(path, **arrays)
        with pytest.raises(InputError, match=f"is damaged .*{sentence}.*; delete it"):
            BodyPool(tmp_path, source)
    path.write_bytes(b"no archive")
    with pytest.raises(InputError, match="damaged"):
        BodyPool(tmp_path, source)


class _View:
    def __init__(self, render: RenderedBody) -> None:
        self.render = render
