"""Fields of label files: whatever is missing, of another shape or not finite is said by name.

A file's content comes as a dict (of an npz, a pickle, a mat file). Readers ask for what they need
and say its shape, in which an axis may have a name: all axes of one name have one length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from kinflow.datasets.readers.packages import MissingPackage
from kinflow.errors import InputError
from kinflow.files.plain_pickle import as_array
from kinflow.files.reading import guarded

Axis = int | str
MAX_NUMBER = 1e7
"""What labels measure (pixels, millimetres, radians) is far below."""


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Read a file inside: whatever is wrong with it is an `InputError` with its name.

    Args:
        path: the file.
        what: what it should be, with its article.
    """
    try:
        with guarded(path, what):
            yield
    except MissingPackage:
        raise
    except InputError as error:
        said = str(error).rstrip(".")
        named = said if str(path) in said else f"'{path}' cannot be right: {said}"
        raise InputError(f"{named}.") from error


def _wrong(array: np.ndarray) -> str:
    """What is wrong with numbers of which some cannot be labels."""
    if not np.isfinite(array).all():
        return "holds numbers not finite"
    return f"holds numbers as large as {np.abs(array).max():.3g}"


@dataclass
class Fields:
    """The fields of one file, or of a part of it.

    Attributes:
        path: of the file.
        content: its fields.
        lengths: of the axes that have a name, as far as they are known.
        above: names of the fields that this part is in, for sentences.
        broken: rows (frames, people) that cannot be right, and why; `rows` enters them.
    """

    path: Path
    content: Mapping[str, Any]
    lengths: dict[str, int] = field(default_factory=dict)
    above: str = ""
    broken: dict[int, str] = field(default_factory=dict)

    @staticmethod
    def of(path: Path, content: object, what: str) -> Fields:
        """The fields of a file; `what` is what it should be, with its article.

        Raises:
            InputError: the file holds something else than named fields.
        """
        if not isinstance(content, Mapping):
            raise InputError(f"'{path}' is not {what}: it holds a {type(content).__name__}.")
        return Fields(path, content)

    def __contains__(self, name: str) -> bool:
        return name in self.content

    def need(self, names: tuple[str, ...], what: str) -> None:
        """All of these are there.

        Raises:
            InputError: some are not; `what` is what the file should be, with its article.
        """
        absent = [name for name in names if name not in self.content]
        if absent:
            raise InputError(f"'{self.path}' is not {what}: it has no {', '.join(absent)}.")

    def raw(self, name: str) -> Any:
        """A field as it is.

        Raises:
            InputError: there is none.
        """
        if name not in self.content:
            raise InputError(f"'{self.path}' has no {self._called(name)}.")
        return self.content[name]

    def numbers(self, name: str, *shape: Axis, finite: bool = True) -> Float64[np.ndarray, "..."]:
        """A field as numbers of a shape.

        Raises:
            InputError: it is not there, no numbers, of another shape, or not finite.
        """
        return self.as_numbers(self.raw(name), name, *shape, finite=finite)

    def as_numbers(
        self, value: object, name: str, *shape: Axis, finite: bool = True
    ) -> Float64[np.ndarray, "..."]:
        """As `numbers`, of a value that is somewhere within the field `name`."""
        try:
            array = np.asarray(as_array(value), np.float64)
        except InputError as error:
            raise InputError(f"'{self.path}': {self._called(name)} is no numbers.") from error
        self._check_shape(array, name, shape)
        if finite:
            self.check_finite(array, name)
        return array

    def rows(self, name: str, *shape: Axis) -> Float64[np.ndarray, "rows ..."]:
        """A field as numbers whose rows stand for themselves.

        Rows that hold what labels cannot be are zeros, and are entered into `broken`.

        Raises:
            InputError: it is not there, no numbers, or of another shape.
        """
        return self.as_rows(self.raw(name), name, *shape)

    def as_rows(self, value: object, name: str, *shape: Axis) -> Float64[np.ndarray, "rows ..."]:
        """As `rows`, of a value that is somewhere within the field `name`."""
        array = self.as_numbers(value, name, *shape, finite=False)
        # NaN is not below
        good = (np.abs(array) <= MAX_NUMBER).all(tuple(range(1, array.ndim)))
        if good.all():
            return array
        for row in np.flatnonzero(~good).tolist():
            self.broken.setdefault(row, f"{self._called(name)} {_wrong(array[row])}")
        array = array.copy()
        array[~good] = 0
        return array

    def check_row(self, row: int) -> None:
        """A row is none of those that cannot be right.

        Raises:
            InputError: it is.
        """
        if row in self.broken:
            raise InputError(self.broken[row])

    def check_finite(self, array: np.ndarray, name: str) -> None:
        """No NaN, and nothing larger than labels can be.

        Raises:
            InputError: there is.
        """
        # NaN is not below
        if not (np.abs(array) <= MAX_NUMBER).all():
            raise InputError(f"'{self.path}': {self._called(name)} {_wrong(array)}.")

    def flags(self, name: str, *shape: Axis) -> np.ndarray:
        """A field of truth values, which files also keep as 0 and 1."""
        return self.numbers(name, *shape) != 0

    def flat(self, name: str, at_least: int = 0) -> Float64[np.ndarray, " n"]:
        """A field as a row of at least so many numbers, however it is shaped.

        Raises:
            InputError: as `numbers`, or there are fewer.
        """
        return self.as_row(self.raw(name), name, at_least)

    def as_row(self, value: object, name: str, at_least: int = 0) -> Float64[np.ndarray, " n"]:
        """As `flat`, of a value that is somewhere within the field `name`."""
        try:
            array = np.asarray(as_array(value), np.float64).reshape(-1)
        except InputError as error:
            raise InputError(f"'{self.path}': {self._called(name)} is no numbers.") from error
        if len(array) < at_least:
            raise InputError(
                f"'{self.path}': {self._called(name)} has {len(array)} numbers, not {at_least}."
            )
        self.check_finite(array, name)
        return array

    def number(self, name: str) -> float:
        """A field that is one number."""
        return float(self.flat(name, 1)[0])

    def text(self, name: str) -> str:
        """A field that is a text.

        Raises:
            InputError: it is not there, or something else.
        """
        value = self.raw(name)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(-1)[0]
        if isinstance(value, bytes):
            value = value.decode("latin1")
        if not isinstance(value, str):
            raise InputError(f"'{self.path}': {self._called(name)} is no text.")
        return str(value)

    def parts(self, name: str, count: int | None = None) -> list[Any]:
        """A field that is a list, of `count` entries where that is said.

        Raises:
            InputError: it is not there, no list, or of another length.
        """
        value = self.raw(name)
        if isinstance(value, np.ndarray) and value.ndim > 0:
            value = list(value)
        if not isinstance(value, list | tuple):
            raise InputError(f"'{self.path}': {self._called(name)} is no list.")
        if count is not None and len(value) != count:
            raise InputError(
                f"'{self.path}': {self._called(name)} has {len(value)} entries, not {count}."
            )
        return list(value)

    def part(self, name: str) -> Fields:
        """A field that has fields itself."""
        value = self.raw(name)
        if not isinstance(value, Mapping):
            raise InputError(f"'{self.path}': {self._called(name)} has no fields.")
        return Fields(self.path, value, self.lengths, f"{self.above}{name}.", self.broken)

    def _called(self, name: str) -> str:
        return f"'{self.above}{name}'"

    def _check_shape(self, array: np.ndarray, name: str, shape: tuple[Axis, ...]) -> None:
        lengths = dict(self.lengths)
        good = array.ndim == len(shape)
        for axis, length in zip(shape, array.shape, strict=False):
            known = lengths.setdefault(axis, length) if isinstance(axis, str) else axis
            good = good and known == length
        if not good:
            wanted = " x ".join(
                str(self.lengths.get(a, a) if isinstance(a, str) else a) for a in shape
            )
            raise InputError(
                f"'{self.path}': {self._called(name)} has the shape {array.shape}, not {wanted}."
            )
        self.lengths |= lengths
