"""Samples that come and go: the newest ones, as many as there is room for, on one device."""

from __future__ import annotations

import torch
from torch import Tensor

from kinflow.training.predictors.batches import Labelled


class Pool:
    """A ring of samples; full, it forgets the oldest.

    Args:
        capacity: how many it holds.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity, self.seen = capacity, 0
        self._kept: Labelled | None = None

    def __len__(self) -> int:
        return min(self.seen, self.capacity)

    def __getitem__(self, rows: Tensor | slice) -> Labelled:
        """Some of those that are there."""
        everything = self._everything()
        if isinstance(rows, slice):
            rows = torch.arange(len(self), device=everything.device)[rows]
        return everything[rows]

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self._everything().device

    def add(self, batch: Labelled) -> None:
        """Take samples in, at most as many as it holds."""
        if self._kept is None:
            self._kept = batch.each(lambda v: v.new_zeros(self.capacity, *v.shape[1:]))
        batch = batch[: self.capacity]
        rows = torch.arange(len(batch), device=batch.device)
        rows = (rows + self.seen) % self.capacity
        for kept, new in zip(self._kept.tensors(), batch.tensors(), strict=True):
            kept[rows] = new
        self.seen += len(batch)

    def _everything(self) -> Labelled:
        if self._kept is None:
            raise IndexError("there is nothing in the pool yet")
        return self._kept


def draw(source: Labelled | Pool, count: int) -> Labelled:
    """Samples at random, each as likely as any other."""
    return source[torch.randint(len(source), (count,), device=source.device)]
