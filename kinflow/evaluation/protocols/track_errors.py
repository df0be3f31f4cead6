"""Errors of motion: of a person through frames, in the camera's frame or in the world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from kinflow.datasets.person_rows import PersonRows
from kinflow.evaluation.protocols.matching import Pairs
from kinflow.evaluation.protocols.measured import Measured
from kinflow.evaluation.protocols.protocol import Figure, Protocol
from kinflow.evaluation.protocols.root_joints import joints_of, joints_that_count, places
from kinflow.metrics.motion import (
    STANDS_M,
    acceleration_error_m_s2,
    foot_sliding_m_s,
    jitter,
    root_translation_error,
    world_mpjpe,
)
from kinflow.metrics.pose import mean_of

ACCELERATION: Figure = "acceleration error m/s²"
WORLD_FIGURES: tuple[Figure, ...] = (
    "WA-MPJPE mm",
    "W-MPJPE mm",
    "RTE %",
    "jitter 10 m/s³",
    "foot sliding cm/s",
)
NEEDS_RATE: tuple[Figure, ...] = (ACCELERATION, "jitter 10 m/s³", "foot sliding cm/s")


@dataclass(frozen=True)
class Run:
    """Pairs of one person in the order of frames."""

    truth: Int[np.ndarray, " frames"]
    predicted: Int[np.ndarray, " frames"]


_Value = tuple[float, float]
"""A figure of a run, and the number of frames, or of steps, that it is the mean of."""


def track_figures(
    truth: PersonRows, predictions: PersonRows, pairs: Pairs, protocol: Protocol
) -> dict[str, Measured]:
    """All figures of motion that the protocol has and both files allow."""
    rate = float(truth["rate_hz"]) / protocol.every_nth if "rate_hz" in truth else 0.0
    both = {name for name in truth.arrays if name in predictions}
    makers: dict[str, Callable[[Run], _Value]] = {}
    if "joints_m" in both:
        makers[ACCELERATION] = lambda run: _acceleration(truth, predictions, run, protocol, rate)
    if "joints_world_m" in both:
        world = _World(truth, predictions, protocol, rate)
        makers |= dict(zip(WORLD_FIGURES, world.makers(), strict=True))
    runs = list(runs_of(truth, pairs, protocol))
    found: dict[str, Measured] = {}
    for figure, maker in makers.items():
        if figure in protocol.figures and (rate > 0 or figure not in NEEDS_RATE):
            values = np.array([maker(run) for run in runs], np.float64).reshape(-1, 2)
            first = np.array([run.truth[0] for run in runs], np.int64)
            found[figure] = Measured.of(values[:, 0], first, values[:, 1])
    return found


def runs_of(truth: PersonRows, pairs: Pairs, protocol: Protocol) -> Iterator[Run]:
    """Stretches of frames of each person, or, with gaps joined, all frames of each."""
    people = truth["person"] if "person" in truth else np.zeros(len(truth), np.int64)
    keys = np.unique(truth["sequence"], return_inverse=True)[1].reshape(-1)[pairs.truth]
    order = np.lexsort((truth["frame"][pairs.truth], people[pairs.truth], keys))
    rows, others = pairs.truth[order], pairs.predicted[order]
    same = (np.diff(keys[order]) == 0) & (np.diff(people[rows]) == 0)
    if protocol.gaps == "split":
        same &= np.diff(truth["frame"][rows]) == protocol.every_nth
    for run in np.split(np.arange(len(rows)), np.flatnonzero(~same) + 1):
        if len(run):
            yield Run(rows[run], others[run])


def _acceleration(
    truth: PersonRows, predictions: PersonRows, run: Run, protocol: Protocol, rate: float
) -> _Value:
    """Of joints relative to the root that are known in all frames of the run."""
    always = np.logical_and.reduce(joints_that_count(truth, run.truth, protocol), axis=0)
    known = np.flatnonzero(always).tolist()
    if len(run.truth) < 3 or not known:
        return float("nan"), 0.0
    own = joints_of(predictions, run.predicted, protocol)[:, 0, known]
    true = joints_of(truth, run.truth, protocol)[:, 0, known]
    return float(acceleration_error_m_s2(own, true, rate)), len(run.truth) - 2.0


@dataclass(frozen=True)
class _World:
    """Figures of joints in a world that stands still."""

    truth: PersonRows
    predictions: PersonRows
    protocol: Protocol
    rate: float

    def makers(self) -> tuple[Callable[[Run], _Value], ...]:
        """In the order of `WORLD_FIGURES`."""
        return (
            lambda run: self._mpjpe(run, "whole"),
            lambda run: self._mpjpe(run, "first"),
            self._root,
            self._jitter,
            self._sliding,
        )

    def _joints(self, rows: PersonRows, index: np.ndarray, names: tuple[str, ...]) -> Tensor:
        joints = rows["joints_world_m"][index][:, places(rows, names)]
        return torch.from_numpy(joints.astype(np.float64))

    def _both(self, run: Run, names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
        """Predicted and true joints in frames in which all of both are known."""
        own = self._joints(self.predictions, run.predicted, names)
        true = self._joints(self.truth, run.truth, names)
        known = torch.isfinite(own + true).all(-1).all(-1)
        return own[known], true[known]

    def _mpjpe(self, run: Run, align: str) -> _Value:
        own, true = self._both(run, self.protocol.joints)
        if len(own) < 2:
            return float("nan"), 0.0
        chunk = self.protocol.world_chunk
        how = "whole" if align == "whole" else "first"
        return 1000 * float(world_mpjpe(own, true, how, chunk)), float(len(own))

    def _root(self, run: Run) -> _Value:
        if "root_world_m" in self.truth and "root_world_m" in self.predictions:
            own, true = (
                torch.from_numpy(rows["root_world_m"][index].astype(np.float64))
                for rows, index in (
                    (self.predictions, run.predicted),
                    (self.truth, run.truth),
                )
            )
            known = torch.isfinite(own + true).all(-1)
            own, true = own[known], true[known]
        else:
            names = self.protocol.root
            own, true = (mean_of(x, range(len(names))) for x in self._both(run, names))
        if len(own) < 2 or not bool((torch.diff(true, dim=0) != 0).any()):
            return float("nan"), 0.0  # nobody who stays in place has a path
        return 100 * float(root_translation_error(own, true)), float(len(own))

    def _jitter(self, run: Run) -> _Value:
        own, _ = self._both(run, self.protocol.joints)
        if len(own) < 4:
            return float("nan"), 0.0
        return float(jitter(own, self.rate)), len(own) - 3.0

    def _sliding(self, run: Run) -> _Value:
        if not self.protocol.feet:
            return float("nan"), 0.0
        own, true = self._both(run, self.protocol.feet)
        if len(own) < 2:
            return float("nan"), 0.0
        stands = torch.linalg.vector_norm(torch.diff(true, dim=0), dim=-1) < STANDS_M
        return 100 * float(foot_sliding_m_s(own, true, self.rate)), float(stands.sum())
