"""Ctrl-C and requests to end, at any moment: no traceback, nothing half-written, the usual code.

Three stages. While commands are read and libraries imported there is nothing to clean up, and an
exception in the middle of an import may be swallowed or turned into another: the process ends on
the spot. While a command works, the signal becomes a `Stopped`, which unwinds through everything
that cleans up. A second signal, or one after the work, ends the process on the spot again.

The exit code is 128 plus the signal's number, as shells have it: 130 for Ctrl-C, 143 for SIGTERM.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # everything imported here is time in which Ctrl-C is not handled yet
    from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows lacks the last
_SHOW_CURSOR = b"\x1b[?25h"


class Stopped(KeyboardInterrupt):
    """Somebody asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


class _Stage:
    """What the handler needs to know; a signal handler has no other way to be told."""

    process: int = 0
    working: bool = False
    stopped: int | None = None


def install() -> None:
    """Handle signals from now on; those that the parent process wants ignored stay ignored."""
    _Stage.process = os.getpid()
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)
    # registered first, called last: Python gives handlers up when it ends, and a signal would kill
    # a process that is done
    atexit.register(_ignore)
    sys.unraisablehook = _silent_about(Stopped, sys.unraisablehook)


class Working:
    """A context in which the first signal raises `Stopped` instead of ending the process."""

    def __enter__(self) -> None:
        _Stage.working = True

    def __exit__(self, *_: object) -> None:
        _Stage.working = False


def raise_if_stopped() -> None:
    """Raise `Stopped` again in case foreign code swallowed it; call it between pieces of work."""
    if _Stage.stopped is not None:
        raise Stopped(_Stage.stopped)


def _handle(number: int, _frame: object) -> None:
    if not _Stage.working or _Stage.stopped is not None or os.getpid() != _Stage.process:
        _end(number)
    _Stage.stopped = number
    raise Stopped(number)


def _ignore() -> None:
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is _handle:
            signal.signal(number, signal.SIG_IGN)


def _end(number: int) -> None:
    # straight to the file: this may have interrupted a write to sys.stderr
    if os.getpid() == _Stage.process:
        try:
            if os.isatty(2):
                os.write(2, _SHOW_CURSOR)
            os.write(2, b"kinflow: interrupted\n")
        except OSError:
            pass
    os._exit(128 + number)


def _silent_about(kind: type[BaseException], hook: Any) -> Any:
    """A hook for exceptions that cannot propagate: `kind` is remembered elsewhere and not shown."""

    def silent(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, kind):
            hook(unraisable)

    return silent
