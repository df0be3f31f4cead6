"""Best guesses of a network with knees and elbows as in photographs, where nothing is fitted.

How far they are believed to be bent is by the spread that the network states of each coordinate.
Of frames that follow each other, what is taken is averaged over a moment: angles in the picture
tremble as keypoints do, and motion should not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.evidence.types import PersonEvidence
from kinflow.fitting.over_time import Along, averaged
from kinflow.fitting.sample_kinds import legs_hidden
from kinflow.fitting.straight_limbs import Bends, Unbending
from kinflow.predictors import Posterior
from kinflow.predictors.coordinates import PLACE
from kinflow.priors.interface import PoseDistribution


def unbending_of(
    posterior: Posterior,
    people: Sequence[PersonEvidence],
    prior: PoseDistribution,
    along: Along | None = None,
) -> Unbending:
    """By how much less limbs of best guesses are bent.

    Args:
        posterior: what the network says of some people.
        people: these, as they were seen.
        prior: of the poses.
        along: who they are, where they are of frames that follow each other.
    """
    columns = latent_columns(posterior)
    z, std = posterior.guess.centre[:, columns], posterior.guess.std[:, columns]
    hidden = legs_hidden(people).to(z.device)
    unbending = Unbending.of(z, torch.diag_embed(std**2), prior, Bends.of(people), hidden)
    if along is None:
        return unbending
    return replace(unbending, less_deg=averaged(unbending.less_deg, along))


def with_unbent_samples(
    posterior: Posterior,
    vectors: Float[Tensor, "people samples size"],
    unbending: Unbending,
    prior: PoseDistribution,
) -> Float[Tensor, "people samples size"]:
    """Samples of the posterior with limbs that are bent less."""
    columns, moved = latent_columns(posterior), vectors.clone()
    moved[..., columns] = unbending.of_samples(vectors[..., columns], prior)
    return moved


def latent_columns(posterior: Posterior) -> slice:
    """Where vectors of a posterior have the latent of the pose."""
    return slice(PLACE.stop, PLACE.stop + posterior.frame.latent_size)
