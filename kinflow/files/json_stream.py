"""JSON objects of hundreds of megabytes, one element of their lists at a time.

Annotation files are one object with a few long lists. Parsed as a whole they take some ten times
their size in memory; here no more than a few elements are held at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from kinflow.errors import InputError
from kinflow.files.reading import check_file, guarded, readable

MAX_STREAM_BYTES = 8 << 30
_PIECE = 1 << 20
_MAX_ELEMENT = 64 << 20
_SPACE = re.compile(r"[ \t\n\r]*")


def read_members(
    path: Path | str, at_most: int = MAX_STREAM_BYTES
) -> Iterator[tuple[str, int, Any]]:
    """The members of the object in a JSON file, in the order of the file.

    Args:
        path: a file in UTF-8, with or without a byte order mark.
        at_most: its size in bytes.

    Yields:
        (name, number, element) for each element of a member that is a list, and (name, -1, value)
        for other members. Empty lists yield nothing.

    Raises:
        InputError: the file cannot be read, is too large, ends early, is no object or no JSON, or
            one element has more than 64 million letters.
    """
    check_file(path, at_most)
    with (
        readable(path),
        guarded(path, "valid JSON"),
        open(path, encoding="utf-8-sig", newline="") as stream,
    ):
        try:
            yield from _Scanner(path, stream).members()
        except RecursionError as error:
            raise InputError(f"'{path}' is nested too deeply to be what is wanted.") from error
        except UnicodeDecodeError as error:
            raise InputError(f"'{path}' is not a text file ({error.reason}).") from error


class _Scanner:
    """A place in a JSON text of which a piece is in memory."""

    def __init__(self, path: Path | str, stream: TextIO) -> None:
        self._path, self._stream = path, stream
        self._text, self._at, self._ended = "", 0, False
        self._decode = json.JSONDecoder().raw_decode

    def members(self) -> Iterator[tuple[str, int, Any]]:
        if self._next() != "{":
            raise InputError(f"'{self._path}' is not a JSON object, as annotation files are.")
        self._at += 1
        closed = self._next() == "}"
        while not closed:
            name = self._value()
            if not isinstance(name, str):
                raise self._wrong("a name in quotes")
            self._take(":")
            if self._next() == "[":
                yield from ((name, n, value) for n, value in enumerate(self._elements()))
            else:
                yield name, -1, self._value()
            closed = self._take(",}") == "}"

    def _elements(self) -> Iterator[Any]:
        self._at += 1
        if self._next() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            if self._take(",]") == "]":
                return

    def _value(self) -> Any:
        """The value at this place, and past it."""
        self._next()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._more():
                    raise self._wrong("a value", error.msg) from error
                continue
            # a number may go on in the next piece
            if end < len(self._text) or not self._more():
                self._at = end
                return value

    def _next(self) -> str:
        """The next letter that is not space."""
        # most often there is none, or one blank
        for at in (self._at, self._at + 1):
            if at < len(self._text) and self._text[at] > " ":
                self._at = at
                return self._text[at]
            if at < len(self._text) and self._text[at] != " ":
                break
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                raise InputError(
                    f"'{self._path}' is cut off: its JSON has no end; copy or unpack it again."
                )

    def _take(self, letters: str) -> str:
        letter = self._next()
        if letter not in letters:
            raise self._wrong(" or ".join(f"'{one}'" for one in letters))
        self._at += 1
        return letter

    def _more(self) -> bool:
        """Read on, as much as there is in memory already; False at the end of the file."""
        if self._ended:
            return False
        kept = len(self._text) - self._at
        if kept > _MAX_ELEMENT:
            raise InputError(f"'{self._path}' has an element of more than {_MAX_ELEMENT} letters.")
        piece = self._stream.read(max(_PIECE, kept))
        self._ended = not piece
        self._text, self._at = self._text[self._at :] + piece, 0
        return not self._ended

    def _wrong(self, wanted: str, reason: str = "") -> InputError:
        if self._ended and self._at >= len(self._text) - 1 or "Unterminated" in reason:
            return InputError(
                f"'{self._path}' is cut off: its JSON has no end; copy or unpack it again."
            )
        near = self._text[self._at : self._at + 20]
        said = f"; {reason}" if reason else ""
        return InputError(
            f"'{self._path}' is not valid JSON ({wanted} expected at {near!r}{said})."
        )
