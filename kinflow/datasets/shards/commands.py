"""`kinflow data shard NAME ROOT`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from rich.progress import track
from tyro.conf import Positional, arg

from kinflow.checks import nested, path
from kinflow.datasets.readers.reader import Reader, chosen_units
from kinflow.datasets.readers.records import LeftOut
from kinflow.datasets.readers.registry import reader_of
from kinflow.datasets.sample import Sample
from kinflow.datasets.shards.writing import ShardConfig, write_shards
from kinflow.errors import InputError
from kinflow.files.destinations import check_folder_destination


@dataclass(frozen=True)
class ShardCommand:
    """Write a dataset as tar files of samples that many readers can share (docs/scale.md).

    Exit code 0: all of it; 2: some of it could not be read and was left out.

    Args:
        name: which dataset.
        root: its folder.
        out: folder for the shards.
        split: one of the dataset's splits; all of them unless given.
        size: how large shards become.
    """

    name: Annotated[str, Positional, arg(metavar="NAME")]
    root: Annotated[Path, Positional, arg(metavar="ROOT")]
    out: Path
    split: str | None = None
    size: ShardConfig = field(default_factory=ShardConfig)

    def __post_init__(self) -> None:
        path(self, "root", "out")
        nested(self, size=ShardConfig)


def shard(command: ShardCommand) -> int:
    """Write the shards, and print what they hold; returns the exit code."""
    reader = reader_of(command.name)
    if not command.root.is_dir():
        raise InputError(f"'{command.root}' is no folder.")
    check_folder_destination(command.out)
    skipped: Counter[str] = Counter()
    samples = _samples(reader, command, skipped)
    index = write_shards(samples, command.out, command.name, command.size, skipped)
    size_mb = sum(each.size_bytes for each in index.shards) / 1e6
    print(f"{index.samples} samples in {len(index.shards)} shards, {size_mb:.1f} MB")
    for reason, count in index.skipped.items():
        print(f"left out: {count} ({reason})")
    return 2 if index.skipped else 0


def _samples(reader: Reader, command: ShardCommand, skipped: Counter[str]) -> Iterator[Sample]:
    """All samples; records and files that cannot be right are said, counted and passed over."""
    units = chosen_units(reader, command.root, command.split)
    for unit in track(units, command.name):
        left_out = LeftOut(unit.key)
        try:
            yield from reader.read(command.root, unit, left_out)
        except InputError as error:
            print(error)
            skipped["rest of a label file that cannot be read"] += 1
        for sentence in left_out.sentences():
            print(sentence)
        if left_out.count:
            skipped["records that cannot be right"] += left_out.count
