"""Evaluation of one system by one protocol: from two files of rows to a result.

Stages: is the truth what the protocol is about, which of its rows count, who is compared with whom,
the errors of rows, stretches of frames and pictures, and the means of all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int

from kinflow.datasets.person_rows import PersonRows
from kinflow.errors import InputError
from kinflow.evaluation.protocols.image_errors import (
    OVERLAP_FIGURES,
    PRECISION_FIGURES,
    judge_pictures,
    overlaps,
)
from kinflow.evaluation.protocols.matching import Pairs, match
from kinflow.evaluation.protocols.measured import Groups, Measured, by_action, interval, mean
from kinflow.evaluation.protocols.protocol import Protocol
from kinflow.evaluation.protocols.results import Counts, Result, Value, Worst
from kinflow.evaluation.protocols.row_errors import (
    BY_JOINT,
    JOINT_FIGURES,
    MESH_FIGURES,
    MORE_IS_BETTER,
    SHAPE_FIGURES,
    row_errors,
)
from kinflow.evaluation.protocols.selection import check_predictions, check_truth, counted
from kinflow.evaluation.protocols.track_errors import ACCELERATION, NEEDS_RATE, track_figures

NUM_WORST = 12
_ABSENT = {
    **dict.fromkeys(JOINT_FIGURES, "joints_m"),
    **dict.fromkeys(MESH_FIGURES, "vertices_m"),
    **dict.fromkeys(SHAPE_FIGURES, "t_pose_vertices_m or shape"),
    **dict.fromkeys(PRECISION_FIGURES, "keypoints_px"),
    **dict.fromkeys(OVERLAP_FIGURES, "parts or silhouette"),
    ACCELERATION: "joints_m",
}
"""What a figure needs; those of the world need `joints_world_m`."""


@dataclass(frozen=True)
class Compared:
    """A result, and the pairs that it comes from."""

    result: Result
    pairs: Pairs


def evaluate(truth: PersonRows, predictions: PersonRows, protocol: Protocol) -> Compared:
    """Judge a system.

    Raises:
        InputError: files are not what the protocol is about, do not go together, or allow none of
            its figures; with `missing` "refused", somebody has no prediction.
    """
    check_truth(truth, protocol)
    check_predictions(predictions, truth, protocol)
    chosen = counted(truth, protocol)
    by_pictures = bool(set(protocol.figures) & set(PRECISION_FIGURES))
    by_rows = bool(set(protocol.figures) - set(PRECISION_FIGURES))
    nobody = np.zeros(0, np.int64)
    pairs = Pairs(nobody, nobody, 0)
    if by_rows or "keypoints_px" in predictions:
        pairs = _counted_pairs(match(truth, predictions, protocol), chosen)
    missing = np.setdiff1d(np.flatnonzero(chosen), pairs.truth)
    _check_missing(truth, predictions, missing, protocol)
    groups = Groups.of(truth["sequence"], truth.arrays.get("action"), protocol.average)
    measured, by_joint = _measured(truth, predictions, pairs, missing, protocol)
    figures = {
        name: Value(mean(m, groups), *interval(m, groups), len(m)) for name, m in measured.items()
    }
    if by_pictures and "keypoints_px" in truth and "keypoints_px" in predictions:
        judgement = judge_pictures(truth, predictions, chosen, protocol)
        intervals = judgement.intervals()
        figures |= {
            name: Value(value, *intervals[name], len(judgement.pictures))
            for name, value in judgement.figures().items()
            if name in protocol.figures
        }
    figures = {name: figures[name] for name in protocol.figures if name in figures}
    if not figures:
        raise InputError(
            f"'{predictions.name}' and the truth allow no figure of '{protocol.name}': "
            + "; ".join(_reasons(truth, predictions, protocol, figures).values())
            + "."
        )
    sequences = len(np.unique(truth["sequence"][chosen]))
    counts = Counts(int(chosen.sum()), len(pairs.truth), len(missing), pairs.extra, sequences)
    has_actions = "action" in truth
    result = Result(
        system=predictions.name,
        protocol=protocol,
        figures=figures,
        by_action={n: by_action(m, groups) for n, m in measured.items()} if has_actions else {},
        by_joint=by_joint,
        counts=counts,
        absent=_reasons(truth, predictions, protocol, figures),
        worst=_worst(truth, measured, protocol),
    )
    return Compared(result, pairs)


def _counted_pairs(pairs: Pairs, chosen: Bool[np.ndarray, " rows"]) -> Pairs:
    keep = chosen[pairs.truth]
    return replace(pairs, truth=pairs.truth[keep], predicted=pairs.predicted[keep])


def _check_missing(
    truth: PersonRows, predictions: PersonRows, missing: np.ndarray, protocol: Protocol
) -> None:
    if protocol.missing == "refused" and len(missing):
        raise InputError(
            f"'{predictions.name}' has nobody for {truth.where(int(missing[0]))} and "
            f"{len(missing)} rows in all, which the protocol '{protocol.name}' does not allow."
        )


def _measured(
    truth: PersonRows,
    predictions: PersonRows,
    pairs: Pairs,
    missing: Int[np.ndarray, " rows"],
    protocol: Protocol,
) -> tuple[dict[str, Measured], dict[str, dict[str, float]]]:
    """Values of each figure, and means of each joint or part."""
    errors = row_errors(truth, predictions, pairs, protocol)
    shown = overlaps(truth, predictions, pairs, protocol)
    values = {**errors.figures, **shown.figures}
    measured: dict[str, Measured] = {}
    for name in protocol.figures:
        if name in values:
            rows, found = pairs.truth, values[name]
            if protocol.missing == "counted":
                lost = 0.0 if name in MORE_IS_BETTER else protocol.missing_mm
                rows = np.concatenate([rows, missing])
                found = np.concatenate([found, np.full(len(missing), lost)])
            measured[name] = Measured.of(found, rows)
    measured |= track_figures(truth, predictions, pairs, protocol)
    tables: dict[str, dict[str, float]] = {
        name: _column_means(errors.joints[name], protocol.joints)
        for name in BY_JOINT
        if name in errors.joints
    }
    if shown.parts is not None:
        tables["part IoU %"] = _column_means(shown.parts, protocol.part_names)
    return {n: m for n, m in measured.items() if len(m)}, tables


def _column_means(values: np.ndarray, names: tuple[str, ...]) -> dict[str, float]:
    there = ~np.isnan(values)
    sums = np.where(there, values, 0).sum(0)
    return {
        name: float(total / count)
        for name, total, count in zip(names, sums, there.sum(0), strict=True)
        if count
    }


def _reasons(
    truth: PersonRows,
    predictions: PersonRows,
    protocol: Protocol,
    figures: dict[str, Value],
) -> dict[str, str]:
    """Why figures of the protocol are not there."""
    reasons: dict[str, str] = {}
    for name in protocol.figures:
        if name in figures:
            continue
        needed = _ABSENT.get(name, "joints_world_m")
        lacking = [
            rows.name
            for rows in (truth, predictions)
            if not any(n in rows for n in needed.split(" or "))
        ]
        if lacking:
            reasons[name] = f"no {needed} in {' and '.join(repr(n) for n in lacking)}"
        elif name in NEEDS_RATE and "rate_hz" not in truth:
            reasons[name] = f"no rate_hz in {truth.name!r}"
        else:
            reasons[name] = "no row, or stretch of frames, that has it"
    return reasons


def _worst(
    truth: PersonRows, measured: dict[str, Measured], protocol: Protocol
) -> tuple[Worst, ...]:
    """Rows with the largest error of the protocol's first figure that rows have."""
    name = next((n for n in protocol.figures if n in measured), None)
    if name is None:
        return ()
    found = measured[name]
    order = np.argsort(found.values if name in MORE_IS_BETTER else -found.values, kind="stable")
    return tuple(
        Worst(
            str(truth["sequence"][row]),
            int(truth["frame"][row]),
            int(truth["person"][row]) if "person" in truth else 0,
            float(value),
        )
        for row, value in zip(
            found.rows[order[:NUM_WORST]], found.values[order[:NUM_WORST]], strict=True
        )
    )
