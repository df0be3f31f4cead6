"""Both spaces of poses: their change of measure, and that they describe the same rotations."""

import math

import pytest
import torch

from kinflow.priors.coordinates import FIBRE_STD, SPACES
from kinflow.priors.pose_space import log_normal, matrix_to_rotvec, rotvec_to_matrix

NAMES = tuple(SPACES)


def some_rotvec(n: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.8 * torch.randn(n, 57, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
def test_points_decode_to_their_pose_wherever_on_the_fibre(name):
    space, rotvec = SPACES[name], some_rotvec()
    R_free = rotvec_to_matrix(rotvec.unflatten(-1, (19, 3)))
    points, _ = space.lift(rotvec, torch.Generator().manual_seed(1))
    for x in (points, space.from_matrix(R_free)):
        torch.testing.assert_close(space.to_matrix(x), R_free, atol=1e-9, rtol=0)


def test_volume_of_the_lift_is_that_of_autograd():
    """For one joint at a time: |∂x / ∂(rotvec, a, b, t)| against the weight without log q."""
    space, rotvec = SPACES["sixd"], some_rotvec(1)[0]
    _, weight = space.lift(rotvec, torch.Generator().manual_seed(2))
    unit = torch.randn(19, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    log_q = log_normal(unit.flatten()) - 57 * math.log(FIBRE_STD)

    def columns(values: torch.Tensor) -> torch.Tensor:
        b1, b2, _ = rotvec_to_matrix(values[:3]).unbind(-1)
        a, b, t = values[3:].unbind()
        return torch.cat([a.exp() * b1, t * b1 + b.exp() * b2])

    volume = torch.tensor(0.0, dtype=torch.float64)
    for joint in range(19):
        values = torch.cat([rotvec.view(19, 3)[joint], FIBRE_STD * unit[joint]])
        jacobian = torch.autograd.functional.jacobian(columns, values)
        volume = volume + torch.linalg.slogdet(jacobian)[1]
    torch.testing.assert_close(weight, volume - log_q, atol=1e-8, rtol=0)


def test_densities_in_6d_integrate_over_the_fibre():
    """A density of points that is the lift of a known density of poses gives that one back."""
    space, rotvec = SPACES["sixd"], some_rotvec()

    def lifted_density(x: torch.Tensor) -> torch.Tensor:
        columns = x.unflatten(-1, (19, 3, 2))
        R = space.to_matrix(x)
        v = matrix_to_rotvec(R)
        along = (columns[..., 0] * R[..., 0]).sum(-1).log()
        shear = (columns[..., 1] * R[..., 0]).sum(-1)
        across = (columns[..., 1] * R[..., 1]).sum(-1).log()
        unit = torch.stack([along, across, shear], -1) / FIBRE_STD
        log_q = log_normal(unit.flatten(-2)) - 57 * math.log(FIBRE_STD)
        theta2 = v.square().sum(-1)
        log_haar = (2 * (1 - theta2.sqrt().cos()) / theta2).log()
        return log_normal(v.flatten(-2)) + log_q - (3 * along + 2 * across + log_haar).sum(-1)

    torch.testing.assert_close(
        space.log_prob(lifted_density, rotvec), log_normal(rotvec), atol=1e-8, rtol=0
    )
