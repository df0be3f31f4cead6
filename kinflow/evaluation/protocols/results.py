"""What an evaluation gives: figures of one system by one protocol, whose hash they carry."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kinflow.errors import InputError
from kinflow.evaluation.protocols.protocol import Protocol
from kinflow.files.json_files import read_json
from kinflow.files.reading import guarded

FORMAT = "kinflow evaluation result 1"
_WHAT = "a result of kinflow evaluate reconstruction"
_MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Value:
    """One figure."""

    value: float
    low: float
    high: float
    """Its 95 % interval over sequences; NaN where there is only one."""
    count: int
    """Values that it is the mean of."""


@dataclass(frozen=True)
class Counts:
    """How much was compared."""

    rows: int
    """True rows that count."""
    matched: int
    missing: int
    """True rows without a prediction."""
    extra: int
    """Predictions in frames of the truth that belong to nobody."""
    sequences: int


@dataclass(frozen=True)
class Worst:
    """A row with a large error."""

    sequence: str
    frame: int
    person: int
    value: float


@dataclass(frozen=True)
class Result:
    """One system, judged."""

    system: str
    protocol: Protocol
    figures: Mapping[str, Value]
    by_action: Mapping[str, Mapping[str, float]]
    """Means of each action, by figure."""
    by_joint: Mapping[str, Mapping[str, float]]
    """Means of each joint or part, by figure."""
    counts: Counts
    absent: Mapping[str, str]
    """Figures of the protocol that these files do not allow, and why."""
    worst: tuple[Worst, ...]
    """By the first figure that rows have, the worst first."""

    @property
    def hash(self) -> str:
        """The protocol's."""
        return self.protocol.hash

    def as_json(self) -> dict[str, Any]:
        """Plain JSON; NaN is null."""
        document = {
            "format": FORMAT,
            "hash": self.hash,
            "system": self.system,
            "protocol": self.protocol.as_json(),
            "figures": {name: asdict(value) for name, value in self.figures.items()},
            "by_action": self.by_action,
            "by_joint": self.by_joint,
            "counts": asdict(self.counts),
            "absent": self.absent,
            "worst": [asdict(row) for row in self.worst],
        }
        return _without_nan(document)


def check_comparable(results: Sequence[Result]) -> None:
    """Refuse to set numbers beside each other that were measured differently.

    Raises:
        InputError: two results have other hashes; the sentence names the fields that differ.
    """
    for other in results[1:]:
        first = results[0]
        if other.hash != first.hash:
            mine, theirs = first.protocol.as_json(), other.protocol.as_json()
            differ = [name for name in mine if mine[name] != theirs[name]]
            raise InputError(
                f"'{first.system}' was measured by {first.protocol.name} ({first.hash}) and "
                f"'{other.system}' by {other.protocol.name} ({other.hash}); they differ in "
                f"{', '.join(differ)} and do not belong into one table."
            )


def result_bytes(result: Result) -> bytes:
    """Content of a result file."""
    text = json.dumps(result.as_json(), indent=1, allow_nan=False, ensure_ascii=False)
    return (text + "\n").encode("utf8")


def read_result(path: Path | str) -> Result:
    """A result that was written before.

    Raises:
        InputError: it cannot be read, is something else, or its hash is not that of its protocol.
    """
    with guarded(path, _WHAT):
        document = read_json(path, _MAX_BYTES)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise InputError(f"'{path}' is not {_WHAT}.")
        try:
            result = _from_json(document)
        except InputError as error:
            raise InputError(f"'{path}' cannot be used: {error}") from error
        if result.hash != document["hash"]:
            raise InputError(
                f"'{path}' says {document['hash']}, but its protocol has the hash {result.hash}; "
                "it was changed, or written by another version."
            )
        return result


def _from_json(document: Mapping[str, Any]) -> Result:
    return Result(
        system=str(document["system"]),
        protocol=Protocol.from_json(document["protocol"]),
        figures={
            str(name): Value(
                _number(v["value"]), _number(v["low"]), _number(v["high"]), int(v["count"])
            )
            for name, v in document["figures"].items()
        },
        by_action=_tables(document["by_action"]),
        by_joint=_tables(document["by_joint"]),
        counts=Counts(**{str(key): int(n) for key, n in document["counts"].items()}),
        absent={str(name): str(why) for name, why in document["absent"].items()},
        worst=tuple(
            Worst(str(w["sequence"]), int(w["frame"]), int(w["person"]), _number(w["value"]))
            for w in document["worst"]
        ),
    )


def _tables(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    return {
        str(name): {str(key): _number(value) for key, value in table.items()}
        for name, table in tables.items()
    }


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
