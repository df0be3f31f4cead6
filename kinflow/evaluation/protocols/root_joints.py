"""Joints of rows as a protocol wants them: by name, in double precision, relative to its root."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.datasets.person_rows import PersonRows
from kinflow.evaluation.protocols.protocol import Protocol
from kinflow.metrics.pose import mean_of, rooted


def places(rows: PersonRows, names: Sequence[str]) -> list[int]:
    """Where joints of these names stand in a file."""
    known = rows["joint_names"].tolist()
    return [known.index(name) for name in names]


def roots_of(
    rows: PersonRows, index: Sequence[int] | np.ndarray, protocol: Protocol
) -> Float[Tensor, "rows samples 3"]:
    """The middle of the root's joints; NaN where one of them is not known."""
    joints = torch.from_numpy(rows["joints_m"][index].astype(np.float64))
    return mean_of(joints, places(rows, protocol.root))


def joints_of(
    rows: PersonRows, index: Sequence[int] | np.ndarray, protocol: Protocol
) -> Float[Tensor, "rows samples joints 3"]:
    """The protocol's joints relative to its root, metres."""
    joints = torch.from_numpy(rows["joints_m"][index].astype(np.float64))
    return rooted(joints[..., places(rows, protocol.joints), :], roots_of(rows, index, protocol))


def joints_that_count(
    rows: PersonRows, index: Sequence[int] | np.ndarray, protocol: Protocol
) -> Bool[np.ndarray, "rows joints"]:
    """Which of the protocol's joints are known; none where the root is not."""
    wanted = places(rows, protocol.joints)
    if "joint_valid" not in rows:
        return np.ones((len(index), len(wanted)), bool)
    valid = rows["joint_valid"][index].astype(bool)
    rooted_rows = np.logical_and.reduce(valid[:, places(rows, protocol.root)], axis=1)
    return valid[:, wanted] & rooted_rows[:, None]
