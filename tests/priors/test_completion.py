import pytest
import torch
from test_priors import KEPT, make_prior

from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX, JOINT_NAMES
from kinflow.errors import InputError
from kinflow.priors.average_adult import joint_positions_m, joint_positions_with_jacobian_m
from kinflow.priors.completion import complete, project, reach
from kinflow.priors.pose_space import matrix_to_rotvec, rotvec_to_matrix


def angle(R_a, R_b):
    return matrix_to_rotvec(R_a @ R_b.mT).norm(dim=-1)


def test_known_joints_are_kept_and_hidden_ones_follow_a_gaussian_conditional():
    prior = make_prior("gaussian", torch.float32)
    truth = prior.decode(0.5 * torch.randn(4, KEPT, generator=torch.Generator().manual_seed(0)))
    known = torch.tensor(["left" not in JOINT_NAMES[joint] for joint in FREE_JOINTS])
    garbage = truth.clone()
    garbage[:, ~known] = torch.eye(3)
    # 11 latents are determined by the 33 known numbers, so the hidden joints follow exactly.
    completed = complete(prior, garbage, known, sigma_rad=1e-3, iterations=60).R_free[:, 0]
    assert angle(completed, truth)[:, known].max() < 5e-3
    assert angle(completed, truth)[:, ~known].max() < 5e-2


def test_alternatives_agree_where_it_is_known_and_differ_where_it_is_not():
    prior = make_prior("realnvp")
    R_free = prior.sample(3, torch.Generator().manual_seed(1))
    known = torch.zeros(19, dtype=torch.bool)
    known[:2] = True  # six numbers, fewer than there are latents
    generator = torch.Generator().manual_seed(0)
    many = complete(prior, R_free, known, num_samples=3, generator=generator)
    assert many.R_free.shape == (3, 4, 19, 3, 3)
    alone = complete(prior, R_free, known).z[:, 0]
    torch.testing.assert_close(many.z[:, 0], alone, atol=1e-3, rtol=0)
    disagreement = angle(many.R_free[:, 1:], many.R_free[:, :1])
    assert disagreement[..., known].mean() < 0.1 < disagreement[..., ~known].mean()


def test_samples_of_a_gaussian_completion_have_the_posterior_spread():
    """Nothing known: solutions are samples of the prior itself."""
    prior = make_prior("gaussian")
    R_free = torch.eye(3).expand(1, 19, 3, 3)
    nothing = torch.zeros(19, dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    z = complete(prior, R_free, nothing, num_samples=600, generator=generator).z[0, 1:]
    torch.testing.assert_close(torch.cov(z.T), torch.eye(KEPT), atol=0.25, rtol=0)


def test_nothing_known_gives_the_mode():
    prior = make_prior("realnvp")
    R_free = prior.sample(2, torch.Generator().manual_seed(1))
    result = complete(prior, R_free, torch.zeros(19, dtype=torch.bool))
    assert result.z.abs().max() < 1e-6


def test_the_method_keeps_known_joints_and_any_batch_axes():
    prior = make_prior("realnvp")
    R_free = prior.sample(4, torch.Generator().manual_seed(1)).unflatten(0, (2, 2))
    names = [JOINT_NAMES[joint] for joint in FREE_JOINTS]
    completed = prior.complete(R_free, known_joints=names[:5])
    assert torch.equal(completed[..., :5, :, :], R_free[..., :5, :, :])
    assert angle(completed, R_free)[..., 5:].max() > 0.05
    one = prior.complete(R_free[0, 1], known_joints=names[:5])
    torch.testing.assert_close(one, completed[0, 1], atol=1e-4, rtol=0)
    assert prior.project(R_free[0, 0]).shape == (19, 3, 3)


def test_unknown_joint_names_are_refused():
    prior = make_prior("gaussian")
    with pytest.raises(InputError, match="pelvis, tail: not a joint"):
        prior.complete(prior.sample(1), known_joints=["tail", "pelvis", "left_knee"])


def test_projection_reduces_noise():
    prior = make_prior("realnvp")
    truth = prior.sample(16, torch.Generator().manual_seed(2))
    torch.manual_seed(4)
    noise = rotvec_to_matrix(0.2 * torch.randn(16, 19, 3))
    cleaned = project(prior, noise @ truth, sigma_rad=0.2)
    assert angle(cleaned, truth).mean() < 0.7 * angle(noise @ truth, truth).mean()


def test_derivatives_of_positions():
    prior = make_prior("realnvp")
    z = torch.randn(2, KEPT, generator=torch.Generator().manual_seed(0))
    positions_m, jacobian = joint_positions_with_jacobian_m(*prior.decode_with_jacobian(z))
    torch.testing.assert_close(positions_m, joint_positions_m(prior.decode(z)))
    step = 1e-2
    for k in range(KEPT):
        dz = step * torch.eye(KEPT)[k]
        ahead, behind = (joint_positions_m(prior.decode(z + s * dz)) for s in (1, -1))
        numeric = (ahead - behind) / (2 * step)
        torch.testing.assert_close(jacobian[..., k], numeric, atol=1e-3, rtol=1e-2)
    assert jacobian.abs().max() > 0.05


def test_a_pose_reaches_for_positions():
    prior = make_prior("realnvp")
    truth = prior.sample(3, torch.Generator().manual_seed(1))
    names = ("left_wrist", "head")
    result = reach(prior, truth, names, sigma_m=1e-3, num_samples=2, iterations=60)
    assert result.R_free.shape == (3, 3, 19, 3, 3)
    error_m = (joint_positions_m(result.R_free) - joint_positions_m(truth)[:, None]).norm(dim=-1)
    index = [JOINT_INDEX[name] for name in names]
    assert error_m[..., index].max() < 5e-3
    assert error_m[..., JOINT_INDEX["right_ankle"]].min() > 5e-3
