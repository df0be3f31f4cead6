"""Folders of looks as an endless sequence of samples, in an order that every run repeats.

A shard is opened when the sequence reaches it; so many samples as fit into memory are shuffled
together. Where a run stands is one number, also in the middle of an epoch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Int64
from torch import Tensor

from kinflow.datasets.look_index import INDEX_NAME, LookIndex
from kinflow.datasets.samples import Samples
from kinflow.datasets.shards.order import Order
from kinflow.errors import InputError


@runtime_checkable
class Rows(Protocol):
    """Samples in some form, of which rows can be taken."""

    def __getitem__(self, rows: Tensor, /) -> Any: ...


R = TypeVar("R", bound=Rows)


@dataclass(frozen=True)
class LookShard:
    """A file of samples, and which of them are used."""

    path: Path
    rows: Int64[Tensor, " used"]


def shard_files(folder: Path) -> list[Path]:
    """The shards of a folder of looks, by name.

    Raises:
        InputError: there are none, or one that its index names is gone.
    """
    index = LookIndex.there(folder)
    if index is None:
        files = sorted(folder.glob("samples_*.safetensors"))
    elif gone := index.missing(folder):
        raise InputError(
            f"'{folder}' lacks '{gone[0]}'"
            + (f" and {len(gone) - 1} more shards" if len(gone) > 1 else "")
            + f", which its {INDEX_NAME} names; copy it again, or let `kinflow data see` make it."
        )
    else:
        files = [folder / name for name, count in sorted(index.shards.items()) if count]
    if not files:
        raise InputError(
            f"'{folder}' holds no samples; `kinflow data looks`, `photos` and `see` make some."
        )
    return files


class LookStream(Generic[R]):
    """Samples of shards, shuffled anew in each epoch.

    Args:
        shards: what is read; at least one with a row.
        make: what to make of a shard and all of its samples: its used rows.
        join: puts rows of several shards together.
        seed: of the order.
        pool: samples that are shuffled together, at least those of one shard; twice as many are
            kept in memory.

    Attributes:
        taken: samples so far.
    """

    def __init__(
        self,
        shards: Sequence[LookShard],
        make: Callable[[LookShard, Samples], R],
        join: Callable[[Sequence[R]], R],
        seed: int,
        pool: int,
    ) -> None:
        self._shards = [shard for shard in shards if len(shard.rows)]
        self._make, self._join = make, join
        counts = tuple(len(shard.rows) for shard in self._shards)
        together = max(1, round(pool * len(counts) / max(sum(counts), 1)))
        self._order = Order(counts, seed, min(together, len(counts)))
        self._room = 2 * max(pool, max(counts, default=0))
        self._open: OrderedDict[int, R] = OrderedDict()
        self.taken = 0

    def __len__(self) -> int:
        """Samples of an epoch."""
        return self._order.total

    def take(self, count: int) -> R:
        """The next samples of the sequence."""
        rows = self.at(self.taken, count)
        self.taken += count
        return rows

    def at(self, first: int, count: int) -> R:
        """Samples of the sequence from a place on; at least one."""
        places = [self._order.locate(entry) for entry in range(first, first + count)]
        wanted: dict[int, list[int]] = {}
        for shard, row in places:
            wanted.setdefault(shard, []).append(row)
        return self._join([self._shard(i)[torch.tensor(rows)] for i, rows in wanted.items()])

    def _shard(self, number: int) -> R:
        if number not in self._open:
            shard = self._shards[number]
            samples = Samples.load(shard.path)
            if int(shard.rows[-1]) >= len(samples):
                raise InputError(f"'{shard.path}' has changed since training began; start again.")
            self._open[number] = self._make(shard, samples)
            held = 0
            for other in reversed(list(self._open)):
                held += len(self._shards[other].rows)
                if held > self._room:
                    del self._open[other]
        self._open.move_to_end(number)
        return self._open[number]
