"""What a reader of a dataset's official layout is, and what all of them share.

A dataset on disk is a number of *units*: label files that can be read one at a time (a sequence of
3DPW, an annotation file of COCO, a recording of AMASS). A reader finds them, says what is missing,
and turns each into samples. Units are what is spread over workers, and what is skipped when one is
broken as a whole; where its records stand for themselves, a broken one is skipped alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from kinflow.datasets.readers.records import OnFault, raised
from kinflow.datasets.sample import LABELS, Sample
from kinflow.datasets.sequence_lists import lacking, unlisted
from kinflow.errors import InputError

Level = Literal["missing", "malformed", "version", "note"]


@dataclass(frozen=True)
class Finding:
    """Something about a dataset's folder that its owner should know.

    Args:
        level: `missing` (a file that labels need or name), `malformed` (cannot be read, or cannot
            be right), `version` (another release or re-packing), `note` (left out by intention).
        sentence: names the file and says what to do.
    """

    level: Level
    sentence: str


@dataclass(frozen=True)
class Unit:
    """Labels that are read in one go.

    Args:
        path: of the label file.
        key: what names it within the dataset; ordered, the same on every machine.
        split: as the dataset calls it.
    """

    path: Path
    key: str
    split: str | None = None


@dataclass(frozen=True)
class DatasetInfo:
    """What a page about a dataset says; `docs/datasets.md` is written from these.

    Args:
        name: as typed.
        title: as its authors call it.
        home: where it is to be had.
        licence: in a few words; the dataset's own terms hold.
        tree: the folders and files that are expected below its root.
        used: what is read of it.
        faults: what is known to be wrong with it, and what is done about it.
        splits: as the dataset calls them; empty where it has none.
        labels: of `LABELS`, what its samples can have.
        needs: packages to be installed for it, as pip calls them.
    """

    name: str
    title: str
    home: str
    licence: str
    tree: str
    used: str
    faults: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = set(self.labels) - set(LABELS)
        if unknown:
            raise InputError(f"'{self.name}' lists unknown labels: {', '.join(sorted(unknown))}.")


def absent_split(label_file: str) -> str:
    """What is noted where a split is not there, which is nobody's fault."""
    return f"'{label_file}' is not there, so neither is its split."


def split_findings(dataset: str, split: str, there: list[str]) -> list[Finding]:
    """What a split lacks of the sequences of its benchmark, or has besides; nothing of a split of
    which no sequence is there but that it is so."""
    if not there:
        return [Finding("note", f"There are no sequences of the split {split}.")]
    absent, odd = lacking(dataset, split, there), unlisted(dataset, split, there)
    findings = [] if absent is None else [Finding("missing", absent)]
    if odd:
        sentence = f"{', '.join(odd)}: of {split} by its file or folder, and not on its list."
        findings.append(Finding("version", sentence))
    return findings


class Reader(ABC):
    """Reads one dataset. Stateless: roots are handed in, and a reader may go to other processes."""

    info: ClassVar[DatasetInfo]

    @abstractmethod
    def units(self, root: Path) -> tuple[list[Unit], list[Finding]]:
        """The label files below a root in a fixed order, and what is missing or of another version.

        Only names, sizes and headers are looked at.

        Raises:
            InputError: the folder holds nothing of this dataset; the sentence says what was
                expected.
        """

    @abstractmethod
    def read(self, root: Path, unit: Unit, on_fault: OnFault = raised) -> Iterator[Sample]:
        """The samples of a unit, in a fixed order.

        Pictures are named, not opened.

        Args:
            root: the dataset's folder.
            unit: of `units`.
            on_fault: is told of records that cannot be right, which are passed over then; the first
                one is raised unless something else is given.

        Raises:
            InputError: the file cannot be read, or is damaged as a whole.
        """

    def missing_pictures(self, samples: list[Sample]) -> list[Path]:
        """Files of pictures and masks that these samples name and that are not there."""
        named = {s.picture.path for s in samples if s.picture is not None}
        named |= {s.mask.path for s in samples if s.mask is not None and s.mask.path is not None}
        return sorted(path for path in named if not path.is_file())


def chosen_units(reader: Reader, root: Path, split: str | None) -> list[Unit]:
    """The units of a split, or all.

    Raises:
        InputError: the dataset has no such split, or nothing of it is there.
    """
    if split is not None and split not in reader.info.splits:
        known = ", ".join(reader.info.splits) or "none"
        raise InputError(f"{reader.info.title} has no split '{split}'; there are: {known}.")
    units, _ = reader.units(root)
    chosen = [unit for unit in units if split is None or unit.split == split]
    if not chosen:
        raise InputError(f"'{root}' holds nothing of the split '{split}' of {reader.info.title}.")
    return chosen


def samples(
    reader: Reader,
    root: Path,
    split: str | None = None,
    on_fault: Callable[[Unit, InputError], None] | None = None,
) -> Iterator[Sample]:
    """All samples of a dataset, unit by unit.

    Args:
        reader: of the dataset.
        root: its folder.
        split: one of the dataset's splits; None reads all of them.
        on_fault: is told of records that cannot be right and of units that cannot be read, which
            are passed over then; what a unit gave before it broke counts.

    Raises:
        InputError: the folder is not this dataset's, or a record cannot be right or a unit cannot
            be read and `on_fault` is None.
    """
    for unit in chosen_units(reader, root, split):
        if on_fault is None:
            yield from reader.read(root, unit)
        else:
            yield from forgiving(reader, root, unit, partial(on_fault, unit))


def forgiving(reader: Reader, root: Path, unit: Unit, on_fault: OnFault) -> Iterator[Sample]:
    """The samples of a unit as far as they can be read; whatever cannot is told."""
    try:
        yield from reader.read(root, unit, on_fault)
    except InputError as error:
        on_fault(error)
