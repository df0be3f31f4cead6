"""`kinflow data check`, `kinflow data show` and `kinflow data list`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from tyro.conf import Positional, arg

from kinflow.checks import path, whole
from kinflow.datasets.readers.check import Report, check_unit
from kinflow.datasets.readers.page import listing, page
from kinflow.datasets.readers.registry import reader_of
from kinflow.datasets.readers.sheet import contact_sheet, drawn_samples
from kinflow.errors import InputError
from kinflow.export.writer import png_bytes
from kinflow.files.atomic import explained, write_bytes
from kinflow.files.destinations import check_file_destination


@dataclass(frozen=True)
class CheckConfig:
    """Say what is there of a dataset, what is missing or malformed, and how many labels there are.

    Exit code 0: complete; 2: something is missing or cannot be read.

    Args:
        name: which dataset.
        root: its folder.
        pictures: how many pictures are opened, whose sizes and ends are compared with the labels:
            about so many, spread over the label files, or `all`.
    """

    name: Annotated[str, Positional, arg(metavar="NAME")]
    root: Annotated[Path, Positional, arg(metavar="ROOT")]
    pictures: int | Literal["all"] = 1000

    def __post_init__(self) -> None:
        path(self, "root")
        if self.pictures != "all":
            whole(self, "pictures")

    def pictures_of_each(self, units: int) -> int | None:
        """How many pictures of each label file are opened; None for all."""
        return None if self.pictures == "all" else math.ceil(self.pictures / max(units, 1))


def check(config: CheckConfig) -> int:
    """Print the report on a dataset; returns the exit code."""
    reader = reader_of(config.name)
    root = existing_folder(config.root)
    units, findings = reader.units(root)
    report = Report(findings=findings)
    columns = ("[progress.description]{task.description}", BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TextColumn("{task.fields[people]:,} samples")) as bar:
        task = bar.add_task(config.name, total=len(units), people=0)
        for unit in units:
            bar.update(task, description=f"{config.name} {unit.key}")
            each = config.pictures_of_each(len(units))
            check_unit(reader, root, unit, report, lambda n: _more(bar, task, n), each)
            bar.advance(task)
    print("\n".join(report.lines()))
    return 0 if report.good else 2


def _more(bar: Progress, task: TaskID, count: int) -> None:
    """Files may hold most of a dataset, so progress is told in samples too."""
    bar.update(task, people=bar.tasks[task].fields["people"] + count)


@dataclass(frozen=True)
class ShowConfig:
    """Draw samples of a dataset with all of their labels, to be looked at.

    Left is blue, right is orange; discs are keypoints, hollow where they are hidden, crosses are
    joints in space before the dataset's camera. Prints how far apart the two are.

    Args:
        name: which dataset.
        root: its folder.
        out: PNG to write.
        count: how many samples.
        split: of which split; all if not given.
        seed: another number draws other samples.
    """

    name: Annotated[str, Positional, arg(metavar="NAME")]
    root: Annotated[Path, Positional, arg(metavar="ROOT")]
    out: Path
    count: int = 24
    split: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        path(self, "root")
        path(self, "out")
        whole(self, "count", at_least=1, at_most=200)
        whole(self, "seed")


def show(config: ShowConfig) -> None:
    """Write the contact sheet and print a line about each cell."""
    if config.out.suffix.lower() != ".png":
        raise InputError(f"'{config.out}' would be a PNG; give a name that ends in .png.")
    check_file_destination(config.out)
    reader = reader_of(config.name)
    root = existing_folder(config.root)
    some, problems = drawn_samples(reader, root, config.split, config.count, config.seed)
    sheet, lines = contact_sheet(some, reader.info.title)
    _write(config.out, png_bytes(sheet))
    print("\n".join([*lines, *problems]))
    print(f"Wrote {len(some)} samples to {config.out}.")


@dataclass(frozen=True)
class ListConfig:
    """List the datasets that can be read, their labels and where they are to be had.

    Args:
        page: write docs/datasets.md, or a page of another name, instead.
    """

    page: Path | None = None

    def __post_init__(self) -> None:
        path(self, "page", or_none=True)


def listed(config: ListConfig) -> None:
    """Print the list or write the page."""
    if config.page is None:
        print(listing())
    else:
        check_file_destination(config.page)
        _write(config.page, page().encode())
        print(f"Wrote {config.page}.")


def _write(path: Path, data: bytes) -> None:
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data)


def existing_folder(root: Path) -> Path:
    """The folder of a dataset.

    Raises:
        InputError: it is none.
    """
    if not root.is_dir():
        raise InputError(f"'{root}' is no folder; name the dataset's own, as you unpacked it.")
    return root
