"""Fitting a mixture of Gaussians by expectation–maximisation."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def fit_gmm(
    y: Float[Tensor, "poses latent"],
    num_components: int,
    iterations: int,
    generator: torch.Generator,
    regularisation: float = 1e-2,
) -> tuple[Tensor, Tensor, Tensor]:
    """Expectation–maximisation on whitened poses.

    Args:
        y: training coordinates, dequantisation noise included.
        regularisation: variance added to the diagonal of every covariance; components would
            otherwise collapse on the long recordings of one person.

    Returns:
        Means, Cholesky factors and log weights.
    """
    n, dim = y.shape
    means = y[torch.randperm(n, generator=generator)[:num_components]]
    cholesky = torch.eye(dim).expand(num_components, dim, dim)
    log_weights = torch.full((num_components,), -math.log(num_components))
    for _ in range(iterations):
        standardised = torch.linalg.solve_triangular(
            cholesky, (y[:, None] - means).permute(1, 2, 0), upper=False
        )
        log_det = cholesky.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        log_joint = log_weights - log_det - 0.5 * standardised.square().sum(1).T
        responsibility = log_joint.softmax(-1)
        mass = responsibility.sum(0) + 1e-3
        means = (responsibility.T @ y) / mass[:, None]
        centred = y[:, None] - means
        covariance = torch.einsum("nk,nki,nkj->kij", responsibility, centred, centred)
        covariance = covariance / mass[:, None, None] + regularisation * torch.eye(dim)
        cholesky = torch.linalg.cholesky(covariance)
        log_weights = (mass / mass.sum()).log()
    return means, cholesky, log_weights
