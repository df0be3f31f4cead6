"""The arguments of pickle opcodes, taken from a file's bytes within bounds.

A length that a file declares is compared with what is left before anything of that length is made.
"""

from __future__ import annotations

import codecs
import re
import struct

import numpy as np

MAX_INT_BYTES = 1024
_MAX_NUMBER_LINE = 3 * MAX_INT_BYTES
MAX_NAME_LETTERS = 255
_MAX_INDEX_LINE = 20
_MAX_WIDE_BYTES = 1 << 20
"""Of text with letters beyond latin1, for which Python takes four bytes a letter."""
_WIDE_ESCAPE = re.compile(rb"\\u(?!00)|\\U")
_LAST_LATIN1_LEAD = 0xC3


class Damaged(ValueError):
    """The bytes are no pickle; the text says why in a few words."""


class PickleBytes:
    """A file's bytes and how far they are read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def opcode(self) -> int:
        """The next byte."""
        if self._at >= len(self._data):
            raise Damaged("it ends before its end mark")
        self._at += 1
        return self._data[self._at - 1]

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        self.check_left(count)
        self._at += count
        return self._data[self._at - count : self._at]

    def check_left(self, count: int) -> None:
        """Refuse a length that is negative or beyond the file's end."""
        left = len(self._data) - self._at
        if not 0 <= count <= left:
            raise Damaged(f"a length of {count} bytes, of which {left} are there")

    def unsigned(self, count: int) -> int:
        """A little-endian number of `count` bytes."""
        return int.from_bytes(self.take(count), "little")

    def signed(self, count: int) -> int:
        """A little-endian two's complement number of `count` bytes."""
        return int.from_bytes(self.take(count), "little", signed=True)

    def long(self, count: int) -> int:
        """A whole number of any size, within reason."""
        if not 0 <= count <= MAX_INT_BYTES:
            raise Damaged(f"a whole number of {count} bytes")
        return self.signed(count)

    def double(self) -> float:
        """A big-endian double."""
        return struct.unpack(">d", self.take(8))[0]

    def line(self, at_most: int | None = None) -> bytes:
        """Bytes up to the next line break, which is passed over."""
        last = len(self._data) if at_most is None else self._at + at_most + 1
        end = self._data.find(b"\n", self._at, last)
        if end < 0:
            raise Damaged("a line without end" if at_most is None else "a line that is too long")
        start, self._at = self._at, end + 1
        return self._data[start:end]

    def number_line(self) -> str:
        """The text of a number."""
        return self.line(_MAX_NUMBER_LINE).decode("ascii")

    def name_line(self) -> str:
        """The name of a module or of what is in it."""
        return self.line(MAX_NAME_LETTERS).decode("utf8")

    def index_line(self) -> int:
        """The number of a memo entry."""
        return int(self.line(_MAX_INDEX_LINE))

    def quoted_line(self) -> str:
        """A Python 2 string as its `repr`, as latin1."""
        line = self.line().strip()
        if len(line) < 2 or line[:1] not in (b"'", b'"') or line[:1] != line[-1:]:
            raise Damaged("a string without quotes")
        return codecs.escape_decode(line[1:-1])[0].decode("latin1")  # type: ignore[attr-defined]

    def escaped_line(self) -> str:
        """A text whose line breaks and letters beyond latin1 are escaped."""
        line = self.line()
        if len(line) > _MAX_WIDE_BYTES and _WIDE_ESCAPE.search(line):
            raise Damaged("a very long text with letters beyond latin1")
        return line.decode("raw-unicode-escape")

    def latin1(self, count: int) -> str:
        """A Python 2 string."""
        return self.take(count).decode("latin1")

    def utf8(self, count: int) -> str:
        """A text."""
        text = self.take(count)
        if count > _MAX_WIDE_BYTES and np.frombuffer(text, np.uint8).max() > _LAST_LATIN1_LEAD:
            raise Damaged("a very long text with letters beyond latin1")
        return text.decode("utf8", "surrogatepass")
