"""Which bodies are wrong though no code says so: the regression of `fitting/doubt.py`."""

from __future__ import annotations

import numpy as np
import torch
from errors import pa_mm
from jaxtyping import Float64
from runs import PHOTOS, Sets, found_pairs, table
from torch import Tensor

from kinflow.fitting.doubt import MAX_DOUBT, WRONG_MM, signs

_FOLDS = 5
_RIDGE = 1.0
_KEPT = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def doubts(sets: Sets) -> str:
    """The regression, and how many of the people it doubts least are right, cross-validated.

    Everybody is there twice: as the product fits them, and by keypoints and parts alone, as those
    are fitted whose keypoints come from somewhere else.
    """
    found = [
        (number, pair)
        for landmarks in (True, False)
        for name in PHOTOS
        for number, pair in enumerate(found_pairs(sets.fitted(name, landmarks)))
        if pair[1].code in ("ok", "uncertain", "ambiguous")
    ]
    pairs = [pair for _, pair in found]
    x = torch.tensor([signs(person) for _, person in pairs], dtype=torch.float64)
    wrong = torch.tensor([pa_mm(*pair) > WRONG_MM for pair in pairs], dtype=torch.float64)
    score = torch.zeros(len(pairs), dtype=torch.float64)
    fold = torch.tensor([number for number, _ in found]) % _FOLDS
    for k in range(_FOLDS):
        weights = logistic(x[fold != k], wrong[fold != k])
        score[fold == k] = weights[0] + x[fold == k] @ weights[1:]
    order = wrong[score.argsort()].numpy()
    rows = []
    for kept in _KEPT:
        count = int(kept * len(order))
        right = f"{100 * (1 - order[:count].mean()):.1f} %"
        rows.append((f"{100 * kept:.0f} %", [str(count), right]))
    weights = logistic(x, wrong)
    ours = weights[0] + x @ weights[1:] < np.log(MAX_DOUBT / (1 - MAX_DOUBT))
    said = ", ".join(f"{value:.3f}" for value in weights.tolist())
    return (
        table("least doubtful", ("people", f"PA-MPJPE below {WRONG_MM:.0f} mm"), rows)
        + f"\nIntercept, per confidence, per overlap, per mm: {said}. Of {len(pairs)} people "
        + f"{int(ours.sum())} are doubted by less than {MAX_DOUBT}.\n"
    )


def logistic(
    x: Float64[Tensor, "people signs"], wrong: Float64[Tensor, " people"]
) -> Float64[Tensor, " weights"]:
    """Intercept and weights of a logistic regression with a little ridge on standardised signs."""
    mean, std = x.mean(0), x.std(0)
    design = torch.cat([torch.ones(len(x), 1, dtype=x.dtype), (x - mean) / std], 1)
    weights = torch.zeros(design.shape[1], dtype=x.dtype, requires_grad=True)
    search = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        fit = torch.nn.functional.binary_cross_entropy_with_logits(
            design @ weights, wrong, reduction="sum"
        )
        total = fit + _RIDGE * weights[1:].square().sum()
        total.backward()
        return total

    search.step(loss)
    own = weights.detach()[1:] / std
    return torch.cat([(weights.detach()[0] - own @ mean)[None], own])
