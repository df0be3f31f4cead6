"""Knees and elbows of people in photographs, who hold them straighter than motion capture does.

A network that learned of motion capture has hardly seen a straight leg: knees of those who stand
there are bent by 40° on average, where people in photographs who are seen from the side have 15°
(`python benchmarks/trust bends` prints both). Nobody sees how far a knee is bent from in front, so
what is believed of it is what was learned, and bodies come out in half a squat.

A hinge is straight or it is not: of photographs it is known how many are, and how far these are
bent nevertheless. Bayes' rule with Gaussians puts that in the place of what the network has
learned, and asks the picture, where a straight limb is straight from every side. What is not
straight stays as it was believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.body.hinges import (
    ELBOW_AXES,
    ELBOWS,
    HINGE_ROWS,
    KNEES,
    hinge_flexion_deg,
    unbent,
)
from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.sides import SIDES
from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.evidence.types import PersonEvidence
from kinflow.fitting.sample_kinds import BENT_DEG, hip_flexion_deg
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.priors.interface import PoseDistribution


@dataclass(frozen=True)
class HingeKind:
    """How far a kind of hinge is bent, in degrees: means and standard deviations."""

    learned_deg: tuple[float, float]
    """Of people of the motion capture, knees of those who do not sit."""
    straight_deg: tuple[float, float]
    """Of straight ones in photographs."""
    straight_share: float
    """How many in photographs are straight."""


KNEE = HingeKind((40.0, 19.0), (10.0, 7.0), 0.75)
ELBOW = HingeKind((68.0, 32.0), (14.0, 8.0), 0.3)
HIDDEN_LOG_ODDS = 1.1
"""More for knees of whoever does not sit and hides them: squats are photographed to be seen."""

_KINDS = (KNEE, KNEE, ELBOW, ELBOW)
_LIMBS = [
    [KEYPOINT_INDEX[f"{side}_{point}"] for point in limb]
    for limb in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist"))
    for side in SIDES
]
_SHOULDERS = [FREE_JOINTS.index(JOINT_INDEX[f"{side}_shoulder"]) for side in SIDES]
_CONFIDENCE = (0.4, 0.6)
"""Of points that were not seen, and that were: in between gradually, for clips not to jump."""
_SHORTEST_PX = 1e-3
_ERROR_SCALE = 0.5
"""Errors of neighbouring points are alike, so that angles are off by less than they say."""
_STRAIGHT_NOISE_DEG = 8.0
"""How far straight limbs are bent in pictures, besides the detector's errors."""
_LEAST_BENT_DEG, _MOST_BENT_DEG = 10.0, 90.0
_SHARPNESS = 3.0
"""Factor on the log odds: between straight and bent there are few."""
_LEAST_VARIANCE = 16.0
"""Squared degrees by which a hinge varies at least."""
_NEVER, _OF_HIDDEN_ARMS = -20.0, -3.0
"""Log odds of knees of whoever sits, and of arms of which nothing is known."""


