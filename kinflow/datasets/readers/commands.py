"""`kinflow data check NAME ROOT`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.progress import track
from tyro.conf import Positional, arg

from kinflow.checks import path
from kinflow.datasets.readers.check import Report, check_unit
from kinflow.datasets.readers.registry import reader_of
from kinflow.errors import InputError


@dataclass(frozen=True)
class CheckConfig:
    """Say what is there of a dataset, what is missing or malformed, and how many labels there are.

    Exit code 0: complete; 2: something is missing or cannot be read.

    Args:
        name: which dataset.
        root: its folder.
    """

    name: Annotated[str, Positional, arg(metavar="NAME")]
    root: Annotated[Path, Positional, arg(metavar="ROOT")]

    def __post_init__(self) -> None:
        path(self, "root")


def check(config: CheckConfig) -> int:
    """Print the report on a dataset; returns the exit code."""
    reader = reader_of(config.name)
    root = existing_folder(config.root)
    units, findings = reader.units(root)
    report = Report(findings=findings)
    for unit in track(units, config.name):
        check_unit(reader, root, unit, report)
    print("\n".join(report.lines()))
    return 0 if report.good else 2


def existing_folder(root: Path) -> Path:
    """The folder of a dataset.

    Raises:
        InputError: it is none.
    """
    if not root.is_dir():
        raise InputError(f"'{root}' is no folder; name the dataset's own, as you unpacked it.")
    return root
