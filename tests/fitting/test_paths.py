"""The cheapest path is the one that trying all of them finds."""

import itertools

import pytest
import torch

from kinflow.fitting.paths import cheapest_path, evenly


@pytest.mark.parametrize("sizes", [(1,), (3,), (2, 1, 4), (3, 3, 2, 3)])
def test_it_is_what_trying_all_paths_finds(sizes):
    g = torch.Generator().manual_seed(len(sizes))
    costs = [torch.rand(size, generator=g) for size in sizes]
    steps = [torch.rand(a, b, generator=g) for a, b in itertools.pairwise(sizes)]

    def cost(path):
        own = sum(float(c[i]) for c, i in zip(costs, path, strict=True))
        return own + sum(
            float(s[i, j]) for s, (i, j) in zip(steps, itertools.pairwise(path), strict=True)
        )

    best = min(itertools.product(*map(range, sizes)), key=cost)
    assert cheapest_path(costs, steps) == list(best)


@pytest.mark.parametrize(("count", "at_most"), [(1, 8), (5, 8), (8, 8), (30, 8), (7, 2)])
def test_rows_that_are_chosen_evenly_are_different_and_reach_both_ends(count, at_most):
    rows = evenly(count, at_most)
    assert len(rows) == len(rows.unique()) == min(count, at_most)
    assert int(rows[0]) == 0 and int(rows[-1]) == count - 1
    gaps = rows.diff()
    assert not len(gaps) or int(gaps.max() - gaps.min()) <= 1
