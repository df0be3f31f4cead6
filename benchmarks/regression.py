"""Maximum likelihood of distances that are Weibull distributed, their scale a regression."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn.functional import softplus

from kinflow.results.regions import JOINT_GROUPS, group_rows, weibull_scale

_RIDGE = 1e-2
_LEAST_M = 1e-4
_LEAST_SLOPE = 0.1
"""Of every sign: few people have other bodies that explain the image too, and theirs count."""


@dataclass(frozen=True)
class Regression:
    """log std = weights · features, for each group of joints, with the shapes of the errors."""

    weights: Float64[Tensor, "groups features"]
    shapes: Float64[Tensor, " groups"]

    def std_m(
        self, features: Float64[Tensor, "people 22 features"]
    ) -> Float64[Tensor, "people 22"]:
        """Standard deviations."""
        return (features * self.weights[group_rows()]).sum(-1).exp()

    def radius_m(
        self, features: Float64[Tensor, "people 22 features"], share: float
    ) -> Float64[Tensor, "people 22"]:
        """Radii of regions."""
        shape = self.shapes[group_rows()]
        reach = weibull_scale(shape) * (-math.log1p(-share)) ** (1 / shape)
        return self.std_m(features) * reach


def fitted_regression(
    features: Float64[Tensor, "people 22 features"], distance_m: Float64[Tensor, "people 22"]
) -> Regression:
    """The likeliest regression; every sign widens, by slopes that a little ridge holds together."""
    features, distance_m = features[:, 1:], distance_m[:, 1:].clamp_min(_LEAST_M)
    rows = group_rows()[1:]
    mean, std = features[..., 1:].mean((0, 1)), features[..., 1:].std((0, 1))
    design = torch.cat([features[..., :1], (features[..., 1:] - mean) / std], -1)
    groups, signs = len(JOINT_GROUPS), design.shape[-1] - 1
    level = torch.full((groups, 1), math.log(0.1), dtype=design.dtype, requires_grad=True)
    steep = torch.zeros(groups, signs, dtype=design.dtype, requires_grad=True)
    log_shape = torch.zeros(groups, dtype=design.dtype, requires_grad=True)
    searched = [level, steep, log_shape]
    search = torch.optim.LBFGS(searched, max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        shape, slopes = log_shape.exp()[rows], softplus(steep) + _LEAST_SLOPE * std
        weights = torch.cat([level, slopes], 1)
        scale = weibull_scale(shape) * (design * weights[rows]).sum(-1).exp()
        ratio = distance_m / scale
        log_density = shape.log() - scale.log() + (shape - 1) * ratio.log() - ratio**shape
        ridge = (slopes - slopes.mean(0)).square().sum() + 0.1 * slopes.square().sum()
        total = -log_density.mean() + _RIDGE * ridge
        total.backward()
        return total

    search.step(loss)
    slopes = softplus(steep.detach()) / std + _LEAST_SLOPE
    intercepts = level.detach() - (slopes * mean).sum(-1, keepdim=True)
    return Regression(torch.cat([intercepts, slopes], 1), log_shape.detach().exp())
