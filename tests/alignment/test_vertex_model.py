"""Chosen vertices against the body model, and their Jacobian against finite differences."""

import pytest
import torch
from test_keypoint_model import numeric_jacobian, random_unknowns

from kinflow.alignment.keypoint_model import KeypointModel
from kinflow.alignment.vertex_model import VertexModel
from kinflow.body.keypoints import COCO17


@pytest.fixture(scope="module")
def model(joints_body, prior, shape_prior) -> KeypointModel:
    return KeypointModel(joints_body, prior, shape_prior, COCO17)


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

    numeric = numeric_jacobian(moved, x, model.num_unknowns)
    analytic = vertices.evaluate(model.evaluate(x).motion, chosen).jacobian
    torch.testing.assert_close(analytic, numeric, atol=2e-3, rtol=1e-2)
