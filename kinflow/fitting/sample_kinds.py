"""Kinds of bodies among a network's samples, between which there is hardly anybody.

The mean of somebody who sits and somebody who stands is a crouch that nobody does, and that of a
child and an adult has a size that nobody has. So a Gaussian is taken of samples of one kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.sides import SIDES
from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.evidence.types import PersonEvidence, Surroundings
from kinflow.geometry.pinhole import Camera
from kinflow.priors.shape import AGE, ShapePrior

CHILD_BELOW_AGE = 0.5
"""Phenotype `age` between 0.4, ten years, and the 0.67 of a grown-up."""

BENT_DEG = 45.0
"""Of both hips on average: people bend them by less or by more, hardly ever by so much."""
HIDDEN_LEGS = 0.5
"""Confidence of a person's surer knee below which nobody saw whether they sit."""

Decode: TypeAlias = Callable[[Tensor], Tensor]
_STEPS = 3
_NEARLY = 1 - 1e-6
_LEAST_RISE = 25.0
"""Squared degrees by which hips vary at least, so that steps stay small."""

_NOTHING_SEEN = -1.2
"""Log odds of sitting where a picture shows nothing that tells; these and the next were chosen on
photographs of people whose legs cannot be seen, `benchmarks/trust seated`."""
_SEAT, _SEAT_ANYWHERE, _SPORT, _KITCHEN_ANYWHERE = 6.0, 3.0, -5.0, -8.0
"""What certain things add to that."""
_RIDDEN = 3.3
"""What something that is ridden adds; of it people whose legs are seen may sit as well, for how
thighs point towards the camera or away from it is not in keypoints."""
_LEAST_RIDDEN = 0.3
"""From which probability on that is asked of them."""
_LOWER, _USUAL_FACE = 4.0, 0.4
"""What a face adds that is lower by the height of the picture than this share of it: who takes
photos stands, mostly, and people who sit are lower in them (`benchmarks/trust seated`)."""

_HIPS = [FREE_JOINTS.index(JOINT_INDEX[f"{side}_hip"]) for side in SIDES]
_KNEES = [KEYPOINT_INDEX[f"{side}_knee"] for side in SIDES]
_NOSE = KEYPOINT_INDEX["nose"]


