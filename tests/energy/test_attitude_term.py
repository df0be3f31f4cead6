"""The attitude term: its Jacobian, and what it does to a body whose lean nothing else tells."""

from dataclasses import replace

import pytest
import torch
from test_keypoint_model import make_targets, numeric_jacobian, random_unknowns

from kinflow.body.keypoints import COCO17, COCO17_ROWS
from kinflow.energy.body_energy import Energy, EnergyConfig
from kinflow.energy.ground import UpTarget
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.fitting.starts import hip_origin
from kinflow.priors.attitude import AttitudePrior


@pytest.fixture(scope="module")
def energy(joints_body, prior, shape_prior) -> Energy:
    model = KeypointModel(
        joints_body, prior, shape_prior, COCO17_ROWS, attitude=AttitudePrior.load()
    )
    return Energy(model, hip_origin(COCO17), EnergyConfig(focal_log_std=0.3))


def test_the_jacobian_of_up_matches_finite_differences(energy, prior):
    x = random_unknowns(prior, 3, seed=6)
    state = energy.model.evaluate(x)
    numeric = numeric_jacobian(
        lambda x, rows: energy.model.evaluate(x, with_jacobian=False).up_cam,
        x,
        energy.model.layout.size,
    )
    torch.testing.assert_close(state.up_jacobian, numeric, atol=2e-3, rtol=1e-2)
    torch.testing.assert_close(state.up_cam.norm(dim=-1), torch.ones(3))


def test_the_term_is_one_of_the_energy(energy, prior):
    x = random_unknowns(prior, 2, seed=2)
    targets = make_targets(energy, random_unknowns(prior, 2, seed=3), 20.0)
    up = torch.tensor([[0.0, -1.0, 0.0], [0.1, -0.9, 0.42]])
    up = UpTarget(
        up / up.norm(dim=-1, keepdim=True), torch.full((2, 3), 8.0), torch.tensor([1.0, 2.0])
    )
    targets = replace(targets, up=up)
    residual, jacobian = energy.linearise(x, targets)
    torch.testing.assert_close(residual, energy.residuals(x, targets))
    numeric = numeric_jacobian(
        lambda x, rows: energy.residuals(x, targets[rows]), x, energy.layout.size
    )
    torch.testing.assert_close(jacobian, numeric, atol=4e-2, rtol=1e-2)
    assert "attitude" in {term.name for term in energy.terms(x, targets)}
