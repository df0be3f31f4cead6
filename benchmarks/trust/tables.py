"""One function a table: what each set measures, in numbers."""

from __future__ import annotations

from collections import Counter

import torch
from children import UNDER_TEN_M
from errors import (
    FAR_DEG,
    RIGHT_MM,
    angle_deg,
    pa_mm,
    pa_seen_mm,
    place_mm,
    sitting,
    trunk_error_deg,
)
from runs import PHOTOS, FittedWorld, Pair, Sets, found_pairs, of, percent, table, up_of

from kinflow.body import BodyModel
from kinflow.body.keypoints import LIMB_KEYPOINTS
from kinflow.body.measure import measure
from kinflow.fitting.sample_kinds import CHILD_BELOW_AGE
from kinflow.metrics.vertices import t_pose_pve
from kinflow.synth.matching import height_px

CLEAR_SHARE, CLEAR_PX = 0.5, 60.0


def hidden(sets: Sets) -> str:
    """Legs behind furniture, behind somebody, below the edge: the first person of each photo."""
    worlds = sets.fitted("hidden")
    kinds = ("furniture", "person", "edge")
    rows = []
    for name in ("all", *kinds):
        mine = [w.pairs[0] for w in worlds if name in ("all", w.seen.world.hiding)]
        found = [(p.truth, p.person) for p in mine if p.person is not None]
        tilt = [trunk_error_deg(*pair) for pair in found]
        cells = [f"{len(found)} of {len(mine)}", of(tilt, "mean"), of(tilt, "median")]
        cells += [percent([error > FAR_DEG for error in tilt])]
        cells += [of([pa_mm(*p) for p in found], "mean")]
        cells += [of([pa_seen_mm(*p) for p in found], "mean")]
        sits = [(sitting(t.pose), sitting(p.pose)) for t, p in found]
        cells += [percent([not own for true, own in sits if true])]
        cells += [percent([own for true, own in sits if not true])]
        rows.append((name, cells))
    columns = (
        "found",
        "trunk tilt error mean °",
        "median °",
        f"beyond {FAR_DEG:.0f}°",
        "PA-MPJPE mm",
        "of what is seen mm",
        "sitting taken for standing",
        "standing for sitting",
    )
    return table("hidden legs", columns, rows)


def pitch(sets: Sets) -> str:
    """Pitched cameras: gravity of each photo, trunks of the people in it."""
    worlds = [w for w in sets.fitted("pitch") if w.result.people]
    groups: dict[str, list[FittedWorld]] = {
        "all": worlds,
        "only lying people": [w for w in worlds if _postures(w) == {"lying"}],
        "nobody lies": [w for w in worlds if "lying" not in _postures(w)],
    }
    rows = []
    for name, mine in groups.items():
        gravity = [angle_deg(up_of(w.result), w.seen.world.up_cam) for w in mine]
        tilt = [trunk_error_deg(*pair) for pair in found_pairs(mine)]
        rows.append((name, [str(len(mine)), *_angles(gravity), *_angles(tilt)]))
    for posture in ("standing", "sitting", "lying"):
        pairs = [p for p in found_pairs(worlds) if p[0].posture == posture]
        tilt = [trunk_error_deg(*pair) for pair in pairs]
        rows.append((f"people {posture}", [f"{len(tilt)} people", "", "", "", *_angles(tilt)]))
    columns = ("photos", "gravity error median °", "90 % °", "mean °")
    return table("pitched cameras", (*columns, "trunk error median °", "90 % °", "mean °"), rows)


def _postures(world: FittedWorld) -> set[str]:
    return {person.posture for person in world.seen.world.people}


def _angles(values: list[float]) -> list[str]:
    return [of(values, "median"), of(values, "90 %"), of(values, "mean")]


