"""How plausible is a pose? Its log density, and its rank among real poses of unseen people.

A log density alone says little: it depends on units, and on noise where the data are exactly flat.
A score is therefore the log density averaged over fixed draws of the dequantisation noise that
the prior was trained with, ranked among the same figure of the validation poses, whose percentiles
are stored in the weight file.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.errors import InputError
from kinflow.priors.interface import PoseDistribution
from kinflow.priors.pose_space import POSE_DIM, matrix_to_rotvec, rotvec_to_matrix

_NOISE_DRAWS = 16


@dataclass(frozen=True)
class PoseScore:
    """Plausibility of poses.

    Attributes:
        nats: (*batch,) log density with respect to rotation vectors, averaged over noise.
        percentile: (*batch,) per cent of real poses of unseen people that are less likely; 0 is
            below all of them, which calls for a look.
    """

    nats: Float[Tensor, "*batch"]
    percentile: Float[Tensor, "*batch"]


@torch.no_grad()
def noisy_log_prob(
    prior: PoseDistribution, R_free: Float[Tensor, "*batch 19 3 3"]
) -> Float[Tensor, "*batch"]:
    """Log density in nats, averaged over fixed draws of the prior's dequantisation noise."""
    generator = torch.Generator().manual_seed(0)
    rotvec = matrix_to_rotvec(R_free)
    total = torch.zeros(R_free.shape[:-3], dtype=rotvec.dtype, device=rotvec.device)
    for _ in range(_NOISE_DRAWS):
        noise = torch.randn(POSE_DIM, generator=generator, dtype=torch.float32)
        noise = noise.to(rotvec).view(-1, 3)
        total += prior.log_prob(rotvec_to_matrix(rotvec + prior.info.noise_rad * noise))
    return total / _NOISE_DRAWS


def score(prior: PoseDistribution, R_free: Float[Tensor, "*batch 19 3 3"]) -> PoseScore:
    """Plausibility of poses.

    Raises:
        InputError: the prior's weight file holds no percentiles to compare with.
    """
    if not prior.info.calibration_nats:
        raise InputError(
            "this prior was trained without validation subjects, so it cannot rank a pose; "
            "its log_prob still works"
        )
    nats = noisy_log_prob(prior, R_free)
    known = torch.tensor(prior.info.calibration_nats, dtype=nats.dtype, device=nats.device)
    rank = torch.searchsorted(known, nats).clamp_max(len(known) - 1)
    return PoseScore(nats, 100.0 * rank / (len(known) - 1))
