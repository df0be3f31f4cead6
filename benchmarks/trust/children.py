"""What tells children from adults: the numbers of `fitting/sizes.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float64
from photographs import CHILDREN, photographed
from runs import Sets, of, percent, table
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.body.measure import measure
from kinflow.evaluation.logistic import logistic
from kinflow.fitting.size_signs import SizeSigns
from kinflow.fitting.sizes import (
    FLOOR_WEIGHT,
    LOG_ODDS_UNKNOWN,
    child_log_odds,
    face_log_odds,
    standardised,
)

UNDER_TEN_M = 1.38
"""True children of less than this height count as under ten years."""
_LOG_ODDS = (-1.0, -0.6, -0.4, -0.3, -0.2, -0.1, 0.0)
_TAKEN_PERCENT = (1, 2, 3, 5, 10, 20)
"""Shares of adults who are taken for children."""
_CURVE = ("AUC", *(f"{share} % of adults" for share in _TAKEN_PERCENT))
_ADULT = -9.0
"""Log odds of whom nothing is known."""
_NOTHING = SizeSigns(None, None)
_SIGNS = ("head", "face", "network", "outline")
_KINDS = (
    ("head", "face", "network", "outline"),
    ("face", "network", "outline"),
    ("head", "face", "network"),
    ("face", "network"),
    ("head", "face"),
    ("network",),
)
"""The signs of a regression each."""


@dataclass(frozen=True)
class Shown:
    """Somebody who was found, and the signs that they show."""

    child: bool
    signs: SizeSigns
    photo: int
    age: float = torch.nan
    """Phenotype, of rendered people."""
    height_m: float = torch.nan
    is_photograph: bool = False

    @property
    def under_ten(self) -> bool:
        return self.child and self.height_m < UNDER_TEN_M


def children(sets: Sets) -> str:
    """Signs of adults and children, who would be a child from which log odds on, and the weights of
    regressions on the signs of this set, and of photographs, if there are some."""
    body = BodyModel.load()
    rendered = [
        Shown(
            person.child,
            signs or _NOTHING,
            seen.number,
            float(person.shape[1]),
            measure(body.with_shape(person.shape)).height_m,
        )
        for seen in sets.seen("sizes")
        for person, signs in sets.size_signs(seen)
    ]
    folder = sets.config.photographs
    photos = _in_photographs(sets, folder) if folder is not None else []
    text = told_apart(rendered, photos)
    text += curves(rendered, photos)
    text += crossed(rendered, photos) if photos else ""
    text += _faces(photos) if photos else ""
    for names in _KINDS:
        text += _weights(names, _known(names, (*rendered, *photos)))
    return text


def _in_photographs(sets: Sets, folder: Path) -> list[Shown]:
    """Everybody of the list; whole photographs are fitted, each once."""
    shown, signs = [], {}
    for one in photographed(sets, folder, CHILDREN):
        label = one.labelled
        if label.photo not in signs:
            signs[label.photo] = sets.reconstructor.fitter.size_signs(one.evidence, one.camera)
        own = signs[label.photo][one.row] or _NOTHING
        shown.append(Shown(label.label, own, int(label.photo), is_photograph=True))
    return shown


def told_apart(rendered: Sequence[Shown], photos: Sequence[Shown]) -> str:
    """Signs of groups of people, and how many of them reach which log odds."""
    groups = {
        "adults": [one for one in rendered if not one.child],
        "children": [one for one in rendered if one.child],
        "under ten": [one for one in rendered if one.under_ten],
        "adults in photographs": [one for one in photos if not one.child],
        "children in photographs": [one for one in photos if one.child],
    }
    rows = []
    for name, mine in groups.items():
        if not mine:
            continue
        cells = [str(len(mine)), percent([one.signs.face is not None for one in mine])]
        for sign in (*_SIGNS, "floor"):
            known = [value for one in mine if (value := getattr(one.signs, sign)) is not None]
            cells += [of(known, "mean", 3), f"{torch.tensor(known).std():.3f}"]
        cells += [percent([one.signs.face_age is not None for one in mine])]
        odds = _shipped(mine)
        cells += [percent([value >= least for value in odds]) for least in _LOG_ODDS]
        for sign in ("floor", "face_age"):
            cells += [percent([value >= 0.0 for value in _shipped(_without(sign, mine))])]
        rows.append((name, cells))
    columns = ("people", "show proportions")
    columns += tuple(f"{sign} {what}" for sign in (*_SIGNS, "floor") for what in ("mean", "std"))
    columns += ("show a face", *(f"log odds {least}" for least in _LOG_ODDS))
    columns += ("0.0 without the floor", "0.0 without faces' ages")
    return table("children", columns, rows)


def _without(sign: str, people: Sequence[Shown]) -> list[Shown]:
    return [replace(one, signs=replace(one.signs, **{sign: None})) for one in people]


def _shipped(people: Sequence[Shown]) -> list[float]:
    """Log odds of being a child by the weights that ship."""
    return [child_log_odds(one.signs) if one.signs != _NOTHING else -torch.inf for one in people]


def curves(rendered: Sequence[Shown], photos: Sequence[Shown]) -> str:
    """How many children are known where so many adults are taken for some."""
    rows = []
    for name, people in (
        ("rendered, under ten", [one for one in rendered if one.under_ten or not one.child]),
        ("in photographs", photos),
        ("the same without faces' ages", _without("face_age", photos)),
    ):
        rows += _curve(name, list(zip(people, _shipped(people), strict=True)))
    return "\n" + table("children known at", _CURVE, rows)


def _curve(name: str, people: Sequence[tuple[Shown, float]]) -> list[tuple[str, list[str]]]:
    """A row of the table of curves, none without children or adults."""
    child = torch.tensor([one.child for one, _ in people], dtype=torch.bool)
    told = torch.tensor([value for _, value in people])
    odds, others = told[child], told[~child]
    if not len(odds) or not len(others):
        return []
    ranks = (odds[:, None] > others).double() + 0.5 * (odds[:, None] == others).double()
    least = others.sort(descending=True).values
    taken = [int(len(others) * share / 100) for share in _TAKEN_PERCENT]
    known = [percent((odds > least[count]).numpy()) for count in taken]
    return [(name, [f"{float(ranks.mean()):.3f}", *known])]


def _serves(signs: SizeSigns, names: Sequence[str]) -> bool:
    """Whether somebody is among those whom a regression on these signs is fitted to."""
    if names == ("network",):  # proportions speak where they are seen
        return signs.face is None and signs.network is not None
    return all(getattr(signs, name) is not None for name in names)


def crossed(rendered: Sequence[Shown], photos: Sequence[Shown]) -> str:
    """The same of photographs by regressions on rendered people and on the other photographs."""
    bodies: list[tuple[Shown, float]] = []
    everything: list[tuple[Shown, float]] = []
    for half in (0, 1):
        mine = [one for one in photos if one.photo % 2 == half]
        others = [one for one in photos if one.photo % 2 != half]
        learned = [*rendered, *others]
        fitted = {names: _odds(names, _known(names, learned)) for names in _KINDS}
        faces = _face_weights(others, [_log_odds(one.signs, fitted) for one in others])
        own = [_log_odds(one.signs, fitted) for one in mine]
        told = [_with_face(one.signs, value, faces) for one, value in zip(mine, own, strict=True)]
        bodies += zip(mine, own, strict=True)
        everything += zip(mine, told, strict=True)
    text, rows = "", []
    for name, found in (("all signs", everything), ("without faces' ages", bodies)):
        for who, child in (("adults", False), ("children", True)):
            odds = [value for one, value in found if one.child == child]
            cells = [percent([value >= least for value in odds]) for least in _LOG_ODDS]
            rows.append((f"{who}, {name}", cells))
        text += table(
            f"children known by the others, {name}, at", _CURVE, _curve("in photographs", found)
        )
    columns = tuple(f"log odds {least}" for least in _LOG_ODDS)
    return "\n" + table("photographs, by the others", columns, rows) + "\n" + text


def _log_odds(
    signs: SizeSigns, fitted: dict[tuple[str, ...], Float64[Tensor, " weights"]]
) -> float:
    """By everything but how old the face looks."""
    given = tuple(name for name in _SIGNS if getattr(signs, name) is not None)
    if signs.network is None:
        given = tuple(name for name in given if name != "outline")
    if given not in fitted:
        return LOG_ODDS_UNKNOWN if signs.face_age is not None else _ADULT
    x = [standardised(signs)[_SIGNS.index(name)] for name in given]
    weights = fitted[given]
    own = float(weights[0] + torch.tensor(x, dtype=weights.dtype) @ weights[1:])
    return own + FLOOR_WEIGHT * (signs.floor or 0.0)


def _face_weights(
    people: Sequence[Shown], log_odds: Sequence[float]
) -> Float64[Tensor, " weights"]:
    """What a face whose own log odds are even adds to log odds by everything else, and by each."""
    known = [
        (one, value)
        for one, value in zip(people, log_odds, strict=True)
        if one.signs.face_age is not None
    ]
    x = [[face_log_odds(one.signs.face_age)] for one, _ in known if one.signs.face_age is not None]
    child, own = [one.child for one, _ in known], [value for _, value in known]
    return logistic(
        torch.tensor(x, dtype=torch.float64),
        torch.tensor(child, dtype=torch.float64),
        torch.tensor(own, dtype=torch.float64),
        ridge=0.01,  # one sign of hundreds of people
    )


def _with_face(signs: SizeSigns, own: float, weights: Float64[Tensor, " weights"]) -> float:
    if signs.face_age is None:
        return own
    return own + max(0.0, float(weights[0] + weights[1] * face_log_odds(signs.face_age)))


def _faces(photos: Sequence[Shown]) -> str:
    """How far faces are believed beside the shipped weights of everything else."""
    own = _shipped(_without("face_age", photos))
    weights = _face_weights(photos, [max(value, _ADULT) for value in own])
    count = sum(one.signs.face_age is not None for one in photos)
    return f"\nFaces of {count} people: log odds where even, and by each: {_told(weights)}.\n"


def _known(names: Sequence[str], people: Sequence[Shown]) -> list[Shown]:
    return [one for one in people if _serves(one.signs, names)]


def _columns(names: Sequence[str], known: Sequence[Shown]) -> Float64[Tensor, "people signs"]:
    rows = [_SIGNS.index(name) for name in names]
    told = [standardised(one.signs) for one in known]
    return torch.tensor(told, dtype=torch.float64)[:, rows]


def _odds(names: Sequence[str], known: Sequence[Shown]) -> Float64[Tensor, " weights"]:
    """Log odds of being a child at an adult's signs, as likely as in photographs where there are
    some, and by each."""
    x = _columns(names, known)
    child = torch.tensor([one.child for one in known], dtype=torch.float64)
    photo = torch.tensor([one.is_photograph for one in known])
    if not 0 < int(photo.sum()) < len(known):
        return logistic(x, child)
    # children are as frequent as a set has them
    odds = logistic(torch.cat([x, photo[:, None].double()], 1), child)
    return torch.cat([odds[:1] + odds[-1], odds[1:-1]])


def _weights(names: Sequence[str], known: Sequence[Shown]) -> str:
    """Regressions on some signs: log odds of being a child, and ages of children."""
    if not 0 < sum(one.child for one in known) < len(known):
        return ""
    text = (
        f"\n{', '.join(names)} of {len(known)} people "
        f"({sum(one.is_photograph for one in known)} in photographs): log odds at an adult's "
        f"signs, and by each: {_told(_odds(names, known))}"
    )
    mine = [one for one in known if one.child and not one.is_photograph]
    if len(mine) > len(names) + 1:
        age = torch.tensor([one.age for one in mine], dtype=torch.float64)
        design = torch.cat([torch.ones_like(age)[:, None], _columns(names, mine)], 1)
        weights: Tensor = torch.linalg.lstsq(design, age[:, None]).solution[:, 0]
        left = age - design @ weights
        text += f"; a child's age by the same: {_told(weights)}, spread {left.std():.3f}"
    return text + ".\n"


def _told(weights: Float64[Tensor, " weights"]) -> str:
    return ", ".join(f"{weight:.3f}" for weight in weights.tolist())
