"""Samples from several reader processes beside the training, and where to go on after a stop.

loader = Loader(ShardSet("shards"), LoaderConfig(workers=4), position, crop)
for step, batch in zip(range(steps), loader):
    ...
position = loader.position        # of the batches that were taken, not of those read ahead
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from kinflow.checks import whole
from kinflow.datasets.sample import Sample
from kinflow.datasets.shards.order import Position
from kinflow.datasets.shards.reading import ShardSet
from kinflow.datasets.shards.stream import Share, Stream
from kinflow.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class LoaderConfig:
    """How samples are read.

    Args:
        batch_size: samples together.
        workers: reader processes; 0 reads in the process that trains.
        seed: of the order.
        together: as in `Stream`.
        ahead: batches that each worker reads ahead.
    """

    batch_size: int = 32
    workers: int = 2
    seed: int = 0
    together: int = 8
    ahead: int = 4

    def __post_init__(self) -> None:
        whole(self, "batch_size", "together", "ahead", at_least=1)
        whole(self, "workers", "seed")


@dataclass(frozen=True)
class _Read(Generic[T]):
    """A batch, and how far the reader was with it."""

    reader: int
    taken: int
    skipped: Counter[str]
    batch: list[T]


class Loader(Generic[T]):
    """Endless batches from shards.

    Args:
        shards: what is read.
        config: how.
        make: what to make of a sample, in the reader's process; a sample of which it says that it
            cannot be used (`InputError`) is counted and passed over.
        position: where to go on.
        share: which process of a training over several this is; each has its own readers.

    Attributes:
        begun_at: where it went on.
        waited_s: seconds that were spent waiting for batches.
    """

    def __init__(
        self,
        shards: ShardSet,
        config: LoaderConfig,
        make: Callable[[Sample], T],
        position: Position | None = None,
        share: Share | None = None,
    ) -> None:
        position, share = position or Position(), share or Share()
        self.begun_at, self._share = position, share
        self._readers = max(1, config.workers)
        self._taken = [0] * self._readers
        self._skipped: list[Counter[str]] = [Counter()] * self._readers
        self.waited_s = 0.0
        options: dict[str, Any] = {"batch_size": None, "num_workers": config.workers}
        if config.workers:
            # a fork of a process with threads may wait for ever
            context = "spawn" if os.name == "nt" else "forkserver"
            options |= {"prefetch_factor": config.ahead, "multiprocessing_context": context}
        dataset = _Dataset(shards, config, make, position, share, self._readers)
        self._loader = DataLoader(dataset, **options)

    def __iter__(self) -> Iterator[list[T]]:
        batches = iter(self._loader)
        while True:
            begin = time.perf_counter()
            read: _Read[T] = next(batches)
            self.waited_s += time.perf_counter() - begin
            self._taken[read.reader] = read.taken
            self._skipped[read.reader] = read.skipped
            yield read.batch

    @property
    def skipped(self) -> Counter[str]:
        """Damaged and unusable samples so far, by what is wrong with them."""
        return sum(self._skipped, Counter())

    @property
    def taken(self) -> tuple[int, ...]:
        """What each reader of this process has given of its share."""
        return tuple(self._taken)

    @property
    def position(self) -> Position:
        """Where to go on, of a training in one process; several put their `taken` together, in the
        order of the processes: `begun_at.after([*taken of 0, *taken of 1, ...])`.

        Raises:
            InputError: there are several processes.
        """
        if self._share.count > 1:
            raise InputError("Several processes have to put together what they have taken.")
        return self.begun_at.after(self._taken)


class _Dataset(IterableDataset):
    """The batches of one reader process."""

    def __init__(
        self,
        shards: ShardSet,
        config: LoaderConfig,
        make: Callable[[Sample], Any],
        position: Position,
        share: Share,
        readers: int,
    ) -> None:
        self._shards, self._config, self._make = shards, config, make
        self._position, self._share, self._readers = position, share, readers

    def __iter__(self) -> Iterator[_Read[Any]]:
        info = get_worker_info()
        reader = 0 if info is None else info.id
        share = Share(self._share.index * self._readers + reader, self._share.count * self._readers)
        config = self._config
        stream = Stream(self._shards, config.seed, share, self._position, config.together)
        unusable: Counter[str] = Counter()
        batch: list[Any] = []
        for sample in stream:
            try:
                batch.append(self._make(sample))
            except InputError:
                unusable["cannot be used"] += 1
                continue
            if len(batch) == config.batch_size:
                yield _Read(reader, stream.taken, stream.skipped + unusable, batch)
                batch = []
