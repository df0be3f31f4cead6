"""The batched depth buffer agrees with the single one, and interpolates as perspective does."""

import numpy as np
import torch

from kinflow.body import BodyModel
from kinflow.geometry.batch_raster import rasterize_batch, surface_of
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rasterizer import rasterize

SIZE = 64


def bodies() -> tuple[BodyModel, torch.Tensor]:
    body = BodyModel.load()
    shaped = body.with_shape(body.shape_space.neutral().repeat(2, 1))
    pose = torch.eye(3).repeat(2, 22, 1, 1)
    pose[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    t = torch.tensor([[0.0, 0.0, 3.0], [0.4, -0.2, 2.0]])
    return body, shaped.with_pose(pose, t).vertices_m()


def test_shows_what_the_single_rasterizer_shows():
    body, vertices = bodies()
    camera = Camera(60.0, (32.0, 32.0), (SIZE, SIZE))
    points = camera.project(vertices)
    raster = rasterize_batch(points, vertices[..., 2], body.faces, (SIZE, SIZE))
    for i in range(2):
        single = rasterize(
            points[i].numpy(), vertices[i, :, 2].numpy(), body.faces.numpy(), (SIZE, SIZE)
        )
        both = single.covered & (raster.face[i] >= 0).numpy()
        assert both.sum() > 0.97 * max(single.covered.sum(), int((raster.face[i] >= 0).sum()))
        gap = np.abs(single.depth[both] - raster.depth_m[i].numpy()[both])
        assert np.median(gap) < 1e-4
        assert np.quantile(gap, 0.98) < 0.02


def test_depth_is_interpolated_exactly_in_perspective():
    corners = torch.tensor([[[-1.0, -1.0, 1.0], [1.0, -1.0, 3.0], [0.0, 1.5, 2.0]]])
    camera = Camera(40.0, (32.0, 32.0), (SIZE, SIZE))
    points, faces = camera.project(corners), torch.tensor([[0, 1, 2]])
    raster = rasterize_batch(points, corners[..., 2], faces, (SIZE, SIZE))
    surface = surface_of(raster, points, corners[..., 2], faces)
    at = surface.interpolate(corners)
    assert len(at) > 100
    # the interpolated point projects to its pixel's centre
    pixel = torch.stack([surface.pixel % SIZE, surface.pixel // SIZE], -1) + 0.5
    assert torch.allclose(camera.project(at), pixel, atol=1e-3)
    assert torch.allclose(at[:, 2], raster.depth_m.flatten()[surface.pixel], atol=1e-4)


def test_what_is_behind_the_camera_or_beyond_the_image_is_left_out():
    corners = torch.tensor([[[-1.0, -1.0, -1.0], [1.0, -1.0, 2.0], [0.0, 1.5, 2.0]]])
    faces = torch.tensor([[0, 1, 2]])
    points = torch.tensor([[[5.0, 5.0], [30.0, 5.0], [5.0, 30.0]]])
    raster = rasterize_batch(points, corners[..., 2], faces, (SIZE, SIZE))
    assert int(raster.face.max()) == -1
    far = rasterize_batch(points + 500, corners[..., 2].abs(), faces, (SIZE, SIZE))
    assert bool(far.depth_m.isinf().all())


def test_the_nearer_triangle_wins_whatever_the_order():
    points = torch.tensor([[[2.0, 2.0], [60.0, 2.0], [2.0, 60.0]] * 2])
    depth = torch.tensor([[2.0] * 3 + [1.0] * 3])
    for faces in ([[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 1, 2]]):
        raster = rasterize_batch(points, depth, torch.tensor(faces), (SIZE, SIZE))
        assert float(raster.depth_m[0, 10, 10]) == 1.0
