"""Who sits, of people in photographs whose legs nobody saw: what the network's samples tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from photographs import SEATED, Photographed, photographed
from runs import Sets, table
from torch import Tensor

import kinflow.priors
from kinflow.fitting.sample_kinds import BENT_DEG, hip_flexion_deg, legs_hidden
from kinflow.predictors import Looks, Predictor

_SAMPLES = 128
_SHARES = (0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8)


def seated(sets: Sets) -> str:
    """How surely those who sit are told from the others, and who is taken for whom from which share
    of samples on; nothing without photographs."""
    folder = sets.config.photographs
    if folder is None:
        return "(seated: needs --photographs)\n"
    hidden = [
        one
        for one in photographed(sets, folder, SEATED)
        if one.evidence.people[one.row].look is not None
        and bool(legs_hidden([one.evidence.people[one.row]])[0])
    ]
    shares = sitting_shares(hidden, sets.config.fit.predictor)
    sits = torch.tensor([one.labelled.label for one in hidden])
    title = (
        f"{len(sits)} people in photographs, {int(sits.sum())} of whom sit; of somebody who sits "
        f"more samples do than of somebody who does not in {order(shares, sits):.1%} of pairs\n\n"
    )
    rows = []
    for least in _SHARES:
        told = shares >= least
        missed, wrong = (~told)[sits].float().mean(), told[~sits].float().mean()
        right = (told == sits).float().mean()
        rows.append((f"{least:.2f}", [f"{missed:.0%}", f"{wrong:.0%}", f"{right:.1%}"]))
    columns = ("sit, taken for not", "do not, taken for sitting", "right")
    return title + table("from which share of samples", columns, rows)


@torch.no_grad()
def sitting_shares(
    people: Sequence[Photographed], predictor: str | Path | None
) -> Float[Tensor, " people"]:
    """Share of the network's samples that sit."""
    network, prior = Predictor.load(predictor or "evidence"), kinflow.priors.load()
    shares = []
    for one in people:
        look = one.evidence.people[one.row].look
        assert look is not None
        posterior = network(Looks.of([look], [one.camera]))
        poses = prior.decode(posterior.sample(_SAMPLES, torch.Generator().manual_seed(0)).z)
        shares.append((hip_flexion_deg(poses) > BENT_DEG).float().mean())
    return torch.stack(shares)


def order(shares: Float[Tensor, " people"], sits: Bool[Tensor, " people"]) -> float:
    """Share of pairs that are in the right order, the area under the curve."""
    gap = shares[sits][:, None] - shares[~sits]
    return float((gap > 0).float().mean() + 0.5 * (gap == 0).float().mean())
