"""Which true rows a protocol counts, and whether files are what it is about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from kinflow.datasets.person_rows import PersonRows
from kinflow.errors import InputError
from kinflow.evaluation.protocols.protocol import Protocol

_SHOWN = 5


def check_truth(truth: PersonRows, protocol: Protocol) -> None:
    """Refuse truth of another data set, split or origin of joints.

    Raises:
        InputError: it says that it is something else.
    """
    for name in ("dataset", "split"):
        wanted, said = getattr(protocol, name), truth.text(name)
        if said and said != wanted:
            raise InputError(
                f"The truth '{truth.name}' is of the {name} '{said}'; the protocol "
                f"'{protocol.name}' is one for '{wanted}'."
            )
    if truth["sequence"].size and "joints_m" in truth and truth["joints_m"].shape[1] != 1:
        raise InputError(f"The truth '{truth.name}' has several samples of joints_m; it has one.")
    _check_source(truth, protocol.truth_joints, protocol)


def check_predictions(predictions: PersonRows, truth: PersonRows, protocol: Protocol) -> None:
    """Refuse predictions of other joints or meshes, or without anything of the truth's clips.

    Raises:
        InputError: as said.
    """
    _check_source(predictions, protocol.predicted_joints, protocol)
    name = predictions.name
    known = set(truth["sequence"].tolist())
    if not known & set(predictions["sequence"].tolist()):
        theirs = ", ".join(sorted(set(predictions["sequence"].tolist()))[:_SHOWN])
        raise InputError(
            f"'{name}' has no sequence of the truth: it has {theirs}, the truth has "
            f"{', '.join(sorted(known)[:_SHOWN])}."
        )
    both = "vertices_m" in predictions and "vertices_m" in truth
    both = both or ("t_pose_vertices_m" in predictions and "t_pose_vertices_m" in truth)
    if both:
        mine, true = predictions.text("topology"), truth.text("topology")
        if mine != true:
            raise InputError(
                f"'{name}' has meshes of '{mine}', the truth of '{true}'; convert one of them, or "
                "leave vertices out."
            )
        for array in ("vertices_m", "t_pose_vertices_m"):
            if array in predictions and array in truth:
                counts = predictions[array].shape[-2], truth[array].shape[-2]
                if counts[0] != counts[1]:
                    raise InputError(
                        f"'{name}' has {counts[0]} vertices in {array}, the truth {counts[1]}."
                    )


def _check_source(rows: PersonRows, wanted: str, protocol: Protocol) -> None:
    if not protocol.joint_set or not ("joints_m" in rows or "joints_world_m" in rows):
        return
    said = rows.text("joint_source")
    if said != wanted:
        raise InputError(
            f"The joints of '{rows.name}' come from '{said}'; the protocol '{protocol.name}' takes "
            f"those from '{wanted}'. Regress them so, or state another origin, which makes it "
            "another protocol."
        )
    names = rows["joint_names"].tolist()
    if missing := [name for name in protocol.needed_joints if name not in names]:
        raise InputError(
            f"'{rows.name}' lacks joints of {protocol.joint_set}: {', '.join(missing)}."
        )


def counted(truth: PersonRows, protocol: Protocol) -> Bool[np.ndarray, " rows"]:
    """Which true rows are compared: valid ones of the protocol's subjects, cameras and frames.

    Raises:
        InputError: the protocol goes by something that the truth does not say, or nothing is left.
    """
    chosen = truth.flags("valid", True) & (truth["frame"] % protocol.every_nth == 0)
    for name, wanted in (("subject", protocol.subjects), ("camera", protocol.cameras)):
        chosen &= _one_of(truth, name, wanted, protocol)
    if protocol.average == "actions" and "action" not in truth:
        raise InputError(
            f"The truth '{truth.name}' has no action, and the protocol '{protocol.name}' is the "
            "mean over actions."
        )
    if not chosen.any():
        raise InputError(
            f"No row of the truth '{truth.name}' is left by the protocol '{protocol.name}': none "
            "is valid and of its subjects, cameras and frames."
        )
    return chosen


def _one_of(
    truth: PersonRows, name: str, wanted: Sequence[str], protocol: Protocol
) -> Bool[np.ndarray, " rows"]:
    if not wanted:
        return np.ones(len(truth), bool)
    if name not in truth:
        raise InputError(
            f"The truth '{truth.name}' has no {name}, and the protocol '{protocol.name}' takes "
            f"{', '.join(wanted)} only."
        )
    return np.isin(truth[name], wanted)
