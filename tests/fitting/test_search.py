"""The optimiser and the starts, apart from photos."""

from dataclasses import replace

import torch

from kinflow.body.keypoints import COCO17
from kinflow.energy.body_energy import Targets
from kinflow.fitting.multistart import run
from kinflow.fitting.solver import FitConfig, PersonFitter
from kinflow.fitting.starts import (
    BONES,
    estimate_depth_m,
    image_roll_rad,
    resting,
)
from kinflow.geometry.rotations import nearest_rotation, rotvec_to_matrix
from kinflow.optim import DenseModel, LMConfig, minimise
from kinflow.priors.shape import ShapePrior


def person_fitter(joints_body, prior) -> PersonFitter:
    return PersonFitter(joints_body, prior, ShapePrior(), COCO17, FitConfig())


def observe(fitter: PersonFitter, unknowns) -> Targets:
    points = fitter.model.evaluate(unknowns, with_jacobian=False).keypoints_cam_m
    count = len(points)
    return Targets(
        focal_px=torch.full((count,), 1000.0),
        principal_px=torch.zeros(count, 2),
        observed_px=1000 * points[..., :2] / points[..., 2:],
        inverse_std_px=torch.full((count, 17), 0.5),
    )


def test_a_linear_problem_is_solved_in_few_steps(joints_body, prior):
    """With only the latents active the energy is a parabola; its minimum is known."""
    fitter = person_fitter(joints_body, prior)
    x = resting(fitter.model, 4, "cpu")
    goal = torch.randn(4, prior.latent_dim, generator=torch.Generator().manual_seed(0))

    def linearise(x, rows):
        r = x.z - goal[rows]
        J = torch.eye(prior.latent_dim).expand(len(rows), -1, -1)
        return DenseModel.of(r, fitter.model.layout.columns(latent=J))

    result = minimise(x, linearise, LMConfig(max_step=100.0))
    torch.testing.assert_close(result.state.z, goal, atol=1e-3, rtol=0)
    assert result.converged.all() and result.iterations < 10


def test_energy_never_rises_and_rows_are_independent(joints_body, prior):
    fitter = person_fitter(joints_body, prior)
    truth = resting(fitter.model, 1, "cpu")
    truth = replace(truth, t_cam_root_m=torch.tensor([[0.1, 0.2, 4.0]]))
    targets = observe(fitter, truth)
    start = fitter.gallery.starts(targets, COCO17, sectors=4, per_sector=1)
    rows = targets[torch.zeros(4, dtype=torch.long)]
    before = 0.5 * fitter.energy.residuals(start, rows).square().sum(1)
    result = run(fitter.energy, rows, start, LMConfig(max_iterations=3))
    assert (result.energy <= before).all()
    single = run(fitter.energy, targets, start[2:3], LMConfig(max_iterations=3))
    torch.testing.assert_close(single.energy, result.energy[2:3], rtol=1e-2, atol=0.1)


def test_depth_estimate_scales_with_distance(joints_body, prior):
    fitter = person_fitter(joints_body, prior)
    rest = resting(fitter.model, 1, "cpu")
    R = torch.diag(torch.tensor([1.0, -1.0, -1.0]))[None]
    depths = []
    for z in (3.0, 6.0):
        unknowns = replace(rest, R_cam_root=R, t_cam_root_m=torch.tensor([[0.0, 0.0, z]]))
        targets = observe(fitter, unknowns)
        points = fitter.model.evaluate(rest, with_jacobian=False).keypoints_cam_m[0]
        depth = estimate_depth_m(
            targets.observed_px, targets.inverse_std_px, points, targets.focal_px, COCO17
        )
        depths.append(float(depth))
        assert abs(depths[-1] / z - 1) < 0.15
    assert abs(depths[1] / depths[0] - 2) < 0.15


def test_roll_follows_the_trunk():
    points = torch.zeros(1, 17, 2)
    for name, x, y in (
        ("left_shoulder", 20.0, -100.0),
        ("right_shoulder", -20.0, -100.0),
        ("left_hip", 15.0, 0.0),
        ("right_hip", -15.0, 0.0),
    ):
        points[0, COCO17.index(name)] = torch.tensor([x, y])
    visible = torch.ones(1, 17)
    assert abs(float(image_roll_rad(points, visible, COCO17))) < 1e-6
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]])  # clockwise by 90 degrees in an image
    rolled = image_roll_rad(points @ turn.T, visible, COCO17)
    assert abs(float(rolled) - torch.pi / 2) < 1e-5
    hidden = visible.clone()
    hidden[0, COCO17.index("left_hip")] = 0
    assert float(image_roll_rad(points @ turn.T, hidden, COCO17)) == 0.0


def test_bones_name_keypoints():
    assert {name for pair in BONES for name in pair} <= set(COCO17)


def test_nearest_rotation_recovers_a_rotation():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(5, 9, 3, generator=generator)
    R = rotvec_to_matrix(2 * torch.randn(5, 3, generator=generator))
    moved = points @ R.mT + torch.randn(5, 1, 3, generator=generator)
    torch.testing.assert_close(nearest_rotation(points, moved), R, atol=1e-5, rtol=0)
    flat = points * torch.tensor([1.0, 1.0, 0.0])
    assert torch.linalg.det(nearest_rotation(flat, -flat)).min() > 0.99
