"""The trunk term: its Jacobian, and what it does to leans that are seen and that are not."""

import math
from dataclasses import replace

import pytest
import torch
from test_keypoint_model import make_targets, numeric_jacobian, random_unknowns

from kinflow.body.keypoints import COCO17, COCO17_ROWS
from kinflow.energy.body_energy import Energy, EnergyConfig
from kinflow.energy.ground import TrunkTarget
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.fitting.multistart import run
from kinflow.fitting.starts import R_CAM_UPRIGHT, hip_origin, resting, trunk_weights
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.optim import LMConfig

UP = torch.tensor([[0.0, -1.0, 0.0]])


@pytest.fixture(scope="module")
def energy(joints_body, prior, shape_prior) -> Energy:
    model = KeypointModel(joints_body, prior, shape_prior, COCO17_ROWS)
    return Energy(model, hip_origin(COCO17), EnergyConfig())


def trunk(std_deg: float, people: int = 1) -> TrunkTarget:
    inverse_std = torch.full((people,), 1 / math.radians(std_deg))
    return TrunkTarget(UP.expand(people, 3), inverse_std, trunk_weights(COCO17))


def lean_deg(energy, unknowns) -> torch.Tensor:
    points = energy.model.evaluate(unknowns, with_jacobian=False).keypoints_cam_m
    along = torch.nn.functional.normalize(trunk_weights(COCO17) @ points, dim=-1)
    return torch.rad2deg((along @ UP[0]).acos())


def leaning(energy, degrees: float, axis: int):
    """The central pose, turned about an axis of the camera: 0 is towards it, 2 to the side."""
    body = resting(energy.model, 1, torch.device("cpu"))
    turn = torch.zeros(1, 3)
    turn[0, axis] = math.radians(degrees)
    R = rotvec_to_matrix(turn) @ R_CAM_UPRIGHT
    return replace(body, R_cam_root=R, t_cam_root_m=torch.tensor([[0.0, 0.0, 4.0]]))


def seen(energy, body):
    """Its keypoints from far away, where a lean along the line of sight hardly shows."""
    targets = replace(make_targets(energy, body, 0.0), hint=None)
    return replace(targets, inverse_std_px=torch.full((1, 17), 0.2))


def fitted(energy, targets, start):
    return run(energy, targets, start, LMConfig(max_iterations=20)).state


def test_the_term_is_one_of_the_energy(energy, prior):
    x = random_unknowns(prior, 2, seed=2)
    targets = make_targets(energy, random_unknowns(prior, 2, seed=3), 20.0)
    targets = replace(targets, trunk=trunk(10.0, people=2))
    residual, jacobian = energy.linearise(x, targets)
    torch.testing.assert_close(residual, energy.residuals(x, targets))
    numeric = numeric_jacobian(
        lambda x, rows: energy.residuals(x, targets[rows]), x, energy.layout.size
    )
    torch.testing.assert_close(jacobian, numeric, atol=4e-2, rtol=1e-2)
    assert "trunk" in {term.name for term in energy.terms(x, targets)}


def test_a_trunk_whose_lean_nothing_tells_is_upright(energy):
    start = leaning(energy, 25.0, axis=0)
    targets = replace(seen(energy, start), inverse_std_px=torch.zeros(1, 17), trunk=trunk(5.0))
    assert lean_deg(energy, start) > 20
    assert lean_deg(energy, fitted(energy, targets, start)) < 2


def test_a_lean_that_is_seen_stays(energy):
    """Across the image keypoints tell it, and no habit speaks against what is seen."""
    start = leaning(energy, 40.0, axis=2)
    targets = replace(seen(energy, start), trunk=trunk(5.0))
    assert lean_deg(energy, fitted(energy, targets, start)) > 35


def test_who_may_lean_as_they_like_does(energy):
    start = leaning(energy, 25.0, axis=0)
    targets = seen(energy, start)
    free = replace(trunk(5.0), inverse_std=torch.zeros(1))
    with_term = fitted(energy, replace(targets, trunk=free), start)
    without = fitted(energy, targets, start)
    torch.testing.assert_close(with_term.R_cam_root, without.R_cam_root, atol=1e-4, rtol=1e-4)
