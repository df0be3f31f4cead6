"""Values that a figure is the mean of, and how certain that mean is.

Every figure is a weighted mean of values that belong to rows, so means, means of actions and
intervals are the same for all of them. Frames of one clip are no independent samples: intervals
come from drawing whole sequences anew (Efron 1979; a bootstrap over clusters).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from kinflow.evaluation.protocols.protocol import Average

ROUNDS = 1000
LOW, HIGH = 0.025, 0.975


@dataclass(frozen=True)
class Measured:
    """Values of one figure; those that are NaN do not exist."""

    values: Float[np.ndarray, " values"]
    weights: Float[np.ndarray, " values"]
    rows: Int[np.ndarray, " values"]
    """The true row that each value is of, of a stretch of frames the first."""

    @staticmethod
    def of(values: np.ndarray, rows: np.ndarray, weights: np.ndarray | None = None) -> Measured:
        """What is there: values that are not NaN and count for something."""
        weights = np.ones(len(values)) if weights is None else weights
        there = ~np.isnan(values) & (weights > 0)
        return Measured(
            values[there].astype(np.float64),
            weights[there].astype(np.float64),
            rows[there].astype(np.int64),
        )

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Groups:
    """The sequence and action of each true row, as numbers."""

    sequence: Int[np.ndarray, " rows"]
    action: Int[np.ndarray, " rows"]
    action_names: tuple[str, ...]
    average: Average

    @staticmethod
    def of(sequences: np.ndarray, actions: np.ndarray | None, average: Average) -> Groups:
        """Groups by name; without actions all rows are of one."""
        sequence = np.unique(sequences, return_inverse=True)[1].reshape(-1)
        if actions is None:
            return Groups(sequence, np.zeros(len(sequence), np.int64), ("",), average)
        names, action = np.unique(actions, return_inverse=True)
        return Groups(sequence, action.reshape(-1), tuple(names.tolist()), average)


def mean(measured: Measured, groups: Groups) -> float:
    """The figure; NaN without values."""
    sums, weights = _sums(measured, groups)
    return float(_means(sums.sum(0)[None], weights.sum(0)[None])[0])


def interval(measured: Measured, groups: Groups, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the figure over sequences; NaN where there is only one."""
    sums, weights = _sums(measured, groups)
    if len(sums) < 2:
        return float("nan"), float("nan")
    chances = np.full(len(sums), 1 / len(sums))
    drawn = np.random.default_rng(seed).multinomial(len(sums), chances, ROUNDS).astype(np.float64)
    means = _means(drawn @ sums, drawn @ weights)
    low, high = np.nanquantile(means, [LOW, HIGH])
    return float(low), float(high)


def by_action(measured: Measured, groups: Groups) -> dict[str, float]:
    """The mean of each action that has values."""
    action = groups.action[measured.rows]
    means: dict[str, float] = {}
    for number, name in enumerate(groups.action_names):
        chosen = action == number
        if chosen.any():
            weights = measured.weights[chosen]
            means[name] = float((measured.values[chosen] * weights).sum() / weights.sum())
    return means


def _sums(
    measured: Measured, groups: Groups
) -> tuple[Float[np.ndarray, "sequences actions"], Float[np.ndarray, "sequences actions"]]:
    """Weighted values and weights of each sequence that has values, by action."""
    by_actions = groups.average == "actions"
    actions = len(groups.action_names) if by_actions else 1
    column = groups.action[measured.rows] if by_actions else np.zeros(len(measured), np.int64)
    present, row = np.unique(groups.sequence[measured.rows], return_inverse=True)
    sums, weights = (np.zeros((len(present), actions)) for _ in range(2))
    place = (row.reshape(-1), column)
    np.add.at(sums, place, measured.values * measured.weights)
    np.add.at(weights, place, measured.weights)
    return sums, weights


def _means(
    sums: Float[np.ndarray, "rounds actions"], weights: Float[np.ndarray, "rounds actions"]
) -> Float[np.ndarray, " rounds"]:
    """Mean of the actions that occur; NaN where none does."""
    there = weights > 0
    ratio = np.where(there, sums / np.where(there, weights, 1), 0)
    count = there.sum(1)
    return np.where(count > 0, ratio.sum(1) / np.maximum(count, 1), np.nan)
