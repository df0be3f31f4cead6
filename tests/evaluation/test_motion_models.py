"""Simple models of motion: each is right about the motion that it is for."""

import torch

from kinflow.evaluation.motion_models import (
    GaussianSteps,
    autoregression,
    going_on,
    rolled_out,
    staying,
)
from kinflow.evaluation.posed_motion import PosedMotion, going_on_turning, interpolated
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.priors.dynamics import LatentMotion
from kinflow.priors.dynamics.state import contexts, steps

DT_S = 1 / 30


def steady(frames: int) -> LatentMotion:
    """One who turns and goes on at constant velocity in their own frame."""
    t = torch.arange(frames, dtype=torch.float32)[None]
    z = torch.stack([0.1 * t, -0.05 * t], -1)
    R = rotvec_to_matrix(t[..., None] * torch.tensor([0.0, 0.02, 0.0]))
    root_m = t[..., None] * torch.tensor([0.0, 0.01, 0.0])
    return LatentMotion(z, R, root_m)


def test_constant_velocity_is_right_about_who_goes_on():
    motion = steady(12)
    found = rolled_out(going_on(2, DT_S), motion.frames(0, 2), 10, DT_S)
    torch.testing.assert_close(found.z, motion.z[:, 2:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.R_root, motion.R_root[:, 2:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.root_m, motion.root_m[:, 2:], atol=1e-5, rtol=1e-5)
    stays = rolled_out(staying(2), motion.frames(0, 2), 10, DT_S)
    torch.testing.assert_close(stays.root_m, motion.root_m[:, 1:2].expand(1, 10, 3))


def test_an_autoregression_finds_the_linear_law():
    generator = torch.Generator().manual_seed(0)
    context = torch.randn(500, 13, generator=generator)
    law = torch.randn(13, 8, generator=generator)
    found = autoregression(context, context @ law + 0.5)
    new = torch.randn(50, 13, generator=generator)
    torch.testing.assert_close(found(new), new @ law + 0.5, atol=1e-2, rtol=1e-3)


def test_a_gaussian_has_the_covariance_of_what_is_left_and_noise():
    generator = torch.Generator().manual_seed(0)
    context = torch.zeros(20_000, 13)
    root = torch.eye(8) + 0.3 * torch.randn(8, 8, generator=generator).tril(-1)
    x = torch.randn(20_000, 8, generator=generator) @ root.mT
    noise = torch.full((8,), 0.5)
    model = GaussianSteps.about(lambda q: torch.zeros(len(q), 8), context, x, noise)
    true = torch.distributions.MultivariateNormal(
        torch.zeros(8), root @ root.mT + 0.25 * torch.eye(8)
    )
    torch.testing.assert_close(
        model.log_prob(x[:20], context[:20]).float(), true.log_prob(x[:20]), atol=0.1, rtol=0.01
    )


def test_joints_go_on_turning_and_are_interpolated(prior):
    motion = steady(6)
    R_free = rotvec_to_matrix(
        torch.arange(6.0)[:, None, None] * torch.tensor([0.05, 0.0, 0.0]).expand(19, 3)
    )
    posed = PosedMotion(torch.cat([motion.R_root[..., None, :, :], R_free[None]], 2), motion.root_m)
    for found in (
        going_on_turning(posed.frames(0, 2), torch.tensor([1.0, 2.0, 3.0])),
        interpolated(posed.frames(1, 2), posed.frames(5, 6), 3),
    ):
        torch.testing.assert_close(found.R, posed.R[:, 2:5], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found.root_m, posed.root_m[:, 2:5], atol=1e-5, rtol=1e-5)


def test_joints_of_the_world_are_those_of_the_pose(prior):
    generator = torch.Generator().manual_seed(0)
    z = 0.5 * torch.randn(1, 2, prior.latent_dim, generator=generator)
    R = rotvec_to_matrix(torch.randn(1, 2, 3, generator=generator))
    root_m = torch.randn(1, 2, 3, generator=generator)
    posed = PosedMotion.of(LatentMotion(z, R, root_m), prior)
    R_joints, joints = posed.joints()
    torch.testing.assert_close(joints[:, :, 0], root_m)
    q = posed.quaternions()
    torch.testing.assert_close(q.norm(dim=-1), torch.ones(1, 2, 22))
    cosine = (R_joints.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    torch.testing.assert_close(2 * q[..., 0].square() - 1, cosine, atol=1e-4, rtol=0)


def test_steps_of_the_simple_models_have_their_shape():
    motion = steady(3)
    dt = torch.tensor([DT_S])
    context, x = contexts(motion.frames(0, 2), dt)[0], steps(motion.frames(1), dt)[0]
    assert staying(2)(context).shape == going_on(2, DT_S)(context).shape == x.shape
