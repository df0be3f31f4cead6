"""The percentiles by which a prior ranks poses: those of people whom it has not seen."""

import copy
from dataclasses import replace
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.priors.interface import PoseDistribution
from kinflow.priors.pose_space import rotvec_to_matrix
from kinflow.priors.scoring import noisy_log_prob

AnyPrior = TypeVar("AnyPrior", bound=PoseDistribution)

_EVERY = 8
_PERCENTILES = 101


def calibrated(prior: AnyPrior, validation_rotvec: Float[Tensor, "poses 19 3"]) -> AnyPrior:
    """The same prior with the percentiles of the validation poses' densities in its `info`."""
    if not len(validation_rotvec):
        return prior
    nats = noisy_log_prob(prior, rotvec_to_matrix(validation_rotvec[::_EVERY])).double()
    percentiles = nats.quantile(torch.linspace(0, 1, _PERCENTILES, dtype=torch.float64))
    info = replace(prior.info, calibration_nats=tuple(round(q, 3) for q in percentiles.tolist()))
    ranked = copy.deepcopy(prior)
    ranked.info = info
    return ranked