@dataclass(frozen=True)
class Bends:
    """How far left and right knee and left and right elbow are bent in the picture."""

    angle_deg: Float[Tensor, "people 4"]
    std_deg: Float[Tensor, "people 4"]
    """By the detector's errors."""
    seen: Float[Tensor, "people 4"]
    """How surely all three points were seen, in [0, 1]."""

    @staticmethod
    def of(people: Sequence[PersonEvidence]) -> Bends:
        """As keypoints show them."""
        points = torch.stack([one.keypoints_px for one in people])[:, _LIMBS]
        std_px = torch.stack([one.keypoint_std_px for one in people])[:, _LIMBS]
        first, middle, last = points[..., :2].unbind(-2)
        upper, lower = middle - first, last - middle
        a, b = (limb.norm(dim=-1).clamp_min(_SHORTEST_PX) for limb in (upper, lower))
        cross = upper[..., 0] * lower[..., 1] - upper[..., 1] * lower[..., 0]
        angle = torch.atan2(cross.abs(), (upper * lower).sum(-1))
        errors = _ERROR_SCALE * std_px * torch.stack([1 / a, 1 / a + 1 / b, 1 / b], -1)
        low, high = _CONFIDENCE
        seen = ((points[..., 2].amin(-1) - low) / (high - low)).clamp(0.0, 1.0)
        return Bends(angle.rad2deg(), errors.norm(dim=-1).rad2deg(), seen)

    def log_odds(self, bent_deg: Float[Tensor, "people 4"]) -> Float[Tensor, "people 4"]:
        """How much likelier these angles are of straight limbs than of limbs that are bent so far,
        which look bent by anything up to that; less of those that were hardly seen."""
        variance = _STRAIGHT_NOISE_DEG**2 + self.std_deg**2
        straight = (2 / (torch.pi * variance)).sqrt().log() - 0.5 * self.angle_deg**2 / variance
        bent = -bent_deg.clamp(_LEAST_BENT_DEG, _MOST_BENT_DEG).log()
        return self.seen * (straight - bent)


@dataclass(frozen=True)
class Unbending:
    """By how much less knees and elbows are bent than was believed, in the order of `Bends`."""

    R_free: Float[Tensor, "people 19 3 3"]
    """What was believed."""
    flexion_deg: Float[Tensor, "people 4"]
    """Of that."""
    less_deg: Float[Tensor, "people 4"]
    narrowing: Float[Tensor, "people 4"]
    """Share that is taken of what samples are bent more or less than that: of straight limbs it is
    known how far they are bent."""
    whole_arms: bool = False
    """Whether wrists stay in their direction from shoulders, as ankles do from hips. In fits they
    are where the picture has them anyway."""

    @staticmethod
    def of(
        z: Float[Tensor, "people latent"],
        covariance: Float[Tensor, "people latent latent"],
        prior: PoseDistribution,
        bends: Bends,
        hidden: Bool[Tensor, " people"],
    ) -> Unbending:
        """By Bayes' rule, with limbs as straight as they are in photographs.

        Args:
            z: latents of the poses that are believed.
            covariance: of these.
            prior: of the poses.
            bends: how far limbs are bent in the picture.
            hidden: whose legs nobody saw.
        """
        R_free, now, variance = _believed(z, covariance, prior)
        goal, odds, narrowing = _of_photographs(now, variance)
        odds = odds + bends.log_odds(now)
        sits = hip_flexion_deg(R_free) > BENT_DEG
        odds[:, KNEES] += HIDDEN_LOG_ODDS * hidden[:, None].to(odds)
        odds[:, KNEES] = odds[:, KNEES].masked_fill(sits[:, None], _NEVER)
        arms = bends.seen[:, ELBOWS]
        odds[:, ELBOWS] = arms * odds[:, ELBOWS] + (1 - arms) * _OF_HIDDEN_ARMS
        straight = torch.sigmoid(_SHARPNESS * odds)
        less = straight * (now - torch.minimum(goal, now))
        return Unbending(R_free, now, less, straight * narrowing)

    def __getitem__(self, rows: slice) -> Unbending:
        """Of some people."""
        return replace(
            self,
            R_free=self.R_free[rows],
            flexion_deg=self.flexion_deg[rows],
            less_deg=self.less_deg[rows],
            narrowing=self.narrowing[rows],
        )

    def latents(self, prior: PoseDistribution) -> Float[Tensor, "people latent"]:
        """What is believed then. Nothing else of a pose moves, but for thighs and feet: ankles stay
        in the same direction from hips."""
        return prior.encode(self._unbent(self.R_free, self.less_deg))

    def of_samples(
        self, z: Float[Tensor, "people samples latent"], prior: PoseDistribution
    ) -> Float[Tensor, "people samples latent"]:
        """Samples about what was believed, moved along and, where limbs are straight, together."""
        R_free = prior.decode(z)
        gap = hinge_flexion_deg(R_free) - self.flexion_deg[:, None]
        less = self.less_deg[:, None] + self.narrowing[:, None] * gap
        return prior.encode(self._unbent(R_free, less))

    def _unbent(
        self, R_free: Float[Tensor, "*batch 19 3 3"], less_deg: Float[Tensor, "*batch 4"]
    ) -> Float[Tensor, "*batch 19 3 3"]:
        R = unbent(R_free, less_deg)
        if self.whole_arms:
            half = torch.deg2rad(0.5 * less_deg[..., ELBOWS, None]) * R.new_tensor(ELBOW_AXES)
            R[..., _SHOULDERS, :, :] = R[..., _SHOULDERS, :, :] @ rotvec_to_matrix(half)
        return R


