"""How far knees and elbows are bent: in motion capture, in photographs, and in fits to these.

Whoever is seen from the side shows how far. How far people bend their knees does not depend on who
looks from where, so fits of people who are seen from in front should not either.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from photographs import detected
from runs import Sets, of, table
from torch import Tensor

from kinflow.body.hinges import ELBOWS, KNEES, hinge_flexion_deg
from kinflow.body.skeleton import FREE_JOINTS
from kinflow.datasets.poses import PoseSet
from kinflow.evidence.image import read_photo
from kinflow.fitting.photo import leg_confidence
from kinflow.fitting.sample_kinds import BENT_DEG, HIDDEN_LEGS, hip_flexion_deg
from kinflow.fitting.straight_limbs import Bends
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.results import Person

_LEAST_PX = 100.0
_VIEWS = {"from the side": 0.35, "obliquely": 0.7, "from in front or behind": 1.01}
"""Up to which cosine between where people face and where the camera looks, along the ground."""
_PICTURE_DEG = (8, 16, 30, 60, 180)


@dataclass(frozen=True)
class Shown:
    """A knee or an elbow of somebody in a photograph, who does not sit."""

    is_knee: bool
    facing: float
    """Cosine between where they face and where the camera looks, along the ground."""
    picture_deg: float
    """NaN where it was not seen."""
    fitted_deg: float
    legs_hidden: bool


def bends(sets: Sets) -> str:
    """Angles of the training subjects, of people in photographs by view, and of fits to them."""
    text = _learned(sets)
    if sets.config.photographs is None:
        return text + "\n(photographs: needs --photographs)\n"
    shown = list(_in_photographs(sets))
    return text + "\n" + _by_view(shown) + "\n" + _from_the_side(shown)


def _learned(sets: Sets) -> str:
    if sets.config.poses is None:
        return "(motion capture: needs --poses)\n"
    poses = PoseSet.load(sets.config.poses).split("train")
    R_free = rotvec_to_matrix(poses.rotvec)
    flexion = hinge_flexion_deg(R_free)
    upright = hip_flexion_deg(R_free) <= BENT_DEG
    rows = [
        (name, _spread(values.flatten()))
        for name, values in (
            ("knees of who does not sit", flexion[upright, KNEES]),
            ("elbows", flexion[:, ELBOWS]),
        )
    ]
    return table("training subjects, °", ("mean", "std", "5 %", "25 %", "median", "75 %"), rows)


def _spread(values: Float[Tensor, " values"]) -> list[str]:
    told = values.double().numpy()
    return [
        *(f"{value:.0f}" for value in (told.mean(), told.std())),
        *(of(told, how, 0) for how in ("5 %", "25 %", "median", "75 %")),
    ]


def _in_photographs(sets: Sets) -> Iterator[Shown]:
    assert sets.config.photographs is not None
    for path in sorted(sets.config.photographs.glob("*.jpg")):
        photo = read_photo(path)
        evidence = detected(sets, path.stem, photo)
        models = sets.reconstructor
        fit = (models.alone or models.fitter).fit(evidence, models.camera(photo))
        if fit.gravity is None:
            continue
        up, seen = torch.tensor(fit.gravity.up_cam), evidence.people
        pictures, legs = Bends.of(seen), leg_confidence(seen)
        angles = pictures.angle_deg.masked_fill(pictures.seen < 1, torch.nan)
        for row, person in enumerate(fit.people):
            if seen[row].height_px < _LEAST_PX:
                continue
            yield from _limbs_of(person, up, angles[row], bool(legs[row] < HIDDEN_LEGS))


def _limbs_of(
    person: Person, up_cam: Float[Tensor, " 3"], picture_deg: Float[Tensor, " 4"], hidden: bool
) -> Iterator[Shown]:
    R_free = person.pose[list(FREE_JOINTS)]
    if float(hip_flexion_deg(R_free)) > BENT_DEG:
        return
    along = [
        F.normalize(way - (way @ up_cam) * up_cam, dim=0)
        for way in (person.pose[0, :, 2], person.t_cam_root_m)
    ]
    facing = abs(float(along[0] @ along[1]))
    for limb, fitted in enumerate(hinge_flexion_deg(R_free).tolist()):
        yield Shown(limb < KNEES.stop, facing, float(picture_deg[limb]), fitted, hidden)


def _by_view(shown: Sequence[Shown]) -> str:
    rows = []
    for is_knee in (True, False):
        least = 0.0
        for view, most in _VIEWS.items():
            mine = [
                one
                for one in shown
                if one.is_knee == is_knee
                and least <= one.facing < most
                and not math.isnan(one.picture_deg)
            ]
            least = most
            rows.append((f"{'knees' if is_knee else 'elbows'}, seen {view}", _cells(mine)))
    hidden = [one for one in shown if one.is_knee and one.legs_hidden]
    rows.append(("knees that nobody saw", _cells(hidden)))
    columns = ("limbs", "in the picture 25 %", "median", "75 %", "fitted 25 %", "median", "75 %")
    return table("photographs, °", columns, rows)


def _cells(mine: Sequence[Shown]) -> list[str]:
    parts = ([one.picture_deg for one in mine], [one.fitted_deg for one in mine])
    return [str(len(mine))] + [
        of(values, how, 0) for values in parts for how in ("25 %", "median", "75 %")
    ]


def _from_the_side(shown: Sequence[Shown]) -> str:
    rows, least = [], 0
    for most in _PICTURE_DEG:
        mine = [
            one
            for one in shown
            if one.is_knee and one.facing < 0.5 and least <= one.picture_deg < most
        ]
        error = [abs(one.fitted_deg - one.picture_deg) for one in mine]
        cells = [str(len(mine)), of([one.fitted_deg for one in mine], "median", 0)]
        rows.append((f"bent by {least} to {most}°", [*cells, of(error, "mean")]))
        least = most
    return table("knees seen from the side", ("limbs", "fitted median °", "off by °"), rows)
