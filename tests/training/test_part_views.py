"""What the part parser is trained on is what the product shows it."""

from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch
from painted import people

from kinflow.body.keypoints import MIRROR_KEYPOINTS
from kinflow.body.parts import MIRROR_PARTS, PART_INDEX
from kinflow.evidence.blazepose import BlazePose
from kinflow.evidence.part_network import (
    GRID,
    PICTURE,
    PartNetwork,
    PartNetworkConfig,
    PartNetworkInfo,
    save_part_network,
)
from kinflow.evidence.parts import PartParser, PartParserConfig
from kinflow.evidence.region import Region
from kinflow.evidence.selfie import SelfieSegmenter
from kinflow.evidence.silhouette import Subject, silhouettes
from kinflow.evidence.types import PersonMask
from kinflow.evidence.weights import RuntimeConfig
from kinflow.geometry.image_grid import ImageGrid
from kinflow.synth.studio.dice import Dice
from kinflow.training.parts import masks
from kinflow.training.parts.masks import MaskConfig
from kinflow.training.parts.pictures import IGNORED, Pictures
from kinflow.training.parts.views import PLAIN, PartBatch, ViewsConfig, views

SIDE = 256
OUTSIDE = 30


@pytest.fixture(scope="module")
def painted() -> Pictures:
    return people()


def plain(pictures: Pictures, **options: object) -> PartBatch:
    return views(pictures, replace(PLAIN, **options), torch.Generator().manual_seed(0))


def flipped(pictures: Pictures) -> Pictures:
    """The same people in a mirror."""
    rows = list(MIRROR_KEYPOINTS[:33])
    labels = torch.tensor([*MIRROR_PARTS], dtype=torch.uint8)[pictures.labels.flip(2).long()]
    points = pictures.keypoints_crop[:, rows] * torch.tensor([-1.0, 1.0, 1.0])
    return replace(
        pictures,
        rgb=pictures.rgb.flip(2),
        mask=pictures.mask.flip(2),
        labels=labels,
        inside=pictures.inside.flip(2),
        keypoints_crop=points,
        depth_m=pictures.depth_m[:, rows],
    )


def agreement(a: PartBatch, b: PartBatch) -> float:
    """Share of the cells of the body that have the same label in both."""
    body = (a.target > 0) | (b.target > 0)
    return float((a.target == b.target)[body].float().mean())


def test_views_are_those_of_the_product(painted, tmp_path):
    """The same network answers the same, by way of the product and by way of training."""
    torch.manual_seed(0)
    network = PartNetwork(PartNetworkConfig((8, 8, 8, 8), 8)).eval()
    path = tmp_path / "parts.safetensors"
    save_part_network(network, PartNetworkInfo(), path)
    parser = PartParser(PartParserConfig(path))
    # the image ends to the right of the person's middle
    cut = torch.arange(SIDE) < 140
    pictures = replace(
        painted,
        inside=painted.inside & cut,
        rgb=painted.rgb * cut[:, None],
        mask=painted.mask * cut,
    )
    batch = plain(pictures)
    with torch.no_grad():
        answers = network(batch.input()).softmax(1)
    for i in range(len(pictures)):
        mask = PersonMask(pictures.mask[i] / 255, ImageGrid.of_image((SIDE, SIDE)))
        points = pictures.keypoints_crop[i] + torch.tensor([0.5, 0.5, 0.0])
        found = parser.probabilities(
            points * torch.tensor([SIDE, SIDE, 1.0]),
            mask,
            (140, SIDE),
            torch.cat([torch.zeros(33, 2), pictures.depth_m[i, :, None]], 1),
            pictures.rgb[i, :, :140].numpy(),
        )
        assert found is not None
        assert torch.equal(found.inside, batch.inside[i] > 0.5)
        torch.testing.assert_close(found.probability, answers[i], atol=0.02, rtol=0)


def test_targets_lie_under_the_keypoints(painted):
    batch = views(painted, ViewsConfig(sloppy_share=0.0), torch.Generator().manual_seed(3))
    hits = 0
    for target, points in zip(batch.target, batch.keypoints_cells, strict=True):
        for side, knee in (("left", 25), ("right", 26)):
            x, y = points[knee, :2].long().tolist()
            near = set(target[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].unique().tolist())
            hits += bool(near & {PART_INDEX[f"{side}_{k}_leg"] for k in ("upper", "lower")})
    assert hits >= 6  # of eight, a knee may be hidden


def test_crops_are_turned_upright(painted):
    """A crop that is turned by a quarter shows the person as one that is not."""
    quarter = replace(
        painted,
        rgb=painted.rgb.rot90(1, (1, 2)),
        mask=painted.mask.rot90(1, (1, 2)),
        labels=painted.labels.rot90(1, (1, 2)),
        keypoints_crop=torch.stack(
            [
                painted.keypoints_crop[..., 1],
                -painted.keypoints_crop[..., 0],
                painted.keypoints_crop[..., 2],
            ],
            -1,
        ),
        roll=torch.full((len(painted),), np.pi / 2),
    )
    straight, turned = plain(painted), plain(quarter)
    torch.testing.assert_close(straight.keypoints_cells, turned.keypoints_cells, atol=1e-3, rtol=0)
    assert agreement(straight, turned) > 0.98
    torch.testing.assert_close(straight.mask, turned.mask, atol=0.05, rtol=0)


