"""`index.json` of a folder of shards, and the tables of where samples lie."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from kinflow.errors import InputError
from kinflow.files.atomic import write_bytes
from kinflow.files.json_files import read_json
from kinflow.files.reading import guarded, readable

INDEX_NAME = "index.json"
FORMAT = "kinflow-shards-1"
_WHAT = "an index of shards"


@dataclass(frozen=True)
class Shard:
    """One tar file.

    Args:
        name: of the file.
        samples: how many it holds.
        size_bytes: of the file.
        sha256: of the file.
        table_sha256: of the table of where samples lie.
    """

    name: str
    samples: int
    size_bytes: int
    sha256: str
    table_sha256: str

    @property
    def table_name(self) -> str:
        """The file that says where samples lie: `place` of each (`Table`)."""
        return f"{Path(self.name).stem}.npy"


@dataclass(frozen=True)
class Index:
    """What a folder of shards holds.

    Args:
        dataset: name of the reader that the samples came from.
        shards: in order.
        labels: how many samples have each label.
        skipped: samples of the dataset that are not in the shards, by the reason.
        licences: notes on what the data may be used for.
    """

    dataset: str
    shards: tuple[Shard, ...]
    labels: dict[str, int]
    skipped: dict[str, int]
    licences: tuple[str, ...]

    @property
    def samples(self) -> int:
        """How many there are."""
        return sum(shard.samples for shard in self.shards)

    def write(self, folder: Path) -> None:
        """Write it, atomically."""
        values = {"format": FORMAT, "samples": self.samples, **asdict(self)}
        write_bytes(folder / INDEX_NAME, json.dumps(values, indent=1).encode())

    @staticmethod
    def read(folder: Path) -> Index:
        """The index of a folder.

        Raises:
            InputError: there is none, or it is damaged or of another version.
        """
        path = folder / INDEX_NAME
        if not path.is_file():
            raise InputError(
                f"'{folder}' holds no {INDEX_NAME}: it is no folder of shards, or `kinflow data "
                "shard` has not finished it."
            )
        values = read_json(path)
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise InputError(f"'{path}' is not of the format {FORMAT}; write the shards anew.")
        with guarded(path, _WHAT):
            return _index(values)


def _index(values: dict[str, Any]) -> Index:
    shards = tuple(
        Shard(
            _plain_name(each["name"]),
            int(each["samples"]),
            int(each["size_bytes"]),
            str(each["sha256"]),
            str(each["table_sha256"]),
        )
        for each in values["shards"]
    )
    if not shards or min(shard.samples for shard in shards) < 1:
        raise InputError("there are no shards, or one that holds nothing")
    return Index(
        str(values["dataset"]),
        shards,
        {str(name): int(count) for name, count in values["labels"].items()},
        {str(reason): int(count) for reason, count in values["skipped"].items()},
        tuple(map(str, values["licences"])),
    )


def _plain_name(name: Any) -> str:
    """A name that leads nowhere else."""
    if not isinstance(name, str) or Path(name).name != name or not name.endswith(".tar"):
        raise InputError(f"'{name}' is no name of a shard")
    return name


def read_table(folder: Path, shard: Shard) -> Int64[np.ndarray, "samples 3"]:
    """Where the samples of a shard lie: first byte, number of bytes, and their CRC-32.

    Raises:
        InputError: it is missing, damaged or does not fit the shard.
    """
    path = folder / shard.table_name
    with readable(path), guarded(path, "a table of samples"):
        table = np.load(path, allow_pickle=False, mmap_mode="r")
    sound = table.dtype == np.int64 and table.shape == (shard.samples, 3)
    if not sound or not _fits(table, shard.size_bytes):
        raise InputError(f"'{path}' does not fit its shard; write the shards anew.")
    return table


def _fits(table: Int64[np.ndarray, "samples 3"], size_bytes: int) -> bool:
    first, length, _ = np.asarray(table).T
    return bool((first >= 0).all() and (length > 0).all() and (first <= size_bytes - length).all())
