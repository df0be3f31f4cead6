"""`python tests/fuzz/run.py --count 2000`: the whole fuzz, with a table by kind of file at the end.

The test suite runs a sample of it (`test_fuzz.py`). Every fault is printed with its kind and its
number, which make the same input again: `--kinds coco --first 17 --count 1`.
"""

from __future__ import annotations

import collections
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "files")]

import tyro
from harness import MAX_BYTES, MAX_SECONDS, Trial, Verdict, run_trials
from kinds import READERS
from rich.console import Console
from rich.progress import track
from rich.table import Table


@dataclass(frozen=True)
class FuzzConfig:
    """Which inputs are tried.

    Attributes:
        count: inputs in all, spread over the kinds.
        first: number of the first input of each kind; number 0 is the undamaged file.
        kinds: these kinds only.
        workers: processes at a time.
    """

    count: int = 2000
    first: int = 0
    kinds: tuple[str, ...] = tuple(READERS)
    workers: int = 2


def trials_of(config: FuzzConfig) -> list[Trial]:
    """The kinds in turn, each with numbers of its own."""
    return [
        Trial(config.kinds[i % len(config.kinds)], config.first + i // len(config.kinds))
        for i in range(config.count)
    ]


def table_of(verdicts: list[Verdict]) -> Table:
    """A row a kind: inputs, exit codes, faults, slowest, largest."""
    table = Table("kind", "inputs", "read", "refused", "faults", "slowest", "peak memory")
    rows: dict[str, list[Verdict]] = collections.defaultdict(list)
    for verdict in verdicts:
        rows[verdict.trial.kind].append(verdict)
    for name, group in (*sorted(rows.items()), ("all", verdicts)):
        codes = collections.Counter(v.code for v in group)
        table.add_row(
            name,
            str(len(group)),
            str(codes[0]),
            str(codes[2]),
            str(sum(bool(v.fault) for v in group)),
            f"{max(v.seconds for v in group):.1f} s",
            f"{max(v.peak_bytes for v in group) / 2**30:.2f} GB",
        )
    return table


def main(config: FuzzConfig) -> int:
    """Try all inputs; exit code 1 if there was any fault."""
    console = Console()
    verdicts = []
    trials = trials_of(config)
    for verdict in track(
        run_trials(trials, config.workers), "fuzz", len(trials), console=Console(stderr=True)
    ):
        verdicts.append(verdict)
        if verdict.fault:
            trial = verdict.trial
            console.print(f"{trial.kind} {trial.number}: {verdict.fault}", markup=False)
    console.print(table_of(verdicts))
    console.print(f"limits: {MAX_SECONDS:.0f} s, {MAX_BYTES / 2**30:.0f} GB an input")
    return int(any(v.fault for v in verdicts))


if __name__ == "__main__":
    sys.exit(main(tyro.cli(FuzzConfig)))
