"""Jacobians of the forward model and of every energy term against finite differences."""

from dataclasses import replace

import pytest
import torch

from kinflow.body.keypoints import COCO17, COCO17_ROWS
from kinflow.energy.body_energy import Energy, EnergyConfig, Targets
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.rough_points import RoughPoints
from kinflow.energy.unknowns import Unknowns
from kinflow.fitting.starts import hip_origin
from kinflow.geometry.rotations import rotvec_to_matrix


def random_unknowns(prior, count: int, seed: int = 0) -> Unknowns:
    generator = torch.Generator().manual_seed(seed)
    t = torch.randn(count, 3, generator=generator) * 0.3 + torch.tensor([0.0, 0.0, 4.0])
    return Unknowns(
        rotvec_to_matrix(torch.randn(count, 3, generator=generator)),
        t,
        torch.randn(count, prior.latent_dim, generator=generator),
        torch.randn(count, 6, generator=generator),
        0.2 * torch.randn(count, generator=generator),
    )


@pytest.fixture(scope="module", params=[False, True], ids=["keypoints", "with_joints"])
def model(request, joints_body, prior, shape_prior) -> KeypointModel:
    return KeypointModel(joints_body, prior, shape_prior, COCO17_ROWS, with_joints=request.param)


def test_points_agree_with_the_body_model(model, prior):
    x = random_unknowns(prior, 3)
    posed = model.posed(x)
    expected = posed.keypoints_m()[:, list(COCO17_ROWS)]
    if model.num_points > 17:
        expected = torch.cat([expected, posed.joints_m], 1)
    points = model.evaluate(x, with_jacobian=False).keypoints_cam_m
    torch.testing.assert_close(points, expected, atol=2e-6, rtol=0)


def numeric_jacobian(function, x: Unknowns, unknowns: int, h: float = 1e-3) -> torch.Tensor:
    """Central differences of `function(unknowns, rows)` along every local step, in one batch."""
    count = len(x.z)
    rows = torch.arange(count).repeat_interleave(unknowns)
    steps = h * torch.eye(unknowns).repeat(count, 1)
    difference = function(x[rows].step(steps), rows) - function(x[rows].step(-steps), rows)
    return (difference / (2 * h)).unflatten(0, (count, unknowns)).movedim(1, -1)


def test_jacobian_matches_finite_differences(model, prior):
    x = random_unknowns(prior, 2, seed=1)
    numeric = numeric_jacobian(
        lambda x, rows: model.evaluate(x, with_jacobian=False).keypoints_cam_m,
        x,
        model.layout.size,
    )
    torch.testing.assert_close(model.evaluate(x).jacobian, numeric, atol=2e-3, rtol=1e-2)


@pytest.fixture(scope="module", params=[0.0, 0.3], ids=["focal_known", "focal_estimated"])
def energy(request, joints_body, prior, shape_prior) -> Energy:
    model = KeypointModel(joints_body, prior, shape_prior, COCO17_ROWS)
    config = EnergyConfig(prior_weight=0.7, focal_log_std=request.param)
    return Energy(model, hip_origin(COCO17), config)


def make_targets(energy, truth: Unknowns, noise_px: float, noise_m: float = 0.05) -> Targets:
    points = energy.model.evaluate(truth, with_jacobian=False).keypoints_cam_m
    count = len(points)
    generator = torch.Generator().manual_seed(5)
    focal = 900 * (truth.log_focal.exp() if energy.layout.has_focal else torch.ones(count))
    px = focal[:, None, None] * points[..., :2] / points[..., 2:] + 300
    hint = points - points[:, [11, 12]].mean(1, keepdim=True)
    return Targets(
        focal_px=torch.full((count,), 900.0),
        principal_px=torch.full((count, 2), 300.0),
        observed_px=px + noise_px * torch.randn(px.shape, generator=generator),
        inverse_std_px=torch.rand(count, 17, generator=generator) / 4,
        hint=RoughPoints.of(
            hint + noise_m * torch.randn(hint.shape, generator=generator),
            torch.full_like(hint, 12.0),
            scale_std=0.2,
            tilt_std_deg=10.0,
        ),
    )


def test_residual_jacobian_matches_finite_differences(energy, prior):
    x = random_unknowns(prior, 2, seed=2)
    targets = make_targets(energy, random_unknowns(prior, 2, seed=3), 20.0)
    residual, jacobian = energy.linearise(x, targets)
    torch.testing.assert_close(residual, energy.residuals(x, targets))
    numeric = numeric_jacobian(
        lambda x, rows: energy.residuals(x, targets[rows]), x, energy.layout.size
    )
    torch.testing.assert_close(jacobian, numeric, atol=4e-2, rtol=1e-2)


def test_terms_vanish_at_the_truth_and_outliers_saturate(energy, prior):
    truth = random_unknowns(prior, 2, seed=4)
    targets = make_targets(energy, truth, 0.0)
    by_name = {t.name: t for t in energy.terms(truth, targets)}
    assert by_name["keypoints"].energy().max() < 1e-6
    moved = targets.observed_px.clone()
    moved[:, 0] += 1e5
    outlier = replace(targets, observed_px=moved, inverse_std_px=torch.ones(2, 17))
    cost = {t.name: t for t in energy.terms(truth, outlier)}["keypoints"].energy()
    assert (cost <= 0.5 * energy.config.keypoint_cutoff**2 * 1.001).all()
    assert (cost >= 0.49 * energy.config.keypoint_cutoff**2).all()


def test_masked_keypoints_do_not_matter(energy, prior):
    x = random_unknowns(prior, 2, seed=2)
    targets = make_targets(energy, random_unknowns(prior, 2, seed=3), 5.0)
    weights = targets.inverse_std_px.clone()
    weights[:, 13:] = 0
    hidden = replace(targets, inverse_std_px=weights)
    garbage = hidden.observed_px.clone()
    garbage[:, 13:] = 1e4
    torch.testing.assert_close(
        energy.residuals(x, hidden), energy.residuals(x, replace(hidden, observed_px=garbage))
    )


@pytest.mark.parametrize("columns", [-1, 2])
def test_steps_of_another_size_are_refused(model, prior, columns):
    x = random_unknowns(prior, 2)
    with pytest.raises(ValueError, match="columns"):
        x.step(torch.zeros(2, model.layout.size + columns))
