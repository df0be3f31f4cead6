"""Best guesses of a network with knees and elbows as in photographs, where nothing is fitted.

How far they are believed to be bent is by the spread that the network states of each coordinate.
Nothing brings hands back to where they were seen, so upper arms turn with elbows.
Of frames that follow each other, what is taken is averaged over a moment: angles in the picture
tremble as keypoints do, and motion should not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from kinflow.energy.unknowns import Unknowns
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
    columns = slice(PLACE.stop, PLACE.stop + posterior.frame.latent_size)
    z, std = posterior.guess.centre[:, columns], posterior.guess.std[:, columns]
    hidden = legs_hidden(people).to(z.device)
    unbending = Unbending.of(z, torch.diag_embed(std**2), prior, Bends.of(people), hidden)
    less_deg = unbending.less_deg if along is None else averaged(unbending.less_deg, along)
    return replace(unbending, less_deg=less_deg, whole_arms=True)


def unbent_together(
    point: Unknowns, samples: Unknowns, unbending: Unbending, prior: PoseDistribution
) -> tuple[Unknowns, Unknowns]:
    """Best guesses and samples about them, by person, then by draw, with limbs bent less."""
    # as one more sample: for one person each turn through the prior counts
    z = torch.cat([point.z[:, None], samples.z.unflatten(0, (len(point), -1))], 1)
    z = unbending.of_samples(z, prior)
    return replace(point, z=z[:, 0]), replace(samples, z=z[:, 1:].flatten(0, 1))
