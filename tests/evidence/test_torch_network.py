"""The detector's networks in torch: what onnxruntime makes of the same files, for many crops."""

import math
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from kinflow.errors import InputError
from kinflow.evidence.batched_blazepose import BatchedBlazePose, BatchedLooks, refine_by_heatmaps
from kinflow.evidence.blazepose import CROP_PX, BlazePose, Pose, refine_by_heatmap, sigmoid
from kinflow.evidence.cell_sampling import joint_features, sample_cells
from kinflow.evidence.region import Region
from kinflow.evidence.torch_network import TorchNetwork
from kinflow.evidence.weights import Network, RuntimeConfig
from kinflow.synth.looks import world_kinds
from kinflow.synth.world_picture import WorldPainter
from kinflow.synth.world_source import WorldSource

ONE_THREAD = RuntimeConfig(threads=1)
pytestmark = pytest.mark.usefixtures("networks_run_each_time")
PER_CROP = ("landmarks", "world_m", "features", "joint_features", "map_features")


needs_onnx = pytest.mark.skipif(find_spec("onnx") is None, reason="of the extras train and dev")


@pytest.fixture(scope="module")
def rendered() -> tuple[np.ndarray, Region]:
    """A picture of a rendered person, and their region."""
    kind = replace(world_kinds(None, "train")[0], count=(1, 1))
    world = WorldSource(kind).world(2)
    rgb = WorldPainter.load().paint(world, np.random.default_rng(0))
    points = world.people[0].keypoints_px.numpy()
    low, high = points.min(0), points.max(0)
    middle = (low + high) / 2
    return rgb, Region((float(middle[0]), float(middle[1])), 1.3 * float((high - low).max()))


@pytest.fixture(scope="module")
def crops(rendered) -> torch.Tensor:
    """Noise, a rendered person, and nothing at all."""
    rgb, region = rendered
    noise = np.random.default_rng(0).integers(0, 256, (CROP_PX, CROP_PX, 3), np.uint8)
    several = noise, region.crop(rgb, CROP_PX), np.zeros_like(noise)
    return torch.from_numpy(np.stack(several))


@needs_onnx
@pytest.mark.parametrize("name", ["blazepose_heavy.onnx", "selfie_multiclass.onnx"])
def test_torch_computes_what_onnxruntime_does(name, crops):
    outputs, runtime = TorchNetwork(name)(crops), Network(name, ONE_THREAD)
    for row, crop in enumerate(crops):
        expected = runtime.run(crop[None].numpy())
        assert expected.keys() == outputs.keys()
        for key, value in expected.items():
            scale = max(1.0, float(np.abs(value).max()))
            gap = np.abs(outputs[key][row].numpy() - value).max()
            assert gap < 3e-4 * scale, (key, row)


@needs_onnx
def test_a_crop_is_seen_as_it_is_alone(crops):
    network = TorchNetwork("blazepose_heavy.onnx")
    together, alone = network(crops), network(crops[1:2])
    for key, value in alone.items():
        torch.testing.assert_close(value[0], together[key][1], rtol=1e-3, atol=1e-3)


def test_without_onnx_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install 'kinflow\[train\]'"):
        BatchedBlazePose("cpu")


def looked(rgb: np.ndarray, regions: list[Region], half=False) -> tuple[list[Pose], BatchedLooks]:
    """The same regions one by one and together."""
    network = BlazePose(ONE_THREAD)
    crops = torch.from_numpy(np.stack([region.crop(rgb, CROP_PX) for region in regions]))
    return [network(rgb, region) for region in regions], BatchedBlazePose("cpu", half)(crops)


@needs_onnx
def test_many_crops_at_once_are_what_each_is(rendered):
    rgb, whole = rendered
    (x, y), side = whole.center_px, whole.size_px
    regions = [
        whole,
        replace(whole, roll=0.4),
        Region((x, y + 0.3 * side), 0.5 * side, -0.2),  # legs
        Region((0.0, 0.0), 1.2 * side, 0.1),  # mostly outside of the image
        Region((x + 0.4 * side, y), side, math.pi),  # upside down and cut in half
    ]
    poses, together = looked(rgb, regions)
    assert len(together) == len(regions) and poses[0].score > 0.5
    for row, pose in enumerate(poses):
        look = pose.close_look()
        for name in PER_CROP:
            expected = getattr(look, name).float()
            torch.testing.assert_close(
                getattr(together, name)[row], expected, rtol=2e-3, atol=2e-3, msg=f"{name} {row}"
            )
        px = CROP_PX * (together.landmarks[row, :, :2] - look.landmarks[:, :2])
        assert float(px.abs().max()) < 0.05
        assert float(together.score[row]) == pytest.approx(pose.score, abs=1e-4)
        np.testing.assert_allclose(together.mask[row].numpy(), pose.mask, atol=5e-3)


