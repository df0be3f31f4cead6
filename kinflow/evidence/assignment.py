"""The cheapest one-to-one assignment of rows to columns, exactly.

Successive shortest paths with potentials (Jonker and Volgenant 1987; the "Hungarian method"), cubic
in the number of rows: 20 people take 2 ms. scipy has it as `linear_sum_assignment`; this saves
a dependency, and the tests compare the two.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def assign(cost: Float[np.ndarray, "rows columns"], at_most: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of the assignment with the lowest total cost.

    A row may stay alone at the price of `at_most`, so no pair that costs more is ever made.

    Args:
        cost: of each pair; infinite where a pair is out of the question.
        at_most: the price of a row that stays alone.
    """
    rows, columns = cost.shape
    if rows == 0 or columns == 0:
        return []
    alone = np.full((rows, rows), at_most, np.float64)
    barred = 1e6 * (1 + abs(at_most))
    padded = np.column_stack((np.where(cost <= at_most, cost, barred), alone))
    chosen = _shortest_paths(padded)
    return [(row, column) for row, column in enumerate(chosen) if column < columns]


def _shortest_paths(cost: Float[np.ndarray, "rows columns"]) -> list[int]:
    """The column of each row; there are at least as many columns as rows."""
    rows, columns = cost.shape
    row_potential, column_potential = np.zeros(rows), np.zeros(columns)
    row_of = np.full(columns, -1)
    for start in range(rows):
        distance = np.full(columns, np.inf)
        previous = np.full(columns, -1)
        done = np.zeros(columns, bool)
        row, length, last = start, 0.0, -1
        while True:
            # reach every column from this row, and go on from the nearest
            reach = length + cost[row] - row_potential[row] - column_potential
            nearer = ~done & (reach < distance)
            distance[nearer], previous[nearer] = reach[nearer], last
            last = int(np.where(done, np.inf, distance).argmin())
            length = float(distance[last])
            if row_of[last] < 0:
                break
            done[last] = True
            row = int(row_of[last])
        shift = length - distance[done]
        column_potential[done] -= shift
        row_potential[row_of[done]] += shift
        row_potential[start] += length
        while last >= 0:
            before = int(previous[last])
            row_of[last] = start if before < 0 else row_of[before]
            last = before
    found = [-1] * rows
    for column in np.flatnonzero(row_of >= 0):
        found[row_of[column]] = int(column)
    return found
