"""The stream of training poses: balanced over subjects, mirrored, recombined, dequantised.

Motion capture has few subjects, each doing a few things, so a density that learns it too well fails
on the next subject. What widens it, in order of measured gain on unseen subjects:

- recombination: legs of one pose under the upper body of another, and single arms, heads, ankles
  and wrists exchanged, which leaves each limb natural and frees their combinations;
- subjects drawn with probability ∝ √frames, so that the long recordings of a few do not dominate;
- mirroring.

Hinges in CMU's data are exactly one-dimensional, so every pose also gets a little noise: without
it, likelihoods are meaningless.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.skeleton import FREE_JOINTS, JOINT_NAMES
from kinflow.checks import not_negative, number, share
from kinflow.datasets.poses import PoseSet
from kinflow.priors.pose_space import mirror_rotvec

_FREE_NAMES = tuple(JOINT_NAMES[joint] for joint in FREE_JOINTS)


def _mask(*suffixes: str) -> Tensor:
    return torch.tensor([name.endswith(suffixes) for name in _FREE_NAMES])[:, None]


LEGS = _mask("_hip", "_knee", "_ankle")
EXCHANGED_LIMBS = (
    _mask("left_collar", "left_shoulder", "left_elbow", "left_wrist"),
    _mask("right_collar", "right_shoulder", "right_elbow", "right_wrist"),
    _mask("neck", "head"),
    _mask("_ankle"),
    _mask("_wrist"),
)


@dataclass(frozen=True)
class StreamConfig:
    """How training poses are drawn.

    Attributes:
        noise_rad: standard deviation of the dequantisation noise, radians.
        balance_power: a frame's sampling weight is its subject's number of frames to this power.
        leg_exchange: probability that a pose gets the legs of another.
        limb_exchange: probability, for each other limb, that a pose gets that of another.
        intact: probability that a pose is left whole, whatever the other two say.
    """

    noise_rad: float = 0.02
    balance_power: float = -0.5
    leg_exchange: float = 0.5
    limb_exchange: float = 0.3
    intact: float = 0.4

    def __post_init__(self) -> None:
        not_negative(self, "noise_rad")
        number(self, "balance_power")
        share(self, "leg_exchange", "limb_exchange", "intact")


def frame_weights(poses: PoseSet, balance_power: float) -> Float[Tensor, "poses"]:
    """Sampling weight of each pose: its subject's number of frames to the `balance_power`."""
    _, inverse, counts = torch.unique(
        poses.subject_codes(), return_inverse=True, return_counts=True
    )
    return counts.double().pow(balance_power)[inverse]


def recombine(
    rotvec: Float[Tensor, "poses 19 3"],
    leg_exchange: float,
    limb_exchange: float,
    intact: float = 0.0,
) -> Float[Tensor, "poses 19 3"]:
    """Exchange limbs between the poses of a batch, but for those that stay `intact`."""
    parts = [(LEGS, leg_exchange), *((limb, limb_exchange) for limb in EXCHANGED_LIMBS)]
    mixed = rotvec
    for part, probability in parts:
        exchanged = torch.rand(len(rotvec), 1, 1) < probability
        donor = rotvec[torch.randperm(len(rotvec))]
        mixed = torch.where(exchanged & part, donor, mixed)
    whole = torch.rand(len(rotvec), 1, 1) < intact
    return torch.where(whole, rotvec, mixed)


class PoseStream:
    """Endless batches of training poses, drawn with torch's global random generator.

    Args:
        poses: the poses to draw from.
        config: how.
        teachers: poses of other priors, noise included, that take the place of some.
        teacher_share: the share of these.
    """

    def __init__(
        self,
        poses: PoseSet,
        config: StreamConfig,
        teachers: Float[Tensor, "drawn 57"] | None = None,
        teacher_share: float = 0.0,
    ) -> None:
        self._teachers, self._teacher_share = teachers, teacher_share
        self._rotvec = poses.rotvec
        self._cumulative = frame_weights(poses, config.balance_power).cumsum(0)
        self._config = config

    def batch(self, size: int) -> Float[Tensor, "size 57"]:
        """Rotation vectors of `size` poses."""
        config = self._config
        draws = torch.rand(size, dtype=torch.float64) * self._cumulative[-1]
        index = torch.searchsorted(self._cumulative, draws).clamp_max(len(self._rotvec) - 1)
        rotvec = self._rotvec[index]
        rotvec = torch.where(torch.rand(size, 1, 1) < 0.5, mirror_rotvec(rotvec), rotvec)
        rotvec = recombine(rotvec, config.leg_exchange, config.limb_exchange, config.intact)
        rotvec = (rotvec + config.noise_rad * torch.randn_like(rotvec)).flatten(1)
        if self._teachers is None:
            return rotvec
        taught = self._teachers[torch.randint(len(self._teachers), (size,))]
        return torch.where(torch.rand(size, 1) < self._teacher_share, taught, rotvec)


def noisy(
    rotvec: Float[Tensor, "poses 57"], noise_rad: float, seed: int
) -> Float[Tensor, "poses 57"]:
    """Poses with reproducible dequantisation noise, for evaluation."""
    generator = torch.Generator().manual_seed(seed)
    return rotvec + noise_rad * torch.randn(rotvec.shape, generator=generator)
