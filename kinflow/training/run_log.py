"""The log of a training run: a CSV file, and TensorBoard events where TensorBoard is installed."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType


class RunLog:
    """Appends figures to `log.csv` in a folder and to the event files that TensorBoard shows.

    TensorBoard comes with `pip install 'kinflow[train]'`; without it there is the CSV file alone.
    A run that continues appends to both.
    """

    def __init__(self, folder: Path) -> None:
        self._csv_path = folder / "log.csv"
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self._events = None
        else:
            self._events = SummaryWriter(str(folder))

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