def sizes(sets: Sets) -> str:
    """Adults and children in full view: how tall they come out, and as what."""
    body = BodyModel.load()
    rows = []
    pairs = list(found_pairs(sets.fitted("sizes")))
    true_m = [measure(body.with_shape(truth.shape)).height_m for truth, _ in pairs]
    own_m = [person.measures().height_m for _, person in pairs]
    everybody = list(zip(pairs, true_m, own_m, strict=True))
    groups = {
        "all": everybody,
        "adults": [one for one in everybody if not one[0][0].child],
        "children": [one for one in everybody if one[0][0].child],
        f"children below {UNDER_TEN_M} m": [
            one for one in everybody if one[0][0].child and one[1] < UNDER_TEN_M
        ],
    }
    for name, mine in groups.items():
        error = [1000 * abs(own - true) for _, true, own in mine]
        signed = [1000 * (own - true) for _, true, own in mine]
        shape = [1000 * float(t_pose_pve(body, p.shape, t.shape)) for (t, p), _, _ in mine]
        right = [(float(p.shape[1]) < CHILD_BELOW_AGE) == t.child for (t, p), _, _ in mine]
        cells = [str(len(mine)), of(error, "mean", 0), of(error, "median", 0)]
        cells += [of(signed, "mean", 0), of(shape, "mean"), percent(right)]
        rows.append((name, cells))
    columns = (
        "people",
        "height error mean mm",
        "median mm",
        "signed mean mm",
        "T-pose PVE mm",
        "known as what they are",
    )
    return table("sizes", columns, rows)


def space(sets: Sets) -> str:
    """Where the pelvis is, with and without the detector's 3D landmarks."""
    rows = []
    for name in PHOTOS:
        for landmarks in (True, False):
            pairs = list(found_pairs(sets.fitted(name, landmarks)))
            errors = [place_mm(*pair) for pair in pairs]
            total, along, across = (list(column) for column in zip(*errors, strict=True))
            relative = [
                0.1 * error / float(truth.t_cam_root_m.norm())
                for error, (truth, _) in zip(total, pairs, strict=True)
            ]
            cells = [str(len(pairs)), of(total, "mean", 0), of(total, "median", 0)]
            cells += [of(relative, "mean"), of(relative, "median")]
            cells += [of(along, "mean", 0), of(across, "mean", 0)]
            rows.append((f"{name}{'' if landmarks else ', without 3D landmarks'}", cells))
    columns = ("people", "mean mm", "median mm", "of the distance, mean %", "median %")
    return table("position in space", (*columns, "along the sight mm", "across mm"), rows)


def crowd(sets: Sets) -> str:
    """Who is found among many."""
    worlds = sets.fitted("crowd")
    pairs = [pair for world in worlds for pair in world.pairs]
    clear = [pair for pair in pairs if _is_clear(pair)]
    ghosts = sum(world.ghosts for world in worlds)
    rows = []
    for name, mine in (("clearly visible", clear), ("all", pairs)):
        found = [(p.truth, p.person) for p in mine if p.person is not None]
        share = percent([p.person is not None for p in mine])
        pa = [pa_mm(*pair) for pair in found]
        cells = [str(len(mine)), share, of(pa, "mean"), of(pa, "median")]
        rows.append((name, [*cells, percent([error < RIGHT_MM for error in pa]), str(ghosts)]))
    columns = ("people", "found", "PA-MPJPE mm", "median mm", f"below {RIGHT_MM:.0f} mm", "ghosts")
    return table("crowd", columns, rows)


def _is_clear(pair: Pair) -> bool:
    """Half of the limbs' keypoints are uncovered, and the person is not tiny."""
    shown = pair.truth.keypoint_uncovered[list(LIMB_KEYPOINTS)].float().mean()
    return float(shown) >= CLEAR_SHARE and height_px(pair.truth) >= CLEAR_PX


def codes(sets: Sets) -> str:
    """What codes are worth, over all sets."""
    pairs = [pair for name in PHOTOS for pair in found_pairs(sets.fitted(name))]
    counts = Counter(person.code for _, person in pairs)
    rows = []
    for code, count in [("all", len(pairs)), *counts.most_common()]:
        mine = [pair for pair in pairs if code in ("all", pair[1].code)]
        pa = torch.tensor([pa_mm(*pair) for pair in mine])
        tilt = torch.tensor([trunk_error_deg(*pair) for pair in mine])
        right = [(pa < RIGHT_MM).numpy(), (tilt < FAR_DEG).numpy()]
        both = ((pa < RIGHT_MM) & (tilt < FAR_DEG)).numpy()
        rows.append((code, [str(count), *(percent(hits) for hits in (*right, both))]))
    columns = (
        "people",
        f"PA-MPJPE below {RIGHT_MM:.0f} mm",
        f"trunk within {FAR_DEG:.0f}°",
        "both",
    )
    return table("code", columns, rows)
