"""Shards as a dataset like others: checked, shown and mixed as these are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

from kinflow.datasets.readers.reader import DatasetInfo, Finding, Reader, Unit
from kinflow.datasets.readers.records import OnFault, made, raised
from kinflow.datasets.sample import LABELS, Sample
from kinflow.datasets.shards.index import INDEX_NAME
from kinflow.datasets.shards.reading import ShardSet


class ShardFolder(Reader):
    """A unit is a shard; samples come in the order on disk."""

    info = DatasetInfo(
        name="shards",
        title="a folder of shards",
        home="written by `kinflow data shard`",
        licence="that of the dataset they were written from",
        tree=f"{INDEX_NAME}, NAME-000000.tar, NAME-000000.npy, ...",
        used="everything",
        labels=LABELS,
    )

    def units(self, root: Path) -> tuple[list[Unit], list[Finding]]:
        """As `Reader.units`."""
        shards = _shards(root)
        units = [Unit(folder / shard.name, shard.name) for folder, shard in shards.shards]
        skipped = shards.indices[0].skipped.items()
        findings = [
            Finding("note", f"Left out when it was written: {count} ({reason}).")
            for reason, count in skipped
        ]
        return units, findings

    def read(self, root: Path, unit: Unit, on_fault: OnFault = raised) -> Iterator[Sample]:
        """As `Reader.read`; a record is a sample."""
        shards = _shards(root)
        number = [shard.name for _, shard in shards.shards].index(unit.key)
        rows = range(shards.counts[number])
        read = partial(shards.read, number)
        yield from made(rows, read, unit.path, lambda row: f"Sample {row}", on_fault)

    def missing_pictures(self, samples: Sequence[Sample]) -> list[Path]:
        """None: they lie in the shards."""
        return []


@lru_cache(maxsize=2)
def _shards(root: Path) -> ShardSet:
    return ShardSet(root)