def test_mirroring_is_looking_at_a_mirror_image(painted):
    mirrored, looked_at = plain(painted, mirror_share=1.0), plain(flipped(painted))
    torch.testing.assert_close(
        mirrored.keypoints_cells, looked_at.keypoints_cells, atol=1e-3, rtol=0
    )
    assert agreement(mirrored, looked_at) > 0.98
    torch.testing.assert_close(mirrored.depth_m, looked_at.depth_m)


def test_nothing_is_known_outside(painted):
    left = torch.arange(SIDE) < OUTSIDE + SIDE // 2
    batch = plain(replace(painted, inside=painted.inside & ~left))
    assert (batch.target[batch.inside == 0] == IGNORED).all()
    assert (batch.mask[batch.inside == 0] == 0).all()
    assert (batch.target[batch.inside == 1] != IGNORED).all() and batch.inside.mean() < 0.7


def test_evidence_is_left_out_now_and_then(painted):
    none = plain(painted, no_picture_share=1.0, no_depth_share=1.0)
    assert not none.pixels.any() and not none.depth_m.any()
    assert none.mask.max() > 0.99
    coco = plain(painted, coco_share=1.0)
    assert ((coco.keypoints_cells[..., 2] > 0).sum(1) == 17).all()
    sloppy = plain(painted, sloppy_share=1.0)
    assert (sloppy.keypoints_cells - plain(painted).keypoints_cells)[..., :2].abs().max() > 0.5
    assert none.pixels.shape[1:] == (PICTURE, PICTURE, 3) and none.target.shape[1:] == (GRID, GRID)


def test_silhouettes_are_nearly_those_of_the_product():
    """On a photograph of one person, whose true outline the product's own stands in for."""
    photo = skimage.data.astronaut()
    runtime = RuntimeConfig(threads=1)
    segmenter, region = SelfieSegmenter(runtime), Region((230.0, 330.0), 700.0, 0.3)
    pose = BlazePose(runtime)(photo, region)
    box = np.array([30.0, 10.0, 440.0, 512.0])
    (product,) = silhouettes(photo, [Subject(pose, box)], segmenter)
    crop = region.crop(photo, SIDE)
    own = torch.from_numpy(pose.mask).float()[None]

    def anyone(crops: torch.Tensor) -> torch.Tensor:
        whole = Region((SIDE / 2, SIDE / 2), float(SIDE))
        return torch.stack([torch.from_numpy(segmenter(c.numpy(), whole)) for c in crops])

    to_image = region.to_image(SIDE)
    places = masks.centres(SIDE, torch.device("cpu"), 0.0, float(SIDE))
    at_px = places @ torch.from_numpy(to_image[:, :2]).float().T
    at_px = at_px + torch.from_numpy(to_image[:, 2]).float()
    expected = product.sample(at_px)
    found = masks.silhouettes(
        torch.from_numpy(crop)[None],
        own,
        pose.close_look().landmarks[None],
        expected[None] > 0.5,
        torch.zeros(1, SIDE, SIDE, dtype=torch.bool),
        torch.tensor([[230.0, 330.0, 700.0, 0.3]]),
        anyone,
        MaskConfig(box_std=0.0, drawn_share=0.0),
        Dice(torch.Generator().manual_seed(0)),
    )[0]
    assert float((found - expected).abs().mean()) < 0.02
    both = ((found > 0.5) & (expected > 0.5)).sum() / ((found > 0.5) | (expected > 0.5)).sum()
    assert both > 0.95
    assert float((found - own[0]).abs().mean()) > 0.005  # the segmenter had a say


def test_neighbours_take_what_is_theirs(painted):
    """Of a mask that leaks onto somebody else, less remains there than on the person."""
    shown = painted.labels > 0
    other = shown.roll(60, 2) & ~shown
    own = (shown | other).float()
    arguments = (
        painted.rgb,
        own,
        painted.keypoints_crop,
        shown,
        other,
        torch.tensor([[128.0, 128.0, 256.0, 0.0]]).repeat(len(shown), 1),
        lambda crops: torch.zeros(crops.shape[:3]),
    )
    config = MaskConfig(box_std=0.0, found_share=1.0, drawn_share=0.0)
    found = masks.silhouettes(*arguments, config, Dice(torch.Generator().manual_seed(0)))
    away = other & (torch.nn.functional.max_pool2d(shown[:, None].float(), 41, 1, 20)[:, 0] == 0)
    assert away.any() and found[shown].min() > 0.9
    assert found[away].mean() < 0.3 and found[other].mean() < 0.7
    drawn = replace(config, drawn_share=1.0)
    outline = masks.silhouettes(*arguments, drawn, Dice(torch.Generator().manual_seed(0)))
    iou = ((outline > 0.5) & shown).sum() / ((outline > 0.5) | shown).sum()
    assert 0.6 < float(iou) < 0.99
