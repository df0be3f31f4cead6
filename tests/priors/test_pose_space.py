import math

import pytest
import roma
import torch

from kinflow.priors.pose_space import (
    MIRROR_FREE,
    log_haar_volume,
    matrix_to_rotvec,
    mirror_rotvec,
    rotvec_to_matrix,
    rotvec_to_matrix_and_jacobian,
)
from kinflow.training.priors.whitening import whitening_of, with_mirror_images

ANGLES = [0.0, 1e-12, 1e-9, 1e-4, 0.1, 1.0, 3.0, math.pi - 1e-7]


def rotvec_of(angle: float) -> torch.Tensor:
    axis = torch.tensor([[2.0, -1.0, 2.0], [0.0, 0.6, -0.8]], dtype=torch.float64)
    return angle * axis / axis.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize("angle", ANGLES)
def test_exponential_map_and_its_inverse(angle):
    v = rotvec_of(angle)
    torch.testing.assert_close(rotvec_to_matrix(v), roma.rotvec_to_rotmat(v), atol=1e-12, rtol=0)
    torch.testing.assert_close(matrix_to_rotvec(rotvec_to_matrix(v)), v, atol=1e-9, rtol=0)


def test_logarithm_of_random_rotations():
    torch.manual_seed(0)
    R = roma.random_rotmat(2000, dtype=torch.float64)
    v = matrix_to_rotvec(R)
    torch.testing.assert_close(rotvec_to_matrix(v), R, atol=1e-9, rtol=0)
    assert v.norm(dim=-1).max() <= math.pi
    torch.testing.assert_close(v, roma.rotmat_to_rotvec(R), atol=1e-9, rtol=0)


def test_gradient_of_the_logarithm():
    R = roma.random_rotmat(5, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(matrix_to_rotvec, R)
    eye = torch.eye(3).expand(2, 3, 3).clone().requires_grad_()
    matrix_to_rotvec(eye).sum().backward()
    assert eye.grad is not None and eye.grad.isfinite().all()


@pytest.mark.parametrize("angle", ANGLES)
def test_left_jacobian(angle):
    v = rotvec_of(angle)
    R, jacobian = rotvec_to_matrix_and_jacobian(v)
    step = 1e-6
    for i, e in enumerate(torch.eye(3, dtype=torch.float64)):
        forward, backward = rotvec_to_matrix(v + step * e), rotvec_to_matrix(v - step * e)
        numeric = matrix_to_rotvec(forward @ backward.mT) / (2 * step)
        torch.testing.assert_close(jacobian[..., i], numeric, atol=1e-8, rtol=0)
    log_det = torch.linalg.slogdet(jacobian)[1]
    torch.testing.assert_close(log_haar_volume(v), log_det.sum(), atol=1e-10, rtol=0)


def test_gradient_of_the_exponential_map_is_finite_at_zero():
    v = torch.zeros(2, 3, requires_grad=True)
    rotvec_to_matrix(v).sum().backward()
    assert v.grad is not None and v.grad.isfinite().all()


def test_mirroring_is_an_involution_that_swaps_sides():
    v = torch.randn(4, 19, 3)
    assert torch.equal(mirror_rotvec(mirror_rotvec(v)), v)
    assert sorted(MIRROR_FREE) == list(range(19))
    # Conjugating the rotation with the reflection x -> -x is the same thing.
    S = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))
    expected = S @ rotvec_to_matrix(v)[..., MIRROR_FREE, :, :] @ S
    torch.testing.assert_close(rotvec_to_matrix(mirror_rotvec(v)), expected, atol=1e-5, rtol=0)


def test_whitening_whitens_and_is_mirror_symmetric():
    torch.manual_seed(0)
    x = 0.3 * torch.randn(4000, 19, 3)
    x[:, 10:12] = 0.0  # collars that never move
    x, noise_rad = x.flatten(1), 0.02
    both, weights = with_mirror_images(x, torch.ones(len(x)))
    whitening = whitening_of(both, weights, noise_rad, math.radians(0.6))
    y = whitening.whiten(both + noise_rad * torch.randn_like(both))
    torch.testing.assert_close(torch.cov(y.T), torch.eye(57), atol=0.06, rtol=0)
    mean = whitening.mean.unflatten(0, (-1, 3))
    torch.testing.assert_close(mirror_rotvec(mean), mean, atol=1e-6, rtol=0)
    assert whitening.num_kept == 57 - 6
    kept = y[:5, : whitening.num_kept]
    x_again = whitening.mean + kept @ whitening.unwhitening
    torch.testing.assert_close(
        whitening.whiten(x_again)[:, : whitening.num_kept], kept, atol=1e-4, rtol=0
    )
