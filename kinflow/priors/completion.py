"""Using a prior directly: completing hidden limbs, cleaning up noisy poses, reaching for positions.

Each looks for the latent whose pose is likely under the prior and agrees with what is known
(`kinflow.priors.latent_search`): rotations of some joints, the angle to each of them being an error
of σ radians, or positions of some joints of an average adult, with an error of σ metres.
"""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX, JOINT_NAMES
from kinflow.errors import InputError
from kinflow.priors.average_adult import joint_positions_m, joint_positions_with_jacobian_m
from kinflow.priors.interface import PoseDistribution
from kinflow.priors.latent_search import Observation, search
from kinflow.priors.pose_space import NUM_FREE, matrix_to_rotvec


def joint_mask(names: Collection[str]) -> Bool[Tensor, "19"]:
    """Which of the free joints are named; InputError for a name that is not one of theirs."""
    free = [JOINT_NAMES[joint] for joint in FREE_JOINTS]
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise InputError("Known joints are given as names, such as ['left_knee', 'neck'].")
    wrong = sorted(set(names) - set(free))
    if wrong:
        raise InputError(
            f"{', '.join(wrong)}: not a joint of the pose prior; its joints are {', '.join(free)}"
        )
    return torch.tensor([name in names for name in free])


@dataclass(frozen=True)
class Completions:
    """Solutions for each pose: the likeliest one first, then samples of the alternatives.

    Attributes:
        R_free: (N, S, 19, 3, 3) poses; all joints are those of the latent, known ones included.
        z: (N, S, D) their latents.
    """

    R_free: Float[Tensor, "poses solutions 19 3 3"]
    z: Float[Tensor, "poses solutions latent"]


@dataclass(frozen=True)
class _KnownRotations:
    """Rotations of joints; the error's Jacobian is exact to first order in the error."""

    target: Float[Tensor, "rows 19 3 3"]
    weight: Float[Tensor, "19 1"]
    """1 / σ of known joints and 0 of the others."""

    def residual_with_jacobian(
        self, rows: Tensor, R_free: Tensor, omega: Tensor
    ) -> tuple[Tensor, Tensor]:
        error = (matrix_to_rotvec(R_free @ self.target[rows].mT) * self.weight).flatten(-2)
        return error, (omega * self.weight[..., None]).flatten(-3, -2)


@dataclass(frozen=True)
class _KnownPositions:
    """Root-relative positions of joints of an average adult."""

    target_m: Float[Tensor, "rows known 3"]
    joints: Int[Tensor, "known"]
    sigma_m: float

    def residual_with_jacobian(
        self, rows: Tensor, R_free: Tensor, omega: Tensor
    ) -> tuple[Tensor, Tensor]:
        positions_m, d_positions_m = joint_positions_with_jacobian_m(R_free, omega)
        error = (positions_m[:, self.joints] - self.target_m[rows]) / self.sigma_m
        return error.flatten(-2), (d_positions_m[:, self.joints] / self.sigma_m).flatten(-3, -2)


@torch.no_grad()
def complete(
    prior: PoseDistribution,
    R_free: Float[Tensor, "poses 19 3 3"],
    known: Bool[Tensor, "19"],
    sigma_rad: float = 0.05,
    num_samples: int = 0,
    iterations: int = 25,
    generator: torch.Generator | None = None,
) -> Completions:
    """Fill in the joints of poses that are not known.

    Args:
        prior: the prior to complete with.
        R_free: poses; the rotations of joints that are not `known` are ignored.
        known: which of the 19 free joints to trust.
        sigma_rad: how closely to keep to them.
        num_samples: how many alternatives to draw beside the likeliest completion.
    """
    weight = (known.to(R_free) / sigma_rad)[:, None]
    observation = _KnownRotations(R_free.repeat_interleave(1 + num_samples, 0), weight)
    return _solutions(prior, observation, len(R_free), num_samples, iterations, generator)


@torch.no_grad()
def reach(
    prior: PoseDistribution,
    R_free: Float[Tensor, "poses 19 3 3"],
    joints: Collection[str],
    sigma_m: float = 0.01,
    num_samples: int = 0,
    iterations: int = 25,
    generator: torch.Generator | None = None,
) -> Completions:
    """Poses whose named joints lie where those of the given poses do; all else is filled in.

    Positions are relative to an upright pelvis, on the body of an average adult.

    Args:
        prior: the prior to complete with.
        R_free: poses; only the positions of `joints` in them count.
        joints: names out of `kinflow.body.skeleton.JOINT_NAMES`, for example wrists and head.
        sigma_m: how closely to keep to them.
        num_samples: how many alternatives to draw beside the likeliest pose.
    """
    index = torch.tensor([JOINT_INDEX[name] for name in joints])
    target_m = joint_positions_m(R_free)[:, index].repeat_interleave(1 + num_samples, 0)
    observation = _KnownPositions(target_m, index, sigma_m)
    return _solutions(prior, observation, len(R_free), num_samples, iterations, generator)


def _solutions(
    prior: PoseDistribution,
    observation: Observation,
    count: int,
    num_samples: int,
    iterations: int,
    generator: torch.Generator | None,
) -> Completions:
    size = (count, 1 + num_samples, prior.latent_dim)
    centre = torch.randn(size, generator=generator, dtype=torch.float32)
    centre[:, 0] = 0.0
    centre = centre.flatten(0, 1).to(prior.one_of_its_numbers())
    z = search(prior, observation, centre, iterations)
    z = z.unflatten(0, (count, 1 + num_samples))
    return Completions(prior.decode(z), z)


def project(
    prior: PoseDistribution, R_free: Float[Tensor, "poses 19 3 3"], sigma_rad: float = 0.2
) -> Float[Tensor, "poses 19 3 3"]:
    """The likeliest clean pose behind a noisy one, for noise of `sigma_rad` on every joint."""
    known = torch.ones(NUM_FREE, dtype=torch.bool)
    return complete(prior, R_free, known, sigma_rad).R_free[:, 0]
