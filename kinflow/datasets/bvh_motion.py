"""The numbers of a BVH file: one line per frame, or however an exporter wraps them.

They are most of such a file, so they stay bytes and are parsed in pieces of a few megabytes, into
an array whose size the header announces. Memory and time follow the size of the file, whatever it
holds. Only when the numbers do not add up are lines looked at one by one, for the sentence that
says where.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kinflow.datasets.bvh_tree import MAX_VALUE, number

MAX_NUMBERS = 24_000_000
"""Of one file: over an hour of 60 channels at 100 frames a second."""

_PIECE_BYTES = 4 << 20


class MotionFault(ValueError):
    """What is wrong with the numbers, and in which line."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.line = line


@dataclass(frozen=True)
class MotionText:
    """The part of a file that holds the numbers.

    Attributes:
        data: the file's bytes.
        start: where the numbers begin.
        line: number of the line before.
        decimal_comma: whether fractions are written with a comma.
    """

    data: bytes
    start: int
    line: int
    decimal_comma: bool

    def numbers(self, num_frames: int, num_channels: int) -> np.ndarray:
        """All numbers (num_frames, num_channels).

        Raises:
            MotionFault: there are more or fewer, or one is none.
        """
        wanted = num_frames * num_channels
        announced = f"it is damaged: {num_frames} frames of {num_channels} numbers are announced"
        if 2 * wanted > len(self.data) - self.start + 1:  # a digit and a blank each
            what, line = self._wrong_count(num_frames, num_channels)
            raise MotionFault(f"{announced}, but {what}", line)
        if wanted > MAX_NUMBERS:
            raise MotionFault(
                f"{num_frames} frames of {num_channels} numbers are more than {MAX_NUMBERS:,} "
                "numbers; cut it into several files",
                self.line,
            )
        values, found = np.empty(wanted), 0
        for piece, line in self._pieces():
            read = _parsed(piece)
            if read is None:
                what, line = _wrong_word(piece, line)
                raise MotionFault(f"{announced}, but one is {what[:20]!r}", line)
            if found + len(read) > wanted:
                found = wanted + 1
                break
            values[found : found + len(read)] = read
            found += len(read)
        if found != wanted:
            what, line = self._wrong_count(num_frames, num_channels)
            raise MotionFault(f"{announced}, but {what}", line)
        return values.reshape(num_frames, num_channels)

    def _pieces(self) -> Iterator[tuple[bytes, int]]:
        """Pieces that end where a line or at least a word ends, and the line before each."""
        position, line = self.start, self.line
        while position < len(self.data):
            end = min(position + _PIECE_BYTES, len(self.data))
            if end < len(self.data):
                last = max(self.data.rfind(blank, position, end) for blank in (b"\n", b" ", b"\t"))
                newline = self.data.rfind(b"\n", position, end)
                end = (newline if newline >= 0 else last) + 1 or end
            piece = self.data[position:end]
            if not piece.isspace():
                yield piece.replace(b",", b".") if self.decimal_comma else piece, line
            line += piece.count(b"\n")
            position = end

    def _wrong_count(self, num_frames: int, num_channels: int) -> tuple[str, int]:
        """Why the numbers are too many or too few, and the line."""
        frames, last = 0, self.line
        for piece, line in self._pieces():
            for last, text in enumerate(piece.split(b"\n"), line + 1):
                if not text or not (words := text.split()):
                    continue
                frames += 1
                if len(words) != num_channels:
                    return f"a line holds {len(words)} of them", last
                if frames > num_frames:
                    return "there are more", last
        return f"there are {frames} frames", last


def _parsed(piece: bytes) -> np.ndarray | None:
    """The numbers of a piece of text, None if one of them is none or cannot be meant."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy's way of saying that it stopped half-way
        try:
            values = np.fromstring(piece, dtype=np.float64, sep=" ")
        except (ValueError, DeprecationWarning):
            return None
    # not a number is not less
    return values if max(values.max(initial=0.0), -values.min(initial=0.0)) < MAX_VALUE else None


def _wrong_word(piece: bytes, line: int) -> tuple[str, int]:
    """The first word that is no number, and its line."""
    for last, text in enumerate(piece.split(b"\n"), line + 1):
        for word in text.split():
            if b"_" in word or not abs(number(word)) < MAX_VALUE:
                return word.decode("utf-8", "replace"), last
    return "not readable", line + 1
