"""Coordinates in which flows describe poses: rotation vectors, or the 6D representation.

Rotation vectors are three numbers a joint, as many as a rotation has degrees of freedom, so that a
flow's density is the density. The 6D representation (Zhou et al. 2019) has the first two columns
of each matrix, made orthonormal by Gram–Schmidt when decoded. Six numbers are three too many: a
rotation is a whole fibre of points, columns (e^a b₁, t b₁ + e^b b₂) for any a, b, t. Training
*lifts* a rotation to a random point of its fibre, a, b, t ~ N(0, σ²), which is dequantisation of
the three surplus dimensions, and densities integrate over the fibre:

    log p(R) ≥ log 1/K Σ_k p(x_k) |∂x / ∂(R, a, b, t)| / N(a_k, b_k, t_k; 0, σ²)

with |∂x / ∂(R, a, b, t)| = e^{3a + 2b} with respect to the Haar measure. The bound is that of
importance sampling (Burda et al. 2016) and tight for large K. Both spaces report densities with
respect to rotation vectors, so that they can be compared.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.priors.gram_schmidt import angular_velocity_of_6d, matrix_from_6d
from kinflow.priors.pose_space import (
    NUM_FREE,
    POSE_DIM,
    log_haar_volume,
    log_normal,
    matrix_to_rotvec,
    rotvec_to_matrix,
    rotvec_to_matrix_and_jacobian,
)

SpaceName = Literal["rotvec", "sixd"]

FIBRE_STD = 0.02
"""Spread along the three surplus dimensions of 6D, that of the dequantisation noise."""
_BOUND_SAMPLES = 32


class Coordinates(ABC):
    """One way to write the 19 free rotations of a pose as a point of R^dim."""

    name: SpaceName
    label: str
    """What weight files call it."""
    dim: int
    bound_samples: int
    """Lifts of a pose over which its density is averaged."""

    @abstractmethod
    def from_matrix(self, R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch dim"]:
        """The point of a pose, without any noise."""

    @abstractmethod
    def to_matrix(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch 19 3 3"]:
        """The pose of a point; differentiable."""

    @abstractmethod
    def to_matrix_and_turning(
        self, x: Float[Tensor, "batch dim"], d_x: Float[Tensor, "batch dim latent"]
    ) -> tuple[Float[Tensor, "batch 19 3 3"], Float[Tensor, "batch 19 3 latent"]]:
        """The pose of a point, and the left angular velocities that go with derivatives of it."""

    @abstractmethod
    def lift(
        self, rotvec: Float[Tensor, "*batch 57"], generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "*batch dim"], Float[Tensor, "*batch"]]:
        """A random point x of each pose and the weight w with log p(rotvec) ≈ log p(x) + w."""

    def log_prob(
        self,
        density: Callable[[Float[Tensor, "*batch dim"]], Float[Tensor, "*batch"]],
        rotvec: Float[Tensor, "*batch 57"],
    ) -> Float[Tensor, "*batch"]:
        """Log density of poses with respect to rotation vectors, from a log density of points."""
        generator = torch.Generator(rotvec.device).manual_seed(0)
        values = []
        for _ in range(self.bound_samples):
            x, weight = self.lift(rotvec, generator)
            values.append(density(x) + weight)
        return torch.stack(values).logsumexp(0) - math.log(len(values))


class RotationVectors(Coordinates):
    """Three numbers a joint."""

    name: SpaceName = "rotvec"
    label = "rotvec-19"
    dim = POSE_DIM
    bound_samples = 1

    def from_matrix(self, R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch dim"]:
        return matrix_to_rotvec(R_free).flatten(-2)

    def to_matrix(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch 19 3 3"]:
        return rotvec_to_matrix(x.unflatten(-1, (NUM_FREE, 3)))

    def to_matrix_and_turning(
        self, x: Float[Tensor, "batch dim"], d_x: Float[Tensor, "batch dim latent"]
    ) -> tuple[Float[Tensor, "batch 19 3 3"], Float[Tensor, "batch 19 3 latent"]]:
        batch, _, latent = d_x.shape
        R_free, J_left = rotvec_to_matrix_and_jacobian(x.view(-1, 3))
        omega = torch.bmm(J_left, d_x.view(-1, 3, latent))
        return R_free.view(batch, NUM_FREE, 3, 3), omega.view(batch, NUM_FREE, 3, latent)

    def lift(
        self, rotvec: Float[Tensor, "*batch 57"], generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "*batch dim"], Float[Tensor, "*batch"]]:
        return rotvec, rotvec.new_zeros(rotvec.shape[:-1])


class SixD(Coordinates):
    """The first two columns of each matrix (Zhou et al. 2019): six numbers a joint."""

    name: SpaceName = "sixd"
    label = "sixd-19"
    dim = 6 * NUM_FREE
    bound_samples = _BOUND_SAMPLES

    def from_matrix(self, R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch dim"]:
        return R_free[..., :2].flatten(-3)

    def to_matrix(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch 19 3 3"]:
        return matrix_from_6d(x.unflatten(-1, (NUM_FREE, 3, 2)))

    def to_matrix_and_turning(
        self, x: Float[Tensor, "batch dim"], d_x: Float[Tensor, "batch dim latent"]
    ) -> tuple[Float[Tensor, "batch 19 3 3"], Float[Tensor, "batch 19 3 latent"]]:
        columns, d_columns = x.unflatten(-1, (NUM_FREE, 3, 2)), d_x.unflatten(1, (NUM_FREE, 3, 2))
        return angular_velocity_of_6d(columns, d_columns)

    def lift(
        self, rotvec: Float[Tensor, "*batch 57"], generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "*batch dim"], Float[Tensor, "*batch"]]:
        joints = rotvec.unflatten(-1, (NUM_FREE, 3))
        b1, b2, _ = rotvec_to_matrix(joints).unbind(-1)
        unit = torch.randn(
            joints.shape, generator=generator, device=rotvec.device, dtype=rotvec.dtype
        )
        a, b, t = (FIBRE_STD * unit)[..., None, :].unbind(-1)
        columns = torch.stack([a.exp() * b1, t * b1 + b.exp() * b2], -1)
        log_volume = (3.0 * a + 2.0 * b)[..., 0].sum(-1)
        log_q = log_normal(unit.flatten(-2)) - POSE_DIM * math.log(FIBRE_STD)
        return columns.flatten(-3), log_volume - log_q + log_haar_volume(joints)


SPACES: dict[SpaceName, Coordinates] = {"rotvec": RotationVectors(), "sixd": SixD()}
