"""`looks.json`: of what dataset a folder of looks is, and which shards belong to it.

It is written when all of a dataset has been looked at, so a folder with it is whole, and a shard
that is gone since is known by its name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kinflow.errors import InputError
from kinflow.files.atomic import write_bytes
from kinflow.files.json_files import read_json
from kinflow.files.reading import guarded

INDEX_NAME = "looks.json"
FORMAT = "kinflow-looks-1"
_WHAT = "an index of looks"


@dataclass(frozen=True)
class Origin:
    """What was looked at, and how.

    Attributes:
        name: of the reader.
        root: of the dataset.
        split: of it.
        at_most: samples of each label file.
        fov_deg: field of view where the dataset has no cameras.
    """

    name: str
    root: str
    split: str | None
    at_most: int | None
    fov_deg: float

    @staticmethod
    def of(asked: Any) -> Origin:
        """By options that have the fields of these names."""
        root = str(Path(asked.root).resolve())
        return Origin(asked.name, root, asked.split, asked.at_most, asked.fov_deg)

    def __str__(self) -> str:
        split = "" if self.split is None else f", split {self.split}"
        return f"{self.name} in '{self.root}'{split}"


@dataclass(frozen=True)
class LookIndex:
    """What a folder of looks holds.

    Attributes:
        origin: what was looked at.
        shards: people in each file.
        read: records of the dataset that were read.
        left_out: how many of them could not be used, by the reason.
    """

    origin: Origin
    shards: dict[str, int]
    read: int = 0
    left_out: dict[str, int] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write it, atomically."""
        values = {"format": FORMAT, **asdict(self)}
        write_bytes(folder / INDEX_NAME, json.dumps(values, indent=1).encode())

    @staticmethod
    def there(folder: Path) -> LookIndex | None:
        """The index of a folder; None where there is none.

        Raises:
            InputError: it is damaged or of another version.
        """
        path = folder / INDEX_NAME
        if not path.exists():
            return None
        values = read_json(path)
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise InputError(f"'{path}' is not of the format {FORMAT}; delete it.")
        with guarded(path, _WHAT):
            shards = _counts(values["shards"])
            if any(Path(name).name != name for name in shards):
                raise InputError("a shard's name cannot be")
            # folders of older versions do not say what was left out
            left_out = _counts(values.get("left_out", {}))
            return LookIndex(
                Origin(**values["origin"]), shards, int(values.get("read", 0)), left_out
            )

    def check(self, origin: Origin, folder: Path) -> None:
        """Refuse to mix looks at two datasets.

        Raises:
            InputError: the folder is of another one, or looked at in another way.
        """
        if self.origin == origin:
            return
        same_place = str(self.origin) == str(origin)
        how = "seen with other options (at_most, fov_deg)" if same_place else f"of {self.origin}"
        raise InputError(f"'{folder}' holds looks {how}; name another folder.", {"folder": "out"})

    def missing(self, folder: Path) -> list[str]:
        """Shards that it names and that are not there."""
        return [name for name in self.shards if not (folder / name).is_file()]


def _counts(values: Mapping[str, Any]) -> dict[str, int]:
    counts = {str(name): int(count) for name, count in values.items()}
    if any(count < 0 for count in counts.values()):
        raise InputError("a number of people or records cannot be")
    return counts
