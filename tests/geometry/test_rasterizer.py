"""Laws of the depth buffer: exact partition of pixels, occlusion, perspective-correct values."""

import math

import numpy as np
import pytest
import torch

from kinflow.geometry import rasterizer
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rasterizer import Raster, coverage, interpolate, rasterize

SIZE = (64, 48)


def draw(points, faces, depth=None, size=SIZE, **options) -> Raster:
    points = np.asarray(points, np.float64)
    depth = np.ones(len(points)) if depth is None else np.asarray(depth, np.float64)
    return rasterize(points, depth, np.asarray(faces, np.int64).reshape(-1, 3), size, **options)


def grid_mesh(rng: np.random.Generator, cells: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """A triangulated rectangle that covers the image exactly, its inner corners shaken."""
    x, y = np.meshgrid(np.linspace(0, SIZE[0], cells + 1), np.linspace(0, SIZE[1], cells + 1))
    points = np.stack([x, y], -1)
    points[1:-1, 1:-1] += rng.uniform(-1.6, 1.6, points[1:-1, 1:-1].shape)
    corner = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (b, d, c))])
    return points.reshape(-1, 2), faces


def sphere(rings: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """A closed unit sphere with outward-facing triangles."""
    theta, phi = np.linspace(0, math.pi, rings), np.arange(2 * rings) * math.pi / rings
    t, p = np.meshgrid(theta, phi, indexing="ij")
    points = np.stack([np.sin(t) * np.cos(p), np.cos(t), np.sin(t) * np.sin(p)], -1)
    faces = []
    for i in range(rings - 1):
        for j in range(2 * rings):
            k = (j + 1) % (2 * rings)
            a, b, c, d = (r * 2 * rings + s for r, s in ((i, j), (i, k), (i + 1, j), (i + 1, k)))
            faces += [(a, b, c), (b, d, c)]
    return points.reshape(-1, 3).astype(np.float32), np.array(faces)


@pytest.mark.parametrize("seed", range(5))
def test_area_of_a_triangle(seed):
    points = np.random.default_rng(seed).uniform([0, 0], SIZE, (3, 2))
    (ax, ay), (bx, by), (cx, cy) = points
    area = abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) / 2
    perimeter = sum(np.linalg.norm(points[i] - points[i - 1]) for i in range(3))
    covered = draw(points, [0, 1, 2]).covered.sum()
    # only pixels that the boundary passes can be counted wrongly
    assert abs(covered - area) <= perimeter / 2 + 1


@pytest.mark.parametrize("seed", range(5))
def test_neighbours_share_no_pixel_and_leave_no_crack(seed):
    points, faces = grid_mesh(np.random.default_rng(seed))
    assert draw(points, faces).covered.all()
    count = sum(draw(points, face).covered.astype(int) for face in faces)
    assert (count == 1).all()


def test_vertices_on_pixel_centres_are_covered_once():
    points = np.array([[2.5, 2.5], [10.5, 2.5], [2.5, 10.5], [10.5, 10.5]])
    both = draw(points, [[0, 1, 2], [1, 3, 2]])
    assert both.covered.sum() == 64
    assert both.covered[2:10, 2:10].all()


def test_the_nearer_triangle_wins_whatever_the_order():
    square = [[5, 5], [40, 5], [5, 40], [12, 12], [50, 12], [12, 46]]
    depth = [2, 2, 2, 1, 1, 1]
    for faces in ([[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 1, 2]]):
        raster = draw(square, faces, depth)
        near = faces.index([3, 4, 5])
        alone = draw(square, [3, 4, 5], depth).covered
        np.testing.assert_array_equal(raster.face == near, alone)
        assert raster.depth[alone] == pytest.approx(1)


def test_depth_and_values_are_perspective_correct():
    camera = Camera(80.0, (30.0, 20.0), SIZE)
    corners = torch.tensor([[-1.0, -0.4, 1.2], [2.5, 0.1, 5.0], [-0.4, 1.6, 3.0]])
    a, b, c = corners.double().numpy()
    points, depth = camera.project(corners).numpy(), corners[:, 2].numpy()
    values = np.array([3.0, -1.0, 7.0])
    raster = draw(points, [0, 1, 2], depth)
    assert len(raster.pixels) > 100
    rows, columns = np.divmod(raster.pixels, SIZE[0])
    rays = np.stack([(columns + 0.5 - 30) / 80, (rows + 0.5 - 20) / 80, np.ones(len(rows))], -1)
    normal = np.cross(b - a, c - a)
    z = (a @ normal) / (rays @ normal)
    np.testing.assert_allclose(raster.depth.ravel()[raster.pixels], z, rtol=1e-5)
    weights = np.linalg.solve(np.stack([a, b, c], 1), (rays * z[:, None]).T).T
    got = interpolate(raster, points, depth, np.array([[0, 1, 2]]), values)
    np.testing.assert_allclose(got, weights @ values, atol=1e-4)


def test_sphere_is_a_disc_without_holes():
    camera = Camera.centred((101, 101), 120.0)
    points, faces = sphere()
    points = points + np.array([0, 0, 4], np.float32)
    mask = coverage(torch.from_numpy(points), torch.from_numpy(faces), camera).numpy()
    y, x = np.mgrid[:101, :101] - 50.0
    # a sphere of radius 1 at distance 4 shows as a circle of this radius
    radius = np.hypot(x, y) / (120 / math.sqrt(15))
    assert mask[radius < 0.98].all()
    assert not mask[radius > 1].any()


def test_culling_keeps_the_visible_side_of_a_closed_mesh():
    camera = Camera.centred((101, 101), 120.0)
    points, faces = sphere()
    points = points + np.array([0.3, -0.2, 4], np.float32)
    px = camera.project(torch.from_numpy(points)).numpy()
    full = rasterize(px, points[:, 2], faces, (101, 101))
    culled = rasterize(px, points[:, 2], faces, (101, 101), cull_back_faces=True)
    inner = full.covered & culled.covered
    assert (full.covered != culled.covered).sum() <= 2
    np.testing.assert_allclose(full.depth[inner], culled.depth[inner], rtol=2e-2)
    assert (full.face[inner] == culled.face[inner]).mean() > 0.99


def test_work_is_split_without_changing_the_result(monkeypatch):
    rng = np.random.default_rng(3)
    points, faces = rng.uniform(-20, 80, (60, 2)), rng.integers(0, 60, (80, 3))
    depth = rng.uniform(1, 9, 60)
    whole = draw(points, faces, depth)
    monkeypatch.setattr(rasterizer, "_PIXELS_PER_BATCH", 50)
    split = draw(points, faces, depth)
    np.testing.assert_array_equal(whole.face, split.face)
    np.testing.assert_array_equal(whole.depth, split.depth)


def test_unusable_triangles_are_left_out():
    points = [[5, 5], [40, 5], [5, 40], [np.nan, 5], [20, 20], [30, 30], [1e7, 5], [-1e7, 9]]
    depth = [1, 1, 1, 1, 1, 1, 0.01, -1]
    faces = [[0, 1, 3], [0, 1, 6], [0, 1, 7], [0, 4, 5], [4, 4, 4]]
    assert not draw(points, faces, depth).covered.any()
    assert draw(points, [*faces, [0, 1, 2]], depth).covered.any()


def test_huge_triangle_fills_the_image_and_nothing_draws_nothing():
    huge = draw([[-1e6, -1e6], [1e6, -1e6], [0, 2e6]], [0, 1, 2])
    assert huge.covered.all()
    empty = draw([[0, 0]], np.zeros((0, 3)))
    assert not empty.covered.any()
    assert np.isinf(empty.depth).all()
