"""Distilling an ensemble of flows into one: their samples join the stream of training poses.

The mean density of several flows predicts unseen people better than any of them, but costs as many
passes and has no common latent. One flow trained half on their samples, of which there is no end,
and half on real poses keeps part of that gain.
"""

from collections.abc import Collection
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.errors import InputError
from kinflow.priors.flow import FlowPrior
from kinflow.priors.pose_space import matrix_to_rotvec
from kinflow.priors.storage import load_prior

_CHUNK = 4096


@torch.no_grad()
def teacher_poses(
    teachers: Collection[Path | str], count: int, seed: int
) -> Float[Tensor, "poses 57"]:
    """Rotation vectors drawn from the densities of flows, equally many of each, noise included.

    Raises:
        AssetError: there is no such weight file.
        InputError: a teacher is not a flow over rotation vectors.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for name in teachers:
        prior = load_prior(name)
        if not isinstance(prior, FlowPrior) or prior.space.name != "rotvec":
            raise InputError(f"{name} is not a flow over rotation vectors; it cannot be a teacher")
        for _ in range(-(-count // len(teachers)) // _CHUNK + 1):
            drawn.append(_samples(prior, generator))
    return torch.cat(drawn)


def _samples(prior: FlowPrior, generator: torch.Generator) -> Float[Tensor, "poses 57"]:
    """Samples of the whole density; `prior.sample` leaves out the directions without motion."""
    whitening, kept = prior.whitening, prior.whitening.num_kept
    rotvec = matrix_to_rotvec(prior.sample(_CHUNK, generator)).flatten(-2)
    noise = torch.randn(_CHUNK, len(whitening.std) - kept, generator=generator)
    return rotvec + (noise * whitening.std[kept:]) @ whitening.basis[:, kept:].mT
