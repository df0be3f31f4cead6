"""The cheapest path is the one that trying all of them finds."""

import itertools

import pytest
import torch

from kinflow.fitting.paths import cheapest_path


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
