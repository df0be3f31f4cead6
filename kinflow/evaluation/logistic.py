"""Logistic regressions on a few signs, as doubts about bodies are."""

from __future__ import annotations

import torch
from jaxtyping import Float64
from torch import Tensor

_RIDGE = 1.0


def logistic(
    x: Float64[Tensor, "people signs"],
    wrong: Float64[Tensor, " people"],
    known: Float64[Tensor, " people"] | float = 0.0,
    ridge: float = _RIDGE,
) -> Float64[Tensor, " weights"]:
    """Intercept and weights of a logistic regression with a little ridge on standardised signs.

    Args:
        x: signs.
        wrong: what is to be told, 0 or 1.
        known: log odds of it by other signs, to which those by these are added.
        ridge: how strongly weights of standardised signs are held near zero.
    """
    mean, std = x.mean(0), x.std(0)
    design = torch.cat([torch.ones(len(x), 1, dtype=x.dtype), (x - mean) / std], 1)
    weights = torch.zeros(design.shape[1], dtype=x.dtype, requires_grad=True)
    search = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        fit = torch.nn.functional.binary_cross_entropy_with_logits(
            design @ weights + known, wrong, reduction="sum"
        )
        total = fit + ridge * weights[1:].square().sum()
        total.backward()
        return total

    search.step(loss)
    own = weights.detach()[1:] / std
    return torch.cat([(weights.detach()[0] - own @ mean)[None], own])
