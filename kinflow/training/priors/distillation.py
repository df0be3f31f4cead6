"""Distilling an ensemble of flows into one: their samples join the stream of training poses.

The mean density of several flows predicts unseen people better than any of them, but costs as many
passes and has no common latent. One flow trained half on their samples, of which there is no end,
and half on real poses keeps part of that gain. What one flow draws and the others find least likely
is left out: those are its own mistakes, such as elbows that bend backwards.
"""

from collections.abc import Collection
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.errors import InputError
from kinflow.priors.flow import FlowPrior
from kinflow.priors.pose_space import NUM_FREE, matrix_to_rotvec, rotvec_to_matrix
from kinflow.priors.storage import load_prior

_CHUNK = 4096
_KEPT_OF_CHUNK = 3686


@torch.no_grad()
def teacher_poses(
    teachers: Collection[Path | str], count: int, seed: int
) -> Float[Tensor, "poses 57"]:
    """At least `count` rotation vectors drawn from flows, equally many of each, noise included.

    Of several flows, the tenth of each one's draws that the others find least likely is left out.

    Raises:
        InputError: there is no such weight file, or it is not a flow over rotation vectors.
    """
    generator = torch.Generator().manual_seed(seed)
    priors = [_teacher(name) for name in teachers]
    chunks = -(-count // (len(priors) * _KEPT_OF_CHUNK))
    drawn = []
    for prior in priors:
        others = [other for other in priors if other is not prior]
        drawn += [_agreed(_samples(prior, generator), others) for _ in range(chunks)]
    return torch.cat(drawn)


def _teacher(name: Path | str) -> FlowPrior:
    prior = load_prior(name)
    if not isinstance(prior, FlowPrior) or prior.space.name != "rotvec":
        raise InputError(f"{name} is not a flow over rotation vectors; it cannot be a teacher")
    return prior


def _agreed(
    rotvec: Float[Tensor, "poses 57"], others: Collection[FlowPrior]
) -> Float[Tensor, "kept 57"]:
    """The poses that are likeliest under the mean density of the `others`, if there are any."""
    if not others:
        return rotvec
    R_free = rotvec_to_matrix(rotvec.unflatten(-1, (NUM_FREE, 3)))
    nats = torch.stack([other.log_prob(R_free) for other in others]).logsumexp(0)
    return rotvec[nats.topk(_KEPT_OF_CHUNK).indices]


def _samples(prior: FlowPrior, generator: torch.Generator) -> Float[Tensor, "poses 57"]:
    """Samples of the whole density; `prior.sample` leaves out the directions without motion."""
    whitening, kept = prior.whitening, prior.whitening.num_kept
    rotvec = matrix_to_rotvec(prior.sample(_CHUNK, generator)).flatten(-2)
    noise = torch.randn(_CHUNK, len(whitening.std) - kept, generator=generator)
    return rotvec + (noise * whitening.std[kept:]) @ whitening.basis[:, kept:].mT
