"""Laws of regions, keypoint refinement, masks, duplicates and the error model."""

import math

import numpy as np
import pytest
import torch

from kinflow.evidence.blazepose import CROP_PX, refine_by_heatmap, turn_about_z
from kinflow.evidence.error_model import keypoint_std_px
from kinflow.evidence.movenet import Detection
from kinflow.evidence.people import box_overlap, keypoint_similarity, without_duplicates
from kinflow.evidence.region import Region, transform_points
from kinflow.evidence.types import PersonMask
from kinflow.geometry.image_grid import ImageGrid


def test_region_maps_are_inverse_and_upright():
    region = Region((120.0, 80.0), 64.0, 0.7)
    points = np.array([[3.0, 5.0], [100.0, 200.0]])
    there = transform_points(region.to_crop(256), points)
    np.testing.assert_allclose(transform_points(region.to_image(256), there), points, atol=1e-9)
    # A point along the body's up direction lands straight above the middle of the crop.
    up = np.array([math.sin(0.7), -math.cos(0.7)])
    above = transform_points(region.to_crop(256), np.array(region.center_px) + 10 * up)
    np.testing.assert_allclose(above, [128, 128 - 10 * 256 / 64])


@pytest.mark.parametrize("size", [64, 256, 540])
def test_crop_shows_the_region(size):
    """The crop of a linear ramp is the ramp at the crop's own coordinates."""
    x, y = np.meshgrid(np.arange(1000) + 0.5, np.arange(800) + 0.5)
    ramp = np.stack((x / 5, y / 5, 0 * x), axis=-1).round().astype(np.uint8)
    region = Region((500.0, 400.0), float(size), 0.3)
    crop = region.crop(ramp, 64).astype(float)
    centers = np.stack(np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5), axis=-1)
    expected = transform_points(region.to_image(64), centers.reshape(-1, 2)).reshape(64, 64, 2)
    np.testing.assert_allclose(crop[..., :2], expected / 5, atol=1.1)


def test_crop_outside_the_image_is_black():
    white = np.full((50, 50, 3), 255, np.uint8)
    assert (Region((-500.0, -500.0), 100.0).crop(white, 32) == 0).all()
    assert (Region((-5000.0, 0.0), 1000.0).crop(white, 32) == 0).all()


def test_heatmap_refinement_moves_to_the_peak_only_where_it_is_certain():
    heat = np.zeros((64, 64, 2))
    heat[20, 31, 0] = 0.9
    heat[20, 31, 1] = 0.4
    points = np.array([[4 * 30.0, 4 * 21.0]] * 2)
    refined = refine_by_heatmap(points, heat)
    np.testing.assert_allclose(refined[0], np.array([31, 20]) * CROP_PX / 64)
    np.testing.assert_allclose(refined[1], points[1])
    outside = np.array([[-5.0, 300.0]] * 2)
    np.testing.assert_array_equal(refine_by_heatmap(outside, heat), outside)


def test_turn_about_z_undoes_the_roll():
    """Up in the crop is the body's up direction in the image."""
    turned = turn_about_z(np.array([[0.0, -1.0, 0.5]]), 0.4)
    np.testing.assert_allclose(turned, [[math.sin(0.4), -math.cos(0.4), 0.5]])


def person_at(x: float, y: float, size: float, score: float = 0.5) -> Detection:
    points = np.random.default_rng(0).uniform(0, size, (17, 2)) + (x, y)
    keypoints = np.column_stack((points, np.full(17, 0.5)))
    return Detection(keypoints, np.array([x, y, x + size, y + size], dtype=float), score)


def test_duplicates_are_removed_and_neighbours_kept():
    a, shifted, neighbour = person_at(0, 0, 100), person_at(3, 2, 100, 0.4), person_at(60, 0, 100)
    kept = without_duplicates([shifted, neighbour, a])
    assert len(kept) == 2
    assert any(person is a for person in kept)
    assert any(person is neighbour for person in kept)


def test_similarity_and_overlap():
    a = person_at(0, 0, 100)
    assert keypoint_similarity(a.keypoints_px, a.keypoints_px, 100.0) == pytest.approx(1.0)
    unseen = a.keypoints_px * (1, 1, 0)
    assert keypoint_similarity(a.keypoints_px, unseen, 100.0) == 0
    assert box_overlap(a.box_px, a.box_px) == pytest.approx(1.0)
    assert box_overlap(a.box_px, a.box_px + 200) == 0


def test_error_grows_with_doubt_and_size():
    certain = keypoint_std_px(np.ones(33), 100.0, 250.0)
    doubtful = keypoint_std_px(np.zeros(33), 100.0, 250.0)
    larger = keypoint_std_px(np.ones(33), 200.0, 500.0)
    assert (doubtful > certain).all()
    np.testing.assert_allclose(larger, 2 * certain)


def test_mask_sampling():
    grid = ImageGrid((10.0, 20.0), 4.0, (2, 2))
    mask = PersonMask(torch.tensor([[0.0, 1.0], [0.5, 0.0]]), grid)
    centers = torch.tensor([[12.0, 22.0], [16.0, 22.0], [12.0, 26.0], [100.0, 100.0]])
    torch.testing.assert_close(mask.sample(centers), torch.tensor([0.0, 1.0, 0.5, 0.0]))
    raster = mask.rasterize((40, 30))
    assert raster.shape == (30, 40)
    assert raster[:18].max() == 0
    torch.testing.assert_close(raster[21, 15], mask.sample(torch.tensor([15.5, 21.5])))