def _of_photographs(
    mean_deg: Float[Tensor, "people 4"], variance: Float[Tensor, "people 4"]
) -> tuple[Float[Tensor, "people 4"], Float[Tensor, "people 4"], Float[Tensor, "people 4"]]:
    """How far a hinge is bent if it is straight, the log odds of that, and by which share this is
    known better, given a Gaussian that was learned: N(x; mean, variance) N(x; straight) /
    N(x; learned) is one as well."""
    learned, straight, share = (
        mean_deg.new_tensor([getattr(kind, name) for kind in _KINDS])
        for name in ("learned_deg", "straight_deg", "straight_share")
    )
    (m0, s0), (m1, s1) = learned.unbind(-1), straight.unbind(-1)
    variance = torch.minimum(variance, 0.98 * s0**2)  # nobody knows less than what was learned
    precision = 1 / variance + 1 / s1**2 - 1 / s0**2
    slope = mean_deg / variance + m1 / s1**2 - m0 / s0**2
    square = mean_deg**2 / variance + m1**2 / s1**2 - m0**2 / s0**2
    scale = (precision * variance * s1**2 / s0**2).log()
    log_odds = 0.5 * (slope**2 / precision - square - scale) + share.logit()
    return slope / precision, log_odds, 1 - (precision * variance).rsqrt()


def _believed(
    z: Float[Tensor, "people latent"],
    covariance: Float[Tensor, "people latent latent"],
    prior: PoseDistribution,
) -> tuple[Float[Tensor, "people 19 3 3"], Float[Tensor, "people 4"], Float[Tensor, "people 4"]]:
    """Poses of latents, their flexions, and the variances of these to first order."""
    R_free, omega = prior.decode_with_jacobian(z)
    slope = _flexion_slope_deg(R_free, omega)
    variance = ((slope @ covariance) * slope).sum(-1)
    return R_free, hinge_flexion_deg(R_free), variance.clamp_min(_LEAST_VARIANCE)


def _flexion_slope_deg(
    R_free: Float[Tensor, "people 19 3 3"], omega: Float[Tensor, "people 19 3 latent"]
) -> Float[Tensor, "people 4 latent"]:
    """Derivatives of `hinge_flexion_deg` by latents that turn joints by omega in their parents."""
    R, spin = R_free[:, HINGE_ROWS], omega[:, HINGE_ROWS]
    # knees bend the second column, elbows the first one, which move by the cross product with spin
    x, y, z = torch.cat([R[:, KNEES, :, 1], R[:, ELBOWS, :, 0]], 1)[..., None, :].unbind(-1)
    wx, wy, wz = spin.unbind(-2)
    dx, dy, dz = wy * z - wz * y, wz * x - wx * z, wx * y - wy * x
    knees = ((y * dz - z * dy) / (y * y + z * z))[:, KNEES]
    elbows = ((x * dz - z * dx) / (x * x + z * z))[:, ELBOWS]
    return torch.rad2deg(torch.cat([knees, elbows * R.new_tensor([[1.0], [-1.0]])], 1))
