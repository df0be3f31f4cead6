"""Chosen vertices against the body model, and their Jacobian against finite differences."""

from dataclasses import replace

import pytest
import torch
from test_keypoint_model import numeric_jacobian, random_unknowns

from kinflow.body.keypoints import COCO17_ROWS
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.terms import outline
from kinflow.energy.vertex_model import VertexModel


@pytest.fixture(scope="module")
def model(joints_body, prior, shape_prior) -> KeypointModel:
    return KeypointModel(joints_body, prior, shape_prior, COCO17_ROWS)


@pytest.fixture(scope="module")
def vertices(body) -> VertexModel:
    return VertexModel(body)


@pytest.fixture(scope="module")
def chosen(body) -> torch.Tensor:
    """Other vertices for each of two bodies."""
    return torch.randint(body.num_vertices, (2, 60), generator=torch.Generator().manual_seed(0))


def test_vertices_agree_with_the_body_model(model, vertices, chosen, body, prior, shape_prior):
    x = random_unknowns(prior, 2)
    shaped = body.with_shape(shape_prior.decode(x.s))
    expected = shaped.with_pose(model.pose(x), x.t_cam_root_m).vertices_m()
    motion = model.evaluate(x, with_jacobian=False).motion
    torch.testing.assert_close(vertices.all_vertices(motion), expected, atol=2e-6, rtol=0)
    rows = torch.stack([v[c] for v, c in zip(expected, chosen, strict=True)])
    state = vertices.evaluate(motion, chosen)
    torch.testing.assert_close(state.vertices_cam_m, rows, atol=2e-6, rtol=0)
    assert state.jacobian is None


def test_jacobian_matches_finite_differences(model, vertices, chosen, prior):
    x = random_unknowns(prior, 2, seed=1)

    def moved(x, rows):
        motion = model.evaluate(x, with_jacobian=False).motion
        return vertices.evaluate(motion, chosen[rows]).vertices_cam_m

    numeric = numeric_jacobian(moved, x, model.layout.size)
    analytic = vertices.evaluate(model.evaluate(x).motion, chosen).jacobian
    torch.testing.assert_close(analytic, numeric, atol=2e-3, rtol=1e-2)


@pytest.mark.parametrize("has_focal", [False, True])
def test_outline_term_matches_finite_differences(model, vertices, chosen, prior, has_focal):
    layout = replace(model.layout, has_focal=has_focal)
    x = random_unknowns(prior, 2, seed=1)
    generator = torch.Generator().manual_seed(2)
    focal_px, principal_px = torch.tensor([700.0, 900.0]), torch.full((2, 2), 300.0)
    across = torch.randn(2, 60, 2, generator=generator) / 10
    across[:, 0] = 0
    truth = random_unknowns(prior, 2, seed=3)
    state = vertices.evaluate(model.evaluate(truth, with_jacobian=False).motion, chosen)
    aim_px = (
        principal_px[:, None] + 800 * state.vertices_cam_m[..., :2] / state.vertices_cam_m[..., 2:]
    )

    def term(x, rows, with_jacobian=False):
        state = vertices.evaluate(model.evaluate(x, with_jacobian).motion, chosen[rows])
        focal = focal_px[rows] * x.log_focal.exp()
        at = (focal, principal_px[rows], aim_px[rows], across[rows])
        return outline(state.vertices_cam_m, state.jacobian, *at, 3.0, layout)

    rows = torch.arange(2)
    numeric = numeric_jacobian(lambda x, rows: term(x, rows).residual, x, layout.size)
    found = term(x, rows, with_jacobian=True)
    torch.testing.assert_close(found.jacobian, numeric, atol=4e-2, rtol=1e-2)
    assert found.residual.shape == (2, 60) and not found.residual[:, 0].any()
    assert (found.residual.abs() < 3.0).all()  # the kernel's limit


def test_points_on_their_lines_cost_nothing(model, vertices, chosen, prior):
    """However far they are from the point by which the line is given."""
    x = random_unknowns(prior, 2)
    points = vertices.evaluate(model.evaluate(x, with_jacobian=False).motion, chosen).vertices_cam_m
    focal_px, principal_px = torch.full((2,), 900.0), torch.zeros(2, 2)
    px = 900 * points[..., :2] / points[..., 2:]
    across = torch.nn.functional.normalize(torch.randn(2, 60, 2), dim=-1)
    along = torch.stack([-across[..., 1], across[..., 0]], -1)
    term = outline(points, None, focal_px, principal_px, px + 50 * along, across, 3.0, model.layout)
    assert term.jacobian is None and term.energy().max() < 1e-4
    off = outline(points, None, focal_px, principal_px, px + 50 * across, across, 1e6, model.layout)
    torch.testing.assert_close(off.residual, torch.full((2, 60), -50.0), atol=1e-2, rtol=0)
