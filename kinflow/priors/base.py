"""The pose prior that programs use: its density, and what can be done with it.

The mathematics of each family stands on `kinflow.priors.interface` alone, and so do scoring and
completion; here they become methods.
"""

from abc import abstractmethod
from collections.abc import Collection, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.checks import is_number
from kinflow.errors import InputError
from kinflow.priors import completion, scoring
from kinflow.priors.interface import PoseDistribution, PriorInfo
from kinflow.priors.scoring import PoseScore
from kinflow.tensors import finite_tensor, given_tensor

_POSE_AXES = (-1, 19, 3, 3)


def check_sigma(sigma_rad: float) -> float:
    """A standard deviation; InputError unless it is a positive number."""
    if not (is_number(sigma_rad) and sigma_rad > 0):
        raise InputError(f"sigma_rad has to be a number above 0, not {sigma_rad!r}.")
    return float(sigma_rad)


class PosePrior(PoseDistribution):
    """A distribution over poses that scores, cleans up and completes them, and can be stored."""

    def score(self, R_free: Float[Tensor, "*batch 19 3 3"]) -> PoseScore:
        """How plausible poses are: nats, and the percentile among real poses of unseen people."""
        return scoring.score(self, finite_tensor(R_free, "R_free", _POSE_AXES))

    def project(
        self, R_free: Float[Tensor, "*batch 19 3 3"], sigma_rad: float = 0.2
    ) -> Float[Tensor, "*batch 19 3 3"]:
        """The likeliest clean poses behind noisy ones, for noise of `sigma_rad` on every joint."""
        R_free = finite_tensor(R_free, "R_free", _POSE_AXES)
        flat = R_free.reshape(-1, *R_free.shape[-3:])
        return completion.project(self, flat, check_sigma(sigma_rad)).view(R_free.shape)

    def complete(
        self,
        R_free: Float[Tensor, "*batch 19 3 3"],
        known_joints: Collection[str],
        sigma_rad: float = 0.05,
    ) -> Float[Tensor, "*batch 19 3 3"]:
        """Poses in which the joints that are not known are filled in with the likeliest.

        Args:
            R_free: poses; the rotations of other joints than the known ones are ignored.
            known_joints: names out of `kinflow.body.skeleton.JOINT_NAMES`; these stay as they are.
            sigma_rad: how closely the completion keeps to them.

        Raises:
            InputError: a name is not that of a free joint, or a known joint is not finite.
        """
        known = completion.joint_mask(known_joints)
        R_free = given_tensor(R_free, "R_free", _POSE_AXES)
        known = known.to(R_free.device)
        # what is not known may be anything, NaN too
        rest = torch.eye(3).to(R_free).expand_as(R_free)
        R_free = torch.where(known[:, None, None], R_free, rest)
        finite_tensor(R_free, "R_free", _POSE_AXES)
        flat = R_free.reshape(-1, *R_free.shape[-3:])
        completed = completion.complete(self, flat, known, check_sigma(sigma_rad)).R_free[:, 0]
        return torch.where(known[:, None, None], flat, completed).view(R_free.shape)

    @abstractmethod
    def state(self) -> tuple[dict[str, Tensor], Mapping[str, object]]:
        """Tensors and JSON-able settings from which `from_state` rebuilds the prior."""

    @classmethod
    @abstractmethod
    def from_state(
        cls, tensors: dict[str, Tensor], settings: Mapping[str, object], info: PriorInfo
    ) -> "PosePrior":
        """Rebuild a prior from what `state` returned.

        Raises:
            InputError: the tensors or settings are not those of a prior of this family.
        """
