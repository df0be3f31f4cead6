"""Tables of gigabytes as comma-separated text, row by row."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from kinflow.errors import InputError
from kinflow.files.reading import check_file, guarded, readable

MAX_CSV_BYTES = 16 << 30


def _raised(error: InputError) -> None:
    raise error


def read_columns(
    path: Path | str,
    names: Sequence[str],
    on_short: Callable[[InputError], None] = _raised,
    at_most: int = MAX_CSV_BYTES,
) -> Iterator[tuple[int, list[str]]]:
    """(number of the line, values of these columns) of each row below the header.

    Args:
        path: of the table.
        names: of the columns.
        on_short: is told of rows that end early, which are passed over; raised unless something
            else is given.
        at_most: size of the file in bytes.

    Raises:
        InputError: the file cannot be read, is too large or lacks a column.
    """
    check_file(path, at_most)
    with (
        readable(path),
        guarded(path, "a table of comma-separated text in UTF-8"),
        open(path, encoding="utf-8-sig", newline="") as stream,
    ):
        rows = csv.reader(stream)
        header = next(rows, [])
        missing = [name for name in names if name not in header]
        if missing:
            raise InputError(
                f"'{path}' has no column '{missing[0]}'; take the file of the release named by "
                "`kinflow data list`."
            )
        columns = [header.index(name) for name in names]
        longest = max(columns)
        for row in rows:
            if len(row) <= longest:
                on_short(InputError(f"Line {rows.line_num} of '{path}' ends early; copy it again."))
                continue
            yield rows.line_num, [row[column] for column in columns]
