"""The endless sequence of samples, as one of several readers sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from kinflow.checks import whole
from kinflow.datasets.sample import Sample
from kinflow.datasets.shards.order import Order, Position
from kinflow.datasets.shards.reading import ShardSet
from kinflow.errors import InputError


@dataclass(frozen=True)
class Share:
    """Which of several readers this is.

    Args:
        index: from 0.
        count: how many there are.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        whole(self, "count", at_least=1)
        whole(self, "index", at_most=self.count - 1)


class Stream:
    """What one reader takes of the sequence, sample by sample.

    Args:
        shards: what is read.
        seed: of the order; None for the order on disk.
        share: which reader this is. All of them need the same shards, seed and position.
        position: where to go on.
        together: shards whose samples are shuffled together: more mix better, and are read from
            more places at once.
        epochs: how many there are before the stream ends; None for as many as are wanted.
        is_strict: whether a damaged sample is an error; otherwise it is counted and passed over.

    Attributes:
        taken: entries of the sequence so far, those that were passed over included.
        skipped: damaged samples by the beginning of the sentence on what is wrong.
    """

    def __init__(
        self,
        shards: ShardSet,
        seed: int | None = 0,
        share: Share | None = None,
        position: Position | None = None,
        together: int = 8,
        epochs: int | None = None,
        is_strict: bool = False,
    ) -> None:
        self._shards = shards
        self._share, self._position = share or Share(), position or Position()
        self._order = Order(shards.counts, seed, together)
        self._end = None if epochs is None else epochs * self._order.total
        self._is_strict = is_strict
        self.taken = 0
        self.skipped: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Sample]:
        """The samples that are still to come; a second iteration goes on where the first was left.

        Raises:
            InputError: a sample is damaged, and the stream is strict.
        """
        while True:
            entry = self._position.at(self.taken * self._share.count + self._share.index)
            if self._end is not None and entry >= self._end:
                return
            self.taken += 1
            try:
                sample = self._shards.read(*self._order.locate(entry))
            except InputError as error:
                if self._is_strict:
                    raise
                self.skipped[_kind(str(error))] += 1
                continue
            yield sample


def _kind(sentence: str) -> str:
    """What is wrong, without the sample's name."""
    return sentence.rpartition("' ")[2]
