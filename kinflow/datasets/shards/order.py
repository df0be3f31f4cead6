"""In which order samples come: the same for all readers, who take turns in it.

All epochs, one after another, are one endless sequence. In each, shards are shuffled and taken a
few at a time; the samples of these few are shuffled together. So a reader touches only a few files
at once, and what lies beside each other on disk is apart in the sequence. Of `count` readers,
number `index` takes the entries `index`, `index + count` and so on. Where a run stands is therefore
a few numbers (`Position`), from which any number of readers can go on.

Nothing is drawn from a library's generator: the order is that of hashes, the same on every machine
and with every version of numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Int64, UInt64

from kinflow.errors import InputError


@dataclass(frozen=True)
class Position:
    """Which entries of the sequence are still to come.

    Args:
        start: all entries from here on.
        pending: entries before it that nobody has taken, because readers are not equally far.
    """

    start: int = 0
    pending: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.start < 0 or any(not 0 <= entry < self.start for entry in self.pending):
            raise InputError("A position among shards has entries that cannot be.")

    def at(self, index: int) -> int:
        """The entry of the sequence that is `index`-th among those to come."""
        waiting = len(self.pending)
        return self.pending[index] if index < waiting else self.start + index - waiting

    def after(self, taken: Sequence[int]) -> Position:
        """What is still to come, when of `len(taken)` readers each has taken so many.

        The next readers may be more or fewer.
        """
        count, furthest = len(taken), max(taken, default=0)
        rows = range(count * furthest)
        left = tuple(self.at(row) for row in rows if row // count >= taken[row % count])
        done = max(len(self.pending), len(rows))
        left += self.pending[len(rows) :]
        return Position(self.start + done - len(self.pending), left)


@dataclass(frozen=True)
class Order:
    """Where in the shards the entries of the sequence lie.

    Args:
        counts: samples of each shard.
        seed: another one gives another order; None for the order on disk, in every epoch.
        together: shards whose samples are shuffled together.
    """

    counts: tuple[int, ...]
    seed: int | None
    together: int

    @property
    def total(self) -> int:
        """Samples of an epoch."""
        return sum(self.counts)

    def locate(self, entry: int) -> tuple[int, int]:
        """The shard, and the number within it, of an entry of the sequence."""
        epoch, rest = divmod(entry, self.total)
        groups, ends = _groups(self, epoch)
        group = int(np.searchsorted(ends, rest, side="right"))
        within = rest - (int(ends[group - 1]) if group else 0)
        row = int(_rows(self, epoch, group)[within])
        for shard in groups[group]:
            if row < self.counts[shard]:
                return shard, row
            row -= self.counts[shard]
        raise AssertionError("rows are of the shards of their group")


@lru_cache(maxsize=8)
def _groups(order: Order, epoch: int) -> tuple[list[list[int]], Int64[np.ndarray, " groups"]]:
    """The shards of an epoch, group by group, and the entry behind each group."""
    shards = _shuffled(len(order.counts), order.seed, epoch, 0).tolist()
    step = order.together
    groups = [shards[first : first + step] for first in range(0, len(shards), step)]
    sizes = [sum(order.counts[shard] for shard in group) for group in groups]
    return groups, np.cumsum(sizes, dtype=np.int64)


@lru_cache(maxsize=4)
def _rows(order: Order, epoch: int, group: int) -> Int64[np.ndarray, " rows"]:
    groups, _ = _groups(order, epoch)
    size = sum(order.counts[shard] for shard in groups[group])
    return _shuffled(size, order.seed, epoch, group + 1)


def _shuffled(size: int, seed: int | None, epoch: int, part: int) -> Int64[np.ndarray, " size"]:
    """0 to `size` - 1 in an order of its own for each part of each epoch."""
    numbers = np.arange(size, dtype=np.uint64)
    if seed is None:
        return numbers.astype(np.int64)
    salt = np.zeros(1, np.uint64)
    for word in (seed, epoch, part):
        salt = _hashed(salt + np.array([word], np.int64).view(np.uint64))
    return np.argsort(_hashed(numbers + salt), kind="stable").astype(np.int64)


def _hashed(words: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """SplitMix64 (Steele, Lea and Flood 2014), which wraps around on purpose."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
