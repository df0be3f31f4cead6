"""Who sits, of people in photographs whose legs nobody saw: what the network's samples tell.

Log odds are those of `kinflow/fitting/sample_kinds.py`, alone and with what everybody else in the
photograph does.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from photographs import SEATED, Photographed, photographed
from runs import Sets, table
from torch import Tensor

import kinflow.priors
from kinflow.fitting.sample_kinds import (
    BENT_DEG,
    hip_flexion_deg,
    legs_hidden,
    sitting_log_odds,
)
from kinflow.predictors import DEFAULT, Looks, Predictor

_SAMPLES = 128
_SHARES = (0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8)
_COMPANY = (0.0, 0.25, 0.5, 0.75, 1.0)


def seated(sets: Sets) -> str:
    """How surely those who sit are told from the others, and who is taken for whom from which share
    of samples on; nothing without photographs."""
    folder = sets.config.photographs
    if folder is None:
        return "(seated: needs --photographs)\n"
    people = list(photographed(sets, folder, SEATED))
    predictor = Predictor.load(sets.config.fit.predictor or DEFAULT)
    of_photo = {one.labelled.photo: one for one in people}
    bent = {photo: _bent(one, predictor) for photo, one in of_photo.items()}
    hidden = [one for one in people if _is_told(one)]
    sits = torch.tensor([one.labelled.label for one in hidden])
    text = f"{len(sits)} people in photographs, {int(sits.sum())} of whom sit\n"
    for company in _COMPANY:
        told = torch.stack([_log_odds(one, bent[one.labelled.photo], company) for one in hidden])
        text += f"\nof pairs in the right order, company {company}: {order(told, sits):.1%}\n\n"
        text += _table(told, sits)
    return text


def order(told: Float[Tensor, " people"], sits: Bool[Tensor, " people"]) -> float:
    """Share of pairs that are in the right order, the area under the curve."""
    gap = told[sits][:, None] - told[~sits]
    return float((gap > 0).float().mean() + 0.5 * (gap == 0).float().mean())


def _is_told(one: Photographed) -> bool:
    person = one.evidence.people[one.row]
    return person.look is not None and bool(legs_hidden([person])[0])


@torch.no_grad()
def _bent(one: Photographed, predictor: Predictor) -> Bool[Tensor, "people samples"]:
    """Which samples sit, of everybody in the photograph whom the detector looked at."""
    looks = [person.look for person in one.evidence.people if person.look is not None]
    posterior = predictor(Looks.of(looks, [one.camera] * len(looks)))
    drawn = posterior.sample(_SAMPLES, torch.Generator().manual_seed(0))
    flexion = hip_flexion_deg(kinflow.priors.load().decode(drawn.z))
    return (flexion > BENT_DEG).view(len(looks), _SAMPLES)


def _log_odds(
    one: Photographed, bent: Bool[Tensor, "people samples"], company: float
) -> Float[Tensor, ""]:
    row = sum(person.look is not None for person in one.evidence.people[: one.row])
    return sitting_log_odds(bent, company)[row]


def _table(told: Float[Tensor, " people"], sits: Bool[Tensor, " people"]) -> str:
    rows = []
    for least in _SHARES:
        seated = told >= torch.logit(torch.tensor(least))
        missed, wrong = (~seated)[sits].float().mean(), seated[~sits].float().mean()
        right = (seated == sits).float().mean()
        rows.append((f"{least:.2f}", [f"{missed:.0%}", f"{wrong:.0%}", f"{right:.1%}"]))
    columns = ("sit, taken for not", "do not, taken for sitting", "right")
    return table("from which share of samples", columns, rows)