@needs_onnx
def test_half_precision_moves_keypoints_by_fractions_of_a_pixel(rendered):
    rgb, region = rendered
    (pose,), together = looked(rgb, [region], half=True)
    look = pose.close_look()
    assert all(value.dtype == torch.float32 for value in vars(together).values())
    gap = CROP_PX * (together.landmarks[0, :, :2] - look.landmarks[:, :2]).norm(dim=1)
    assert float(gap.median()) < 0.5
    for name in ("features", "joint_features", "map_features"):
        difference = (getattr(together, name)[0] - getattr(look, name)).abs()
        assert float(difference.mean()) < 0.05, name


def test_keypoints_are_refined_at_borders_and_left_alone_where_it_is_cold():
    rng = np.random.default_rng(1)
    edges = [(0.0, 0.0), (255.9, 255.9), (-0.5, 128.0), (-4.1, 128.0), (256.0, 3.0), (3.0, 300.0)]
    points = np.concatenate([np.array(edges), rng.uniform(-8, 264, (200, 2))]).astype(np.float32)
    logits = rng.normal(-4.5, 2.0, (64, 64, len(points))).astype(np.float32)
    expected = refine_by_heatmap(points, sigmoid(logits))
    several = torch.from_numpy(points)[None].repeat(2, 1, 1)
    refined = refine_by_heatmaps(several, torch.from_numpy(logits)[None].repeat(2, 1, 1, 1))
    moved = np.abs(expected - points).max(1) > 0
    assert 0.2 < moved.mean() < 0.9
    for one in refined.numpy():
        np.testing.assert_allclose(one, expected, atol=1e-3)


def test_cells_are_read_between_their_centres():
    rows, columns = 5, 4
    y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
    cells = torch.stack([x, y, 2 * x - y], -1)[None]  # linear, so that the truth is known
    points = torch.rand(1, 50, 2, generator=torch.Generator().manual_seed(0)) * 1.4 - 0.2
    size = torch.tensor([columns, rows])
    at = torch.minimum((points * size).clamp_min(0.5), size - 0.5)
    expected = torch.stack([at[..., 0], at[..., 1], 2 * at[..., 0] - at[..., 1]], -1)
    torch.testing.assert_close(sample_cells(cells, points), expected)


def test_a_keypoint_in_a_cells_centre_has_its_activations():
    g = torch.Generator().manual_seed(0)
    fine, coarse = torch.rand(1, 32, 32, 96, generator=g), torch.rand(1, 16, 16, 192, generator=g)
    of_fine = joint_features(fine, coarse, torch.tensor([[[20.5, 7.5]]]) / 32)
    torch.testing.assert_close(of_fine[0, 0, :96], fine[0, 7, 20])
    of_coarse = joint_features(fine, coarse, torch.tensor([[[3.5, 11.5]]]) / 16)
    torch.testing.assert_close(of_coarse[0, 0, 96:], coarse[0, 11, 3])
    assert F.mse_loss(of_fine, of_coarse) > 0.01


def test_a_close_look_holds_the_networks_own_activations(rendered):
    rgb, region = rendered
    outputs = Network("blazepose_heavy.onnx", ONE_THREAD).run(region.crop(rgb, CROP_PX)[None])
    look = BlazePose(ONE_THREAD)(rgb, region).close_look()
    assert look.joint_features.dtype == look.map_features.dtype == torch.float16
    rows = torch.from_numpy(outputs["map4"]).reshape(16, 288)
    torch.testing.assert_close(look.map_features.reshape(16, 288).float(), rows, rtol=1e-3, atol=0)
    cell = ((look.landmarks[:, :2] + 0.5) * 32).long().clamp(0, 31)
    nearest = torch.from_numpy(outputs["map32"])[cell[:, 1], cell[:, 0]]
    sampled = look.joint_features[:, :96].float()
    alike = F.cosine_similarity(sampled, nearest).mean()
    others = F.cosine_similarity(sampled, nearest.roll(11, 0)).mean()
    assert float(alike) > 0.85 and float(alike) > float(others) + 0.1
