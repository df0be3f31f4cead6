"""Errors of one body in one frame: of joints, of meshes and of shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.model import BodyModel
from kinflow.datasets.person_rows import PersonRows
from kinflow.errors import InputError
from kinflow.evaluation.protocols.matching import Pairs
from kinflow.evaluation.protocols.protocol import Figure, Protocol
from kinflow.evaluation.protocols.root_joints import joints_of, joints_that_count, roots_of
from kinflow.metrics.pose import best_of, distances, pck, pck_area, procrustes, scaled, similarity
from kinflow.metrics.pose import rooted as relative
from kinflow.metrics.vertices import shape_error, t_pose_pve

CHUNK = 256
"""Pairs at once; meshes are large."""
LEAST_FOR_PA = 3
JOINT_FIGURES: tuple[Figure, ...] = ("MPJPE mm", "N-MPJPE mm", "PA-MPJPE mm", "PCK %", "AUC %")
MESH_FIGURES: tuple[Figure, ...] = ("PVE mm", "PA-PVE mm")
SHAPE_FIGURES: tuple[Figure, ...] = ("PVE-T mm", "PVE-T-SC mm")
BY_JOINT: tuple[Figure, ...] = ("MPJPE mm", "PA-MPJPE mm")
MORE_IS_BETTER: tuple[Figure, ...] = (
    "PCK %",
    "AUC %",
    "OKS AP %",
    "OKS AP50 %",
    "OKS AP75 %",
    "OKS AR %",
    "part IoU %",
    "silhouette IoU %",
)
_MM = 1000.0
_Errors = dict[str, np.ndarray]


@dataclass(frozen=True)
class RowErrors:
    """Errors of pairs, in the units of the figures; NaN where a pair has no such error."""

    figures: Mapping[str, Float[np.ndarray, " pairs"]]
    joints: Mapping[str, Float[np.ndarray, "pairs joints"]]
    """Distances of each joint after the alignment of the figure, of the best sample."""


def row_errors(
    truth: PersonRows, predictions: PersonRows, pairs: Pairs, protocol: Protocol
) -> RowErrors:
    """All figures of the protocol that single rows have, as far as both files allow.

    Raises:
        InputError: predictions lack joints that the truth counts, or have too few samples.
    """
    wanted = set(protocol.figures)
    both = {name for name in truth.arrays if name in predictions}
    makers: list[Callable[[np.ndarray, np.ndarray], tuple[_Errors, _Errors]]] = []
    if "joints_m" in both and wanted & {*JOINT_FIGURES, *MESH_FIGURES}:
        _check_complete(truth, predictions, pairs, protocol)
        makers.append(lambda t, p: _pose_errors(truth, predictions, t, p, protocol))
    if wanted & set(SHAPE_FIGURES) and both & {"shape", "t_pose_vertices_m"}:
        makers.append(lambda t, p: (_shape_errors(truth, predictions, t, p), {}))
    figures: dict[str, list[np.ndarray]] = {}
    joints: dict[str, list[np.ndarray]] = {}
    for begin in range(0, len(pairs.truth), CHUNK):
        chunk = slice(begin, begin + CHUNK)
        for maker in makers:
            for found, into in zip(
                maker(pairs.truth[chunk], pairs.predicted[chunk]), (figures, joints), strict=True
            ):
                for name, values in found.items():
                    into.setdefault(name, []).append(values)
    return RowErrors(
        {name: np.concatenate(v) for name, v in figures.items() if name in wanted},
        {name: np.concatenate(v) for name, v in joints.items() if name in wanted},
    )


def _check_complete(
    truth: PersonRows, predictions: PersonRows, pairs: Pairs, protocol: Protocol
) -> None:
    """Nobody gets away with leaving out the hard joints, or with fewer tries than others."""
    if predictions["joints_m"].shape[1] < protocol.best_of:
        raise InputError(
            f"'{predictions.name}' has {predictions['joints_m'].shape[1]} samples of joints_m, the "
            f"protocol takes the best of {protocol.best_of}."
        )
    needed = joints_that_count(truth, pairs.truth, protocol)
    there = joints_that_count(predictions, pairs.predicted, protocol)
    lacking = needed & ~there
    if lacking.any():
        pair, joint = (int(place[0]) for place in np.nonzero(lacking))
        raise InputError(
            f"'{predictions.name}' has no {protocol.joints[joint]} for "
            f"{truth.where(int(pairs.truth[pair]))}, which the truth counts; predict it, or leave "
            "the whole row out."
        )


def _pose_errors(
    truth: PersonRows,
    predictions: PersonRows,
    true_rows: np.ndarray,
    predicted_rows: np.ndarray,
    protocol: Protocol,
) -> tuple[_Errors, _Errors]:
    counts = joints_that_count(truth, true_rows, protocol)
    own = joints_of(predictions, predicted_rows, protocol)[:, : protocol.best_of]
    true = joints_of(truth, true_rows, protocol).expand(-1, own.shape[1], -1, -1)
    figures: _Errors = {}
    joints: _Errors = {}
    patterns, pattern_of = np.unique(counts, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        rows = np.flatnonzero(pattern_of.reshape(-1) == number)
        if not pattern.any():
            continue
        chosen = own[rows][:, :, pattern], true[rows][:, :, pattern]
        errors, by_joint = _joint_errors(*chosen, protocol)
        if any(name in protocol.figures for name in MESH_FIGURES):
            mesh = _meshes(truth, predictions, true_rows[rows], predicted_rows[rows], protocol)
            errors |= _mesh_errors(*mesh, *chosen, protocol) if mesh else {}
        for name, values in errors.items():
            _into(figures, name, (len(counts),))[rows] = values
        for name, values in by_joint.items():
            _into(joints, name, counts.shape)[np.ix_(rows, np.flatnonzero(pattern))] = values
    return figures, joints


def _joint_errors(
    own: Float[Tensor, "rows samples joints 3"],
    true: Float[Tensor, "rows samples joints 3"],
    protocol: Protocol,
) -> tuple[_Errors, _Errors]:
    """Figures of joints relative to the root, and the distances behind two of them."""
    plain = _MM * distances(own, true)
    near = pck(plain, protocol.pck_within_mm)
    area = pck_area(plain, protocol.auc_thresholds_mm)
    errors: _Errors = {
        "MPJPE mm": _best(plain.mean(-1)),
        "N-MPJPE mm": _best(_MM * distances(scaled(own, true), true).mean(-1)),
        "PCK %": 100 * (1 - _best(1 - near)),
        "AUC %": 100 * (1 - _best(1 - area)),
    }
    joints: _Errors = {"MPJPE mm": _of_best(plain)}
    if own.shape[2] >= LEAST_FOR_PA:
        aligned = _MM * distances(procrustes(own, true), true)
        errors["PA-MPJPE mm"] = _best(aligned.mean(-1))
        joints["PA-MPJPE mm"] = _of_best(aligned)
    return errors, joints


def _meshes(
    truth: PersonRows,
    predictions: PersonRows,
    true_rows: np.ndarray,
    predicted_rows: np.ndarray,
    protocol: Protocol,
) -> tuple[Tensor, Tensor] | None:
    """Vertices relative to the roots of their joints; None where a file has none."""
    if "vertices_m" not in truth or "vertices_m" not in predictions:
        return None
    samples = predictions["vertices_m"].shape[1]
    if samples < protocol.best_of:
        raise InputError(
            f"'{predictions.name}' has {samples} samples of vertices_m, the protocol takes the "
            f"best of {protocol.best_of}."
        )
    own, true = (
        relative(torch.from_numpy(rows["vertices_m"][index].astype(np.float64))[:, :most], root)
        for rows, index, most, root in (
            (
                predictions,
                predicted_rows,
                protocol.best_of,
                roots_of(predictions, predicted_rows, protocol)[:, : protocol.best_of],
            ),
            (truth, true_rows, 1, roots_of(truth, true_rows, protocol)[:, :1]),
        )
    )
    return own, true.expand_as(own)


def _mesh_errors(
    own: Float[Tensor, "rows samples vertices 3"],
    true: Float[Tensor, "rows samples vertices 3"],
    own_joints: Float[Tensor, "rows samples joints 3"],
    true_joints: Float[Tensor, "rows samples joints 3"],
    protocol: Protocol,
) -> _Errors:
    errors: _Errors = {"PVE mm": _best(_MM * distances(own, true).mean(-1))}
    by_joints = protocol.pa_vertices_by == "joints"
    if not by_joints or own_joints.shape[2] >= LEAST_FOR_PA:
        found = similarity(own_joints, true_joints) if by_joints else similarity(own, true)
        errors["PA-PVE mm"] = _best(_MM * distances(found(own), true).mean(-1))
    return errors


def _shape_errors(
    truth: PersonRows, predictions: PersonRows, true_rows: np.ndarray, predicted_rows: np.ndarray
) -> _Errors:
    """Of meshes in the T-pose; where both files have shapes of our body, of that."""
    if "t_pose_vertices_m" in truth and "t_pose_vertices_m" in predictions:
        own, true = (
            torch.from_numpy(rows["t_pose_vertices_m"][index].astype(np.float64))
            for rows, index in ((predictions, predicted_rows), (truth, true_rows))
        )
        pairs = (shape_error(own, true), shape_error(own, true, scale_corrected=True))
    else:
        # a person keeps one shape through a clip, and meshes are large
        both = np.concatenate(
            [predictions["shape"][predicted_rows], truth["shape"][true_rows]], 1
        ).astype(np.float32)
        distinct, place = np.unique(both, axis=0, return_inverse=True)
        own, true = torch.from_numpy(distinct).chunk(2, 1)
        body, order = BodyModel.load(), torch.from_numpy(place.reshape(-1))
        pairs = (
            t_pose_pve(body, own, true)[order],
            t_pose_pve(body, own, true, scale_corrected=True)[order],
        )
    names = zip(SHAPE_FIGURES, pairs, strict=True)
    return {str(name): _MM * error.double().numpy() for name, error in names}


def _best(errors: Float[Tensor, "rows samples"]) -> np.ndarray:
    return best_of(errors, errors.shape[1]).numpy()


def _of_best(errors: Float[Tensor, "rows samples joints"]) -> np.ndarray:
    """Distances of the sample with the smallest mean."""
    best = errors.mean(-1).argmin(1)
    return errors[torch.arange(len(errors)), best].numpy()


def _into(table: _Errors, name: str, shape: tuple[int, ...]) -> np.ndarray:
    return table.setdefault(name, np.full(shape, np.nan))
