"""The log of a training run: a CSV file, and TensorBoard events where TensorBoard is installed."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from kinflow.files.atomic import write_bytes


class RunLog:
    """Appends figures to `log.csv` in a folder and to the event files that TensorBoard shows.

    TensorBoard comes with `pip install 'kinflow[train]'`; without it there is the CSV file alone.

    Args:
        folder: of the run.
        done: the steps done so far. What was logged of later ones, before a kill, is left out: the
            run that goes on logs it again.
    """

    def __init__(self, folder: Path, done: int = 0) -> None:
        self._csv_path = folder / "log.csv"
        _cut(self._csv_path, done)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self._events = None
        else:
            self._events = SummaryWriter(str(folder), purge_step=done + 1)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """One row: the step and its figures, always the same ones in the same order."""
        row = [step, *(f"{value:.4f}" for value in figures.values())]
        with open(self._csv_path, "a", newline="") as file:
            csv.writer(file).writerow(row)
        if self._events is not None:
            for name, value in figures.items():
                self._events.add_scalar(name, value, step)
            self._events.flush()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._events is not None:
            self._events.close()


def _cut(path: Path, done: int) -> None:
    """Keep the rows of the steps that are done; a row that a kill has torn is later than these."""
    if not path.exists():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if line.endswith(b"\n") and _step_of(line) <= done]
    if kept != lines:
        write_bytes(path, b"".join(kept))


def _step_of(line: bytes) -> float:
    first = line.split(b",")[0]
    return float(first) if first.isdigit() else float("inf")
