"""The space in which pose priors live: 19 rotation vectors, and their principal components.

A pose of the 19 free joints is a point of R^57 (rotation vectors, radians). Motion capture covers
only some of its directions (knees and elbows are hinges, CMU's collars do not move at all), so
priors work on the principal components that move; `Whitening` holds that change of coordinates.
"""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinflow.body.skeleton import FREE_JOINTS, MIRROR_JOINTS
from kinflow.errors import InputError
from kinflow.files.tensor_files import tensor_of
from kinflow.geometry.rotations import exponential_parts
from kinflow.geometry.rotations import matrix_to_rotvec as matrix_to_rotvec
from kinflow.geometry.rotations import rotvec_to_matrix as rotvec_to_matrix
from kinflow.geometry.rotations import (
    rotvec_to_matrix_and_jacobian as rotvec_to_matrix_and_jacobian,
)

NUM_FREE = len(FREE_JOINTS)
POSE_DIM = 3 * NUM_FREE
_ORTHONORMAL_WITHIN = 1e-3
_LEAST_STD, _FAR = 1e-7, 10.0  # of radians, or of columns of matrices

MIRROR_FREE: tuple[int, ...] = tuple(FREE_JOINTS.index(MIRROR_JOINTS[j]) for j in FREE_JOINTS)
"""Position among the free joints of the joint on the other side of the body."""


def mirror_rotvec(rotvec: Float[Tensor, "*batch 19 3"]) -> Float[Tensor, "*batch 19 3"]:
    """The mirror image of a pose (left and right exchanged); an involution.

    Reflection in the plane x = 0 keeps the x component of a rotation vector and flips the others.
    """
    flip = torch.tensor([1.0, -1.0, -1.0], dtype=rotvec.dtype, device=rotvec.device)
    return rotvec[..., MIRROR_FREE, :] * flip


def log_haar_volume(rotvec: Float[Tensor, "*batch joints 3"]) -> Float[Tensor, "*batch"]:
    """Log of Haar volume per rotation-vector volume, summed over joints.

    The Haar measure is normalised to agree with Lebesgue measure at the identity, so that
    log p_Haar(R) = log p_rotvec(v) − log_haar_volume(v) with det J_l(v) = 2 (1 − cos θ) / θ².
    """
    return torch.log(2.0 * exponential_parts(rotvec)[1][..., 0, 0]).sum(-1)


def log_normal(z: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch"]:
    """Log density of the standard normal distribution."""
    return -0.5 * (z * z).sum(-1) - 0.5 * z.shape[-1] * math.log(2 * math.pi)


class Whitening(nn.Module):
    """Affine map between points and uncorrelated unit-variance coordinates.

    Attributes:
        mean: (dim,) mean; dim is 57 for rotation vectors.
        basis: (dim, dim) orthonormal principal directions in columns, widest first.
        std: (dim,) standard deviation along each, the dequantisation noise included.
        num_kept: how many directions move enough to be modelled; along the others a pose is the
            mean plus Gaussian noise.
    """

    mean: Tensor
    basis: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Float[Tensor, " dim"],
        basis: Float[Tensor, "dim dim"],
        std: Float[Tensor, " dim"],
        num_kept: int,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("basis", basis)
        self.register_buffer("std", std)
        self.num_kept = num_kept

    def whiten(self, points: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """Coordinates along all directions; the first `num_kept` are the modelled ones."""
        return ((points - self.mean) @ self.basis) / self.std

    @property
    def unwhitening(self) -> Float[Tensor, "kept dim"]:
        """Matrix A of point = mean + y A for the kept coordinates y."""
        return (self.basis * self.std)[:, : self.num_kept].mT

    def log_volume(self) -> Float[Tensor, ""]:
        """Log-determinant of `whiten`."""
        return -self.std.double().log().sum().to(self.std.dtype)

    @staticmethod
    def from_state(
        tensors: Mapping[str, Tensor], num_kept: int, dim: int = POSE_DIM
    ) -> "Whitening":
        """Rebuild the map; `InputError` if the tensors are not those of one over `dim` numbers."""
        mean = tensor_of(tensors, "whitening.mean", (dim,))
        basis = tensor_of(tensors, "whitening.basis", (dim, dim))
        std = tensor_of(tensors, "whitening.std", (dim,))
        if not 1 <= num_kept <= dim:
            raise InputError(f"{num_kept} of {dim} directions cannot be kept")
        if not bool(((std > _LEAST_STD) & (std < _FAR)).all()) or bool((mean.abs() > _FAR).any()):
            raise InputError(
                "'whitening.std' or 'whitening.mean' holds values that cannot be right"
            )
        gram = basis.mT @ basis
        if not bool((gram - torch.eye(dim).to(gram)).abs().max() < _ORTHONORMAL_WITHIN):
            raise InputError("the columns of 'whitening.basis' are not orthonormal")
        return Whitening(mean, basis, std, num_kept)
