"""Vertex errors on bodies whose differences are known."""

import pytest
import torch

from kinflow.metrics.vertices import pve, t_pose_pve, t_pose_vertices_m


@pytest.fixture(scope="module")
def shapes(fit_body) -> torch.Tensor:
    heavy = fit_body.shape_space.neutral()
    heavy[3] = 0.9
    return torch.stack([fit_body.shape_space.neutral(), heavy])


@pytest.fixture(scope="module")
def fit_body():
    from kinflow.body import BodyModel

    return BodyModel.load("fit")


def test_pve_is_the_mean_distance_and_forgets_the_root():
    truth = torch.randn(3, 50, 3, generator=torch.Generator().manual_seed(0))
    root = truth[:, 0]
    shift = torch.tensor([1.0, -2.0, 3.0])
    assert pve(truth + shift, root + shift, truth, root).max() < 1e-6
    off = pve(truth + torch.tensor([0.0, 0.03, 0.04]), root, truth, root)
    torch.testing.assert_close(off, torch.full((3,), 0.05))


def test_shape_error_is_symmetric_and_zero_for_the_same_shape(fit_body, shapes):
    a, b = shapes
    assert t_pose_pve(fit_body, a, a) < 1e-7
    torch.testing.assert_close(t_pose_pve(fit_body, a, b), t_pose_pve(fit_body, b, a))
    assert t_pose_pve(fit_body, a, b) > 0.003


def test_scale_correction_takes_out_size_only(fit_body, shapes):
    taller = shapes.clone()
    taller[:, 4] += 0.2
    plain = t_pose_pve(fit_body, shapes, taller)
    corrected = t_pose_pve(fit_body, shapes, taller, scale_corrected=True)
    assert (corrected < 0.35 * plain).all()
    assert t_pose_pve(fit_body, shapes[:1], shapes[1:], scale_corrected=True) > 0.002


def test_the_t_pose_spreads_the_arms(fit_body, shapes):
    vertices = t_pose_vertices_m(fit_body, shapes)
    width = vertices[..., 0].amax(-1) - vertices[..., 0].amin(-1)
    height = vertices[..., 1].amax(-1) - vertices[..., 1].amin(-1)
    assert ((width / height - 1).abs() < 0.15).all()
