"""Standard output and standard error, whatever they are connected to.

Names of files may hold any bytes and any characters, and the other end may be a terminal, an ASCII
log, a full disk, a pipe that nobody reads any more, or nothing at all.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any

from kinflow.errors import InputError

BROKEN_PIPE = 141
"""Exit code when nobody reads the output any more: 128 + SIGPIPE, as for other programs."""

_STYLES = {"bold": "1", "dim": "2", "red": "31"}


def prepare() -> None:
    """Make the standard streams safe to print on; the entry point calls it first."""
    for expected in range(3):
        # a closed one would be taken by the next file that is opened, and printed into
        with contextlib.suppress(OSError):
            try:
                os.fstat(expected)
            except OSError:
                os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", errors="replace")
            setattr(sys, name, nowhere)
        elif name == "stderr" or os.name == "nt":  # a console of Windows is no plain file
            stream.reconfigure(errors="backslashreplace")
        else:
            raw = _StandardOutput(stream.fileno(), "wb", closefd=False)
            sys.stdout = io.TextIOWrapper(
                io.BufferedWriter(raw),
                encoding=stream.encoding,
                errors="backslashreplace",
                line_buffering=stream.line_buffering,
            )


class _StandardOutput(io.FileIO):
    """Standard output that explains, whoever prints, why it cannot be written."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise InputError(
                f"Standard output cannot be written ({error.strerror or error})."
            ) from error


def say(text: str, style: str = "") -> None:
    """Print a line to standard output at once.

    Raises:
        BrokenPipeError: nobody reads it any more.
        InputError: it cannot be written.
    """
    _print(sys.stdout, text, style)


def complain(text: str, style: str = "") -> None:
    """Print a line to standard error at once; one that cannot be written is no reason to stop.

    Raises:
        BrokenPipeError: nobody reads it any more.
    """
    try:
        _print(sys.stderr, text, style)
    except BrokenPipeError:
        raise
    except OSError:
        pass


def flushed(code: int) -> int:
    """The exit code once all output is out: another one if it cannot be written."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            # python flushes once more at its end, and would complain then
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if isinstance(error, BrokenPipeError):
                return BROKEN_PIPE
            if stream is sys.stdout and code == 0:
                complain(f"kinflow: {error}")
                code = 2
    return code


def _print(stream: Any, text: str, style: str) -> None:
    if style and stream.isatty() and "NO_COLOR" not in os.environ:
        text = f"\x1b[{_STYLES[style]}m{text}\x1b[0m"
    stream.write(f"{text}\n")
    stream.flush()
