"""Which bodies are wrong though no code says so: the regression of `fitting/doubt.py`."""

from __future__ import annotations

import numpy as np
import torch
from errors import pa_mm
from runs import PHOTOS, Sets, found_pairs, table

from kinflow.evaluation.logistic import logistic
from kinflow.fitting.doubt import MAX_DOUBT, WRONG_MM, signs

_FOLDS = 5
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
