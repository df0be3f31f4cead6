"""The assignment is the cheapest there is: compared with trying all, and with bounds."""

from itertools import permutations

import numpy as np
import pytest

from kinflow.evidence.assignment import assign


def cheapest(cost: np.ndarray, at_most: float) -> float:
    """The least total over all ways to pair rows with columns or leave them alone."""
    rows, columns = cost.shape
    alone = np.full((rows, rows), at_most)
    padded = np.column_stack((np.where(cost <= at_most, cost, np.inf), alone))
    every = permutations(range(columns + rows), rows)
    return min(sum(padded[row, column] for row, column in enumerate(way)) for way in every)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 2), (4, 4), (3, 4)])
def test_it_is_the_cheapest_of_all(shape):
    rng = np.random.default_rng(0)
    for _ in range(40):
        cost = rng.random(shape)
        cost[rng.random(shape) < 0.2] = np.inf
        pairs = assign(cost, 0.6)
        assert len({row for row, _ in pairs}) == len(pairs) == len({c for _, c in pairs})
        total = sum(cost[pair] for pair in pairs) + 0.6 * (shape[0] - len(pairs))
        assert total == pytest.approx(cheapest(cost, 0.6))


def test_it_is_scipys_assignment():
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(1)
    for size in (10, 25):
        cost = rng.random((size, size))
        pairs = assign(cost, 1e3)
        rows, columns = optimize.linear_sum_assignment(cost)
        assert sum(cost[pair] for pair in pairs) == pytest.approx(cost[rows, columns].sum())


def test_nothing_dearer_than_the_limit_is_paired():
    cost = np.array([[0.9, 0.2], [0.1, np.inf]])
    assert sorted(assign(cost, 0.5)) == [(0, 1), (1, 0)]
    assert assign(np.array([[0.9]]), 0.5) == []
    assert assign(np.array([[np.inf]]), 0.5) == []


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nobody_on_one_side_is_no_pair(shape):
    assert assign(np.zeros(shape), 1.0) == []
