"""Kinds of bodies among a network's samples, between which there is hardly anybody.

The mean of somebody who sits and somebody who stands is a crouch that nobody does, and that of a
child and an adult has a size that nobody has. So a Gaussian is taken of samples of one kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.sides import SIDES
from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.evidence.types import PersonEvidence
from kinflow.priors.shape import AGE, ShapePrior

CHILD_BELOW_AGE = 0.5
"""Phenotype `age` between 0.4, ten years, and the 0.67 of a grown-up."""

BENT_DEG = 45.0
"""Of both hips on average: people bend them by less or by more, hardly ever by so much."""
HIDDEN_LEGS = 0.5
"""Confidence of a person's surer knee below which nobody saw whether they sit."""

_HIPS = [FREE_JOINTS.index(JOINT_INDEX[f"{side}_hip"]) for side in SIDES]
_KNEES = [KEYPOINT_INDEX[f"{side}_knee"] for side in SIDES]


def age_of(s: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch"]:
    """Phenotype `age` of latent shapes."""
    return ShapePrior().decode(s)[..., AGE]


def hip_flexion_deg(R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch"]:
    """How far the thighs are from hanging straight down from the pelvis, the mean of both."""
    down = R_free[..., _HIPS, 1, 1]  # of the thigh, along the pelvis's vertical
    return torch.rad2deg(down.clamp(-1, 1).acos()).mean(-1)


def legs_hidden(people: Sequence[PersonEvidence]) -> Bool[Tensor, " people"]:
    """Whose knees nobody saw."""
    knees = torch.stack([person.keypoints_px[_KNEES, 2].max() for person in people])
    return knees < HIDDEN_LEGS


def one_posture(
    latent: Float[Tensor, "people samples latent"],
    hidden: Bool[Tensor, " people"],
    decode: Callable[[Tensor], Tensor],
    sitting_share: float,
) -> Bool[Tensor, "people samples"]:
    """Samples that sit, of people of whom at least `sitting_share` do, else those that do not; all
    samples of people whose legs are not hidden.

    Args:
        latent: poses, as samples of each person.
        hidden: whose legs nobody saw.
        decode: makes rotations of the free joints of latents.
        sitting_share: from which share of samples somebody sits.
    """
    counts = torch.ones(latent.shape[:2], dtype=torch.bool, device=latent.device)
    if bool(hidden.any()):
        bent = hip_flexion_deg(decode(latent[hidden])) > BENT_DEG
        sits = bent.float().mean(1, keepdim=True) >= sitting_share
        counts[hidden] = bent == sits
    return counts
