"""Who sits, of people in photographs whose legs nobody saw: what the network's samples tell.

Log odds are those of `kinflow/fitting/sample_kinds.py`, alone, with what everybody else in the
photograph does, and with what things about people say; these last also of people about whom there
is something to ride, whose legs are mostly seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from photographs import RIDERS, SEATED, Photographed, photographed
from runs import Sets, table
from torch import Tensor

import kinflow.priors
from kinflow.fitting.sample_kinds import (
    BENT_DEG,
    hip_flexion_deg,
    legs_hidden,
    sitting_log_odds,
    surroundings_log_odds,
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
    predictor = Predictor.load(sets.config.fit.predictor or DEFAULT)
    hidden = [one for one in photographed(sets, folder, SEATED) if _is_told(one)]
    bent = _bent_of(hidden, predictor)
    sits = torch.tensor([one.labelled.label for one in hidden])
    text = f"{len(sits)} people in photographs, {int(sits.sum())} of whom sit\n"
    by_things = _by_things(hidden, True)
    for company in _COMPANY:
        own = torch.stack([_log_odds(one, bent[one.labelled.photo], company) for one in hidden])
        for more, things in ((torch.zeros(()), ""), (by_things, ", things about them")):
            told = own + more
            text += f"\nof pairs in the right order, company {company}{things}: "
            text += f"{order(told, sits):.1%}\n\n" + _table(told, sits)
    return text + _riders(sets, folder, predictor)


def _riders(sets: Sets, folder: Path, predictor: Predictor) -> str:
    """Who rides of people about whom there is something to ride."""
    people = [
        one
        for one in photographed(sets, folder, RIDERS)
        if one.evidence.people[one.row].look is not None
    ]
    bent = _bent_of(people, predictor)
    rides = torch.tensor([one.labelled.label for one in people])
    own = torch.stack([_log_odds(one, bent[one.labelled.photo], 0.0) for one in people])
    text = f"\n{len(rides)} people beside something to ride, {int(rides.sum())} of whom do\n"
    by_things = _by_things(people, False)
    for more, things in ((torch.zeros(()), "alone"), (by_things, "and things about them")):
        told = own + more
        text += f"\nof pairs in the right order, network {things}: {order(told, rides):.1%}; "
        text += f"taken for not: {int((told < 0)[rides].sum())}, "
        text += f"taken for riding: {int((told >= 0)[~rides].sum())}\n"
    return text


def _bent_of(
    people: Sequence[Photographed], predictor: Predictor
) -> dict[str, Bool[Tensor, "people samples"]]:
    """Which samples sit, by photograph."""
    of_photo = {one.labelled.photo: one for one in people}
    return {photo: _bent(one, predictor) for photo, one in of_photo.items()}


def _by_things(people: Sequence[Photographed], hidden: bool) -> Float[Tensor, " people"]:
    seen = [one.evidence.people[one.row] for one in people]
    cameras = [one.camera for one in people]
    return surroundings_log_odds(seen, cameras, torch.full((len(seen),), hidden))


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
