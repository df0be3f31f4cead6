"""Records of a label file: one that cannot be right is told and passed over, the others go on.

Annotations of COCO, rows of a table, people of a matrix and frames of a sequence stand for
themselves, so one that is damaged says nothing of its neighbours. A file that is damaged as a whole
(no JSON, another layout, cut off) raises as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeVar

from kinflow.datasets.sample import Sample
from kinflow.errors import InputError

OnFault = Callable[[InputError], None]
"""Is told of each record that cannot be right and is left out."""
_Record = TypeVar("_Record")


_NAMED = 5


@dataclass
class LeftOut:
    """Records that were passed over: call it with each.

    Args:
        where: of what file or dataset they are.
        count: how many.
        first: what is wrong with the first ones.
    """

    where: str
    count: int = 0
    first: list[str] = field(default_factory=list)

    def __call__(self, error: InputError) -> None:
        self.count += 1
        if len(self.first) < _NAMED:
            self.first.append(str(error))

    def sentences(self) -> list[str]:
        """What is wrong with the first ones, and how many others there are."""
        others = self.count - len(self.first)
        if not others:
            return self.first
        return [*self.first, f"'{self.where}': {others:,} more records cannot be right."]


def raised(error: InputError) -> NoReturn:
    """No record may be at fault: the first that is ends the reading."""
    raise error


def named(error: InputError, path: Path, record: str) -> InputError:
    """The same as a sentence that names the record and its file."""
    said = str(error).rstrip(".").removeprefix(f"'{path}': ")
    return InputError(f"{said}." if str(path) in said else f"{record} of '{path}': {said}.")


def made(
    records: Iterable[_Record],
    make: Callable[[_Record], Sample | None],
    path: Path,
    name: Callable[[_Record], str],
    on_fault: OnFault,
) -> Iterator[Sample]:
    """The samples of records.

    Args:
        records: of one file.
        make: the sample of a record; None where there is none.
        path: of the file.
        name: what a record is called in sentences, such as `Frame 5`.
        on_fault: is told of records of which no sample can be made.
    """
    for record in records:
        try:
            sample = make(record)
        except InputError as error:
            on_fault(named(error, path, name(record)))
            continue
        if sample is not None:
            yield sample
