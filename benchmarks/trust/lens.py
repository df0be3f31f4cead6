"""Photos that say nothing of their lens: how far off it is as assumed, and as floors tell it.

The same fits with the default field of view and with what `kinflow/fitting/floor_focal.py` makes of
it, of photos in which two people and more were found. `telephoto` are crowds seen from the stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from runs import FittedWorld, Sets, of, table, up_of

from kinflow.pipeline.reconstructor import DEFAULT_FOV_DEG
from kinflow.results import Person
from kinflow.synth.world import WorldPerson

SETS = ("pitch", "crowd", "telephoto")


def lens(sets: Sets) -> str:
    """Focal lengths, what is up and distances, by set, without and with floors."""
    rows = []
    assumed, told = (_without_lenses(sets, floor_focal) for floor_focal in (False, True))
    for name in SETS:
        for title, some in ((name, assumed), (f"{name}, by floors", told)):
            worlds = [one for one in some.fitted(name) if len(one.result.people) > 1]
            rows.append((title, _cells(worlds)))
    columns = (
        "photos",
        "other lens",
        "lens off by %",
        "up °",
        "90 %",
        "distance off by %",
        "median",
    )
    return table("lens not known", columns, rows)


def _without_lenses(sets: Sets, floor_focal: bool) -> Sets:
    config = sets.config
    fit = replace(config.fit.fit, floor_focal=floor_focal)
    return sets.with_options(replace(config, default_focal=True, fit=replace(config.fit, fit=fit)))


def _cells(worlds: Sequence[FittedWorld]) -> list[str]:
    lenses, ups, distances, changed = [], [], [], 0
    for one in worlds:
        truth, camera = one.seen.world, one.result.only_frame.camera
        lenses.append(100 * abs(math.log(camera.focal_px / truth.camera.focal_px)))
        ups.append(math.degrees(math.acos(float((up_of(one.result) @ truth.up_cam).clamp(-1, 1)))))
        changed += abs(camera.fov_deg - DEFAULT_FOV_DEG) > 0.5
        distances += [
            100 * abs(math.log(_away_m(pair.person) / _away_m(pair.truth)))
            for pair in one.pairs
            if pair.person is not None
        ]
    means = [of(lenses, "mean", 0), of(ups, "mean"), of(ups, "90 %")]
    return [str(len(worlds)), str(changed), *means, of(distances, "mean"), of(distances, "median")]


def _away_m(person: Person | WorldPerson) -> float:
    return float(person.t_cam_root_m.norm())
