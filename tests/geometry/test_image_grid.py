"""Laws of the grid: the ways between cells and image points agree with each other."""

import numpy as np
import pytest
import torch

from kinflow.errors import InputError
from kinflow.geometry import Camera, ImageGrid

GRID = ImageGrid((-12.5, 40.0), 2.5, (30, 20))
POINTS_PX = torch.rand(3, 50, 2, generator=torch.Generator().manual_seed(0)) * 200 - 50


@pytest.mark.parametrize("points_px", [POINTS_PX, POINTS_PX.double(), POINTS_PX.double().numpy()])
def test_there_and_back(points_px):
    back = GRID.to_px(GRID.to_cells(points_px))
    assert type(back) is type(points_px) and back.dtype == points_px.dtype
    np.testing.assert_allclose(back, points_px, atol=1e-4)


def test_corners_are_those_of_the_cells():
    corners = torch.tensor([[0.0, 0.0], [30.0, 20.0]])
    assert GRID.to_px(corners).flatten().tolist() == list(GRID.box_px) == [-12.5, 40, 62.5, 90]
    assert GRID.extent_px == (75, 50) and GRID.shape == (20, 30)


def test_the_affine_map_is_that_of_points():
    points_px = POINTS_PX.reshape(-1, 2).double().numpy()
    affine = GRID.to_cells_affine()
    mapped = points_px @ affine[:, :2].T + affine[:, 2]
    np.testing.assert_allclose(mapped, GRID.to_cells(points_px), atol=1e-12)


def test_centres_lie_in_the_middle_of_their_cells():
    cells = GRID.to_cells(GRID.centres_px())
    assert cells.shape == (*GRID.shape, 2)
    torch.testing.assert_close(cells[7, 11], torch.tensor([11.5, 7.5]))
    x, y = GRID.axes_px()
    np.testing.assert_allclose(GRID.centres_px()[7, :, 0], x)
    np.testing.assert_allclose(GRID.centres_px()[:, 11, 1], y)


def test_pixels_of_an_image_are_a_grid():
    grid = ImageGrid.of_image((30, 20))
    assert torch.equal(grid.to_cells(POINTS_PX), POINTS_PX)
    assert grid.centres_px()[19, 29].tolist() == [29.5, 19.5]


def test_its_camera_sees_what_the_camera_sees():
    camera = Camera(700.0, (150.0, 130.0), (320, 240))
    points_m = torch.tensor([0.0, 0.0, 4.0]) + torch.randn(
        40, 3, generator=torch.Generator().manual_seed(1)
    ) * torch.tensor([1.0, 1.0, 0.5])
    seen = GRID.camera(camera)
    assert seen.image_size == GRID.size
    torch.testing.assert_close(
        seen.project(points_m), GRID.to_cells(camera.project(points_m)), rtol=1e-5, atol=1e-4
    )


def test_finer_cells_cover_the_same():
    finer = GRID.finer(3)
    assert finer.box_px == pytest.approx(GRID.box_px) and finer.size == (90, 60)
    blocks = finer.centres_px().reshape(20, 3, 30, 3, 2)
    torch.testing.assert_close(blocks.mean((1, 3)), GRID.centres_px())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_grid_around_a_box(dtype):
    box_px = np.array([100, 50, 140, 250], dtype)
    grid = ImageGrid.around(box_px, margin=0.1, cells=120)
    assert grid.size == (40, 120) and grid.cell_px == pytest.approx(2.0)
    assert grid.box_px == pytest.approx((80, 30, 160, 270))
    coarse = ImageGrid.around(box_px, margin=0.1, cells=120, min_cell_px=5.0)
    assert coarse.size == (16, 48) and coarse.box_px == pytest.approx((80, 30, 160, 270))


def test_a_grid_around_a_point_has_cells():
    grid = ImageGrid.around(np.array([5.0, 5.0, 5.0, 5.0]), margin=0.0, cells=8)
    assert grid.size == (8, 8) and grid.extent_px == pytest.approx((1, 1))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("origin_px", (0.0, float("nan"))),
        ("origin_px", (0.0,)),
        ("cell_px", 0.0),
        ("cell_px", float("inf")),
        ("size", (4, 0)),
    ],
)
def test_what_is_no_grid_is_refused(field, value):
    fields = {"origin_px": (0.0, 0.0), "cell_px": 1.0, "size": (4, 4), field: value}
    with pytest.raises((InputError, TypeError), match=field):
        ImageGrid(**fields)
