"""What somebody says of people who sees nothing of them: the least that a network has to beat."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.keypoints import LIMB_KEYPOINTS
from kinflow.metrics.pose import pa_mpjpe
from kinflow.predictors.coordinates import ViewFrame
from kinflow.training.predictors.batches import Labelled
from kinflow.training.predictors.losses import PredictorLoss, relative

_LIMBS = list(LIMB_KEYPOINTS)
_LEAST_STD = 0.02


@dataclass(frozen=True)
class MeanBody:
    """A Gaussian over the vectors of known bodies, about upright ones that face the camera."""

    mean: Float[Tensor, " size"]
    lower: Float[Tensor, "size size"]
    """Cholesky factor of the covariance."""
    latent_size: int

    @staticmethod
    @torch.no_grad()
    def of(people: Labelled, latent_size: int) -> MeanBody:
        """Of some people, of whom at least two have bodies."""
        known = people[people.has_body.nonzero()[:, 0]]
        vectors = _vectors(known, latent_size)
        mean, gap = vectors.mean(0), vectors - vectors.mean(0)
        covariance = gap.mT @ gap / max(1, len(gap) - 1)
        floor = _LEAST_STD**2 * torch.eye(len(mean)).to(mean)
        return MeanBody(mean, torch.linalg.cholesky(covariance + floor), latent_size)

    @torch.no_grad()
    def figures(self, people: Labelled, loss_of: PredictorLoss) -> dict[str, float]:
        """Nats of the truth, and the errors of the mean body, whoever is there."""
        vectors = _vectors(people, self.latent_size)
        density = torch.distributions.MultivariateNormal(self.mean, scale_tril=self.lower)
        frame = ViewFrame.of(people.looks, self.latent_size)
        body = frame.to_unknowns(self.mean.expand(len(people), -1), _facing(people))
        points, truth = loss_of.points_m(body), loss_of.points_m(people.truth)
        pa = pa_mpjpe(points[:, _LIMBS].cpu(), truth[:, _LIMBS].cpu())
        gap = (relative(points) - relative(truth))[:, _LIMBS].norm(dim=-1)
        return {
            "nats": float(density.log_prob(vectors).mean()),
            "pa_mpjpe_mm": 1000 * float(pa.mean()),
            "mpjpe_mm": 1000 * float(gap.mean()),
        }


def _vectors(people: Labelled, latent_size: int) -> Float[Tensor, "people size"]:
    return ViewFrame.of(people.looks, latent_size).to_vector(people.truth, _facing(people))


def _facing(people: Labelled) -> Float[Tensor, "people 3 3"]:
    upright = torch.diag(torch.tensor([1.0, -1.0, -1.0], device=people.device))
    return upright.expand(len(people), 3, 3)
