"""The floor: which point of a body touches it, its Jacobian, and how far it pulls."""

from dataclasses import replace

import pytest
import torch
from test_keypoint_model import make_targets, numeric_jacobian, random_unknowns

from kinflow.body.keypoints import COCO17, COCO17_ROWS
from kinflow.energy.body_energy import Energy, EnergyConfig
from kinflow.energy.ground import FloorTarget
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.terms import lowest
from kinflow.fitting.stances import flesh_m
from kinflow.fitting.starts import hip_origin

UP = torch.nn.functional.normalize(torch.tensor([[0.0, -1.0, 0.0], [0.1, -0.9, 0.42]]), dim=-1)


@pytest.fixture(scope="module")
def energy(joints_body, prior, shape_prior) -> Energy:
    model = KeypointModel(joints_body, prior, shape_prior, COCO17_ROWS)
    return Energy(model, hip_origin(COCO17), EnergyConfig(focal_log_std=0.3))


def floor_of(height_m: list[float], std_m: float = 0.06) -> FloorTarget:
    height = torch.tensor(height_m)
    inverse_std = torch.full_like(height, 1 / std_m)
    return FloorTarget(UP, height, inverse_std, flesh_m(COCO17))


def test_the_lowest_point_is_the_one_that_would_touch_the_ground():
    points = torch.tensor([[[0.0, 1.0, 3.0], [0.0, 1.2, 3.0], [0.0, 1.25, 3.0]]])
    height, row = lowest(points, torch.tensor([0.4, 0.1, 0.0]), UP[:1])
    assert row.tolist() == [0] and height.tolist() == pytest.approx([-1.4])
    _, row = lowest(points, torch.tensor([-torch.inf, 0.1, 0.0]), UP[:1])
    assert row.tolist() == [1], "who touches no floor is left out"


@pytest.mark.parametrize("height_m", [[-0.6, -0.9], [-3.0, 2.0]])
def test_the_jacobian_matches_finite_differences(energy, prior, height_m):
    x = random_unknowns(prior, 2, seed=4)
    targets = make_targets(energy, random_unknowns(prior, 2, seed=5), 20.0)
    targets = replace(targets, floor=floor_of(height_m))

    def of_floor(x, rows):
        terms = energy.terms(x, targets[rows])
        return next(term.residual for term in terms if term.name == "floor")

    (term,) = (t for t in energy.terms(x, targets, with_jacobian=True) if t.name == "floor")
    numeric = numeric_jacobian(of_floor, x, energy.layout.size)
    assert numeric.abs().max() > 0.02
    torch.testing.assert_close(term.jacobian, numeric, atol=4e-2, rtol=2e-2)


def test_a_body_on_the_floor_costs_nothing_and_one_far_from_it_a_bounded_amount(energy, prior):
    x = random_unknowns(prior, 2, seed=4)
    points = energy.model.evaluate(x, with_jacobian=False).keypoints_cam_m
    height, _ = lowest(points, flesh_m(COCO17), UP)
    targets = make_targets(energy, x, 20.0)

    def cost(above_m: float) -> torch.Tensor:
        floor = replace(floor_of([0.0, 0.0]), height_m=height - above_m)
        terms = energy.terms(x, replace(targets, floor=floor))
        return next(term.energy() for term in terms if term.name == "floor")

    assert cost(0.0).max() < 1e-6
    assert (cost(0.1) > cost(0.0) + 1).all() and (cost(0.5) > cost(0.1)).all()
    assert cost(50.0).max() < 0.5 * energy.config.floor_cutoff**2 + 1e-3