def age_of(s: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch"]:
    """Phenotype `age` of latent shapes."""
    return ShapePrior().decode(s)[..., AGE]


def hip_flexion_deg(R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch"]:
    """How far the thighs are from hanging straight down from the pelvis, the mean of both."""
    down = R_free[..., _HIPS, 1, 1]  # of the thigh, along the pelvis's vertical
    return torch.rad2deg(down.clamp(-_NEARLY, _NEARLY).acos()).mean(-1)


def sitting_log_odds(
    bent: Bool[Tensor, "people samples"],
    company: float | Float[Tensor, " people"],
    photo: Int64[Tensor, " people"] | None = None,
) -> Float[Tensor, " people"]:
    """Log odds of sitting, by which of the samples do.

    Args:
        bent: samples that sit.
        company: weight of what the others of a photo do.
        photo: number of the photo that each person is in; None if all are in one.
    """
    count, sitting = bent.shape[1], bent.sum(1)
    own = torch.log((sitting + 1) / (count - sitting + 1))
    photo = torch.zeros_like(sitting) if photo is None else photo.to(sitting.device)
    together = (photo[:, None] == photo).to(own)
    # the mean of the others, somewhat nearer to zero where they are few
    return own + company * (together @ own - own) / together.sum(1)


def surroundings_log_odds(
    people: Sequence[PersonEvidence], cameras: Sequence[Camera], hidden: Bool[Tensor, " people"]
) -> Float[Tensor, " people"]:
    """Log odds of sitting that things about people, where anybody looked for some, and the place of
    their faces add to those by samples.

    Args:
        people: what was seen.
        cameras: of each.
        hidden: whose legs nobody saw; of the others only what is ridden tells.
    """
    seen = [one.surroundings or Surroundings() for one in people]
    looked = torch.tensor([one.surroundings is not None for one in people])
    seats = [
        _NOTHING_SEEN
        + _SEAT * one.seat
        + _SEAT_ANYWHERE * one.seat_anywhere
        + _SPORT * one.sport
        + _KITCHEN_ANYWHERE * one.kitchen_anywhere
        for one in seen
    ]
    ridden = torch.tensor([_RIDDEN * one.ridden for one in seen])
    faces = [
        _LOWER * (float(one.keypoints_px[_NOSE, 1]) / camera.image_size[1] - _USUAL_FACE)
        for one, camera in zip(people, cameras, strict=True)
    ]
    told = looked * torch.tensor(seats) + torch.tensor(faces)
    return (hidden.cpu() * told + ridden).to(hidden.device)


def may_ride(people: Sequence[PersonEvidence]) -> Bool[Tensor, " people"]:
    """About whom there is something that is ridden."""
    about = [one.surroundings or Surroundings() for one in people]
    return torch.tensor([one.ridden >= _LEAST_RIDDEN for one in about])


def legs_hidden(people: Sequence[PersonEvidence]) -> Bool[Tensor, " people"]:
    """Whose knees nobody saw."""
    knees = torch.stack([person.keypoints_px[_KNEES, 2].max() for person in people])
    return knees < HIDDEN_LEGS


@dataclass(frozen=True)
class Postures:
    """Who among samples of people sits, for people of whom legs do not tell."""

    asked: Bool[Tensor, " people"]
    """Of whom."""
    flexion_deg: Float[Tensor, "people samples"]
    """Of the hips; 0 where nobody is asked about."""
    counts: Bool[Tensor, "people samples"]
    """Samples that sit, of people of whom enough do, else those that do not; all samples of people
    who are not asked about."""

    @staticmethod
    def of(
        latent: Float[Tensor, "people samples latent"],
        asked: Bool[Tensor, " people"],
        decode: Decode,
        sitting_share: float,
        company: float | Float[Tensor, " people"] = 0.0,
        photo: Int64[Tensor, " people"] | None = None,
        more_log_odds: Float[Tensor, " people"] | float = 0.0,
    ) -> Postures:
        """Of samples of poses.

        Args:
            latent: the poses.
            asked: of whom legs do not tell.
            decode: makes rotations of the free joints of latents.
            sitting_share: from which share of samples somebody sits.
            company: weight of the mean log odds of the others of a photo beside the own ones: who
                is among people who sit rather sits.
            photo: number of the photo that each person is in; None if all are in one.
            more_log_odds: of sitting, by what else is known.
        """
        flexion = torch.zeros_like(latent[..., 0])
        if bool(asked.any()):
            flexion = hip_flexion_deg(decode(latent))
        bent = flexion > BENT_DEG
        log_odds = sitting_log_odds(bent, company, photo) + more_log_odds
        sits = (log_odds >= torch.logit(log_odds.new_tensor(sitting_share))) & bent.any(1)
        return Postures(asked, flexion, (bent == sits[:, None]) | ~asked[:, None])

    def as_bent(
        self,
        centre: Float[Tensor, "people size"],
        covariance: Float[Tensor, "people size size"],
        latent: slice,
        decode: Decode,
    ) -> tuple[Float[Tensor, "people size"], Float[Tensor, "people size size"]]:
        """Mean and covariance of the samples that count, with hips that are bent, and known, as in
        these samples: the mean of latents decodes to hips that are bent less.

        The mean is moved as little as can be, and nothing else becomes more certain.

        Args:
            centre: means of vectors.
            covariance: of these.
            latent: columns of the pose.
            decode: as in `of`.
        """
        if not bool(self.asked.any()):
            return centre, covariance
        counts = self.counts[self.asked].to(centre)
        flexion = self.flexion_deg[self.asked]
        total = counts.sum(1).clamp_min(1)
        wanted = (counts * flexion).sum(1) / total
        variance = (counts * (flexion - wanted[:, None]).square()).sum(1) / total
        spread, moved = covariance[self.asked], centre[self.asked]
        for _ in range(_STEPS):
            now, along, rise = _hips_at(moved, spread, latent, decode)
            moved = moved + along * ((wanted - now) / rise)[:, None]
        _, along, rise = _hips_at(moved, spread, latent, decode)
        surplus = (1 - variance / rise).clamp(0, 1) / rise
        spread = spread - surplus[:, None, None] * along[:, :, None] * along[:, None]
        centre, covariance = centre.clone(), covariance.clone()
        centre[self.asked], covariance[self.asked] = moved, spread
        return centre, covariance


def _hips_at(
    y: Float[Tensor, "people size"],
    covariance: Float[Tensor, "people size size"],
    latent: slice,
    decode: Decode,
) -> tuple[
    Float[Tensor, " people"],
    Float[Tensor, "people size"],
    Float[Tensor, " people"],
]:
    """Flexion of the hips, its covariance with all that is unknown, and its variance."""
    z = y[:, latent].detach().requires_grad_()
    with torch.enable_grad():
        flexion = hip_flexion_deg(decode(z))
        (slope,) = torch.autograd.grad(flexion.sum(), z)
    along = (covariance[:, :, latent] @ slope[..., None])[..., 0]
    return flexion.detach(), along, (slope * along[:, latent]).sum(1).clamp_min(_LEAST_RISE)
