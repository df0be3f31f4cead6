"""Bytes and text of files that nobody vouches for: limits first, one kind of error out.

Stages: is it a regular file of a size that can be meant, read it, and let a parser loose on it only
inside `guarded`. What a damaged file makes parsers raise is not for callers to list (numpy, zlib,
zipfile, json and safetensors each have their own), so all of it becomes an `InputError` that names
the file; the first cause stays attached for whoever debugs a reader.
"""

from __future__ import annotations

import codecs
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kinflow.errors import InputError

MAX_FILE_BYTES = 1 << 30
_MAX_REASON = 200
_PIECE_BYTES = 1 << 20

_BYTE_ORDER_MARKS = (
    # UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def check_file(path: Path | str, at_most: int = MAX_FILE_BYTES) -> int:
    """The size in bytes of a file that may be read.

    Args:
        path: the file.
        at_most: bytes above which it cannot be what is wanted.

    Raises:
        InputError: it does not exist, is a folder, a device or a pipe, is empty, or is too large.
    """
    with readable(path):
        status = Path(path).stat()
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"'{path}' is a folder, not a file.")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"'{path}' is a device or a pipe, not a file; save it to a file first.")
    if status.st_size == 0:
        raise InputError(f"'{path}' is empty (zero bytes).")
    if status.st_size > at_most:
        raise InputError(
            f"'{path}' has {status.st_size / 1e6:.0f} MB, more than the {at_most / 1e6:.0f} MB "
            "that such a file may have."
        )
    return status.st_size


def read_bytes(path: Path | str, at_most: int = MAX_FILE_BYTES) -> bytes:
    """A whole file.

    Raises:
        InputError: as `check_file`, or the file cannot be read.
    """
    size = check_file(path, at_most)
    with readable(path), open(path, "rb") as stream:
        # Python sets aside what is asked for; the file may have grown since it was looked at
        data = stream.read(size)
        data += stream.read(at_most + 1 - size) if stream.peek(1) else b""
    if len(data) > at_most:
        raise InputError(f"'{path}' is larger than {at_most / 1e6:.0f} MB.")
    return data


def read_text(path: Path | str, at_most: int = MAX_FILE_BYTES) -> str:
    """A text file in UTF-8, or in UTF-16 or UTF-32 as their byte order marks say.

    UTF-16 without a mark is known by the zero bytes that plain letters have in it.

    Raises:
        InputError: as `read_bytes`, or the bytes are no text.
    """
    data = read_bytes(path, at_most)
    try:
        return data.decode(_encoding_of(data))
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' is not a text file ({error.reason}).") from error


def read_utf8(path: Path | str, at_most: int = MAX_FILE_BYTES) -> bytes:
    """A text file as bytes in UTF-8, whichever of `read_text`'s encodings it is in.

    For large files, whose text would take four times the memory for a single rare letter. UTF-8 is
    not looked at, other encodings are changed piece by piece; what cannot be decoded is a question
    mark then.

    Raises:
        InputError: as `read_bytes`.
    """
    data = read_bytes(path, at_most)
    encoding = _encoding_of(data)
    if encoding.startswith("utf-8"):
        return data
    pieces = (data[i : i + _PIECE_BYTES] for i in range(0, len(data), _PIECE_BYTES))
    return b"".join(
        text.encode("utf-8", "replace") for text in codecs.iterdecode(pieces, encoding, "replace")
    )


def _encoding_of(data: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding
    if len(data) % 2 == 0 and 0 in data[:2]:
        return "utf-16-be" if data[0] == 0 else "utf-16-le"
    return "utf-8"


@contextmanager
def readable(path: Path | str) -> Iterator[None]:
    """Open a file or list a folder inside: what the operating system says is an `InputError`."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"'{path}' does not exist; check the path.") from error
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({reason_of(error)}).") from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        # a null byte in the name
        raise InputError(f"'{path}' cannot be read ({reason_of(error)}).") from error


def reason_of(error: BaseException) -> str:
    """What an error of foreign code says, short enough to stand in brackets."""
    said = getattr(error, "strerror", None) or str(error)
    lines = str(said).strip().splitlines() or [type(error).__name__]
    return lines[0][:_MAX_REASON]


@contextmanager
def guarded(path: Path | str, what: str) -> Iterator[None]:
    """Parse untrusted content inside: whatever that raises comes out as an `InputError`.

    Args:
        path: the file, for the sentence.
        what: what it should have been, with its article: "a pose set".
    """
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"'{path}' asks for more memory than there is.") from error
    except Exception as error:
        raise InputError(f"'{path}' is not {what}, or is damaged ({reason_of(error)}).") from error
