"""Processes that touch what strangers send, so that a hostile file costs a job and not the server.

A child reads requests as lines of JSON and answers each with lines of JSON, the last of which says
`"end": true`. It is started when first asked, kept for its loaded models, and killed when it takes
too long; whatever ends it, the next request gets a new one.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_ASKING_S = 0.1


class ChildDied(Exception):
    """The process ended, or had to be, before it answered; the message is a sentence."""


class Child:
    """A process of its own that answers one request at a time.

    Args:
        module: what it runs.
        memory_mb: what it may allocate.
    """

    def __init__(self, module: str, memory_mb: int) -> None:
        self._module, self._memory_mb = module, memory_mb
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._lock = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Start it before it is needed."""
        with self._lock:
            self._running()

    def ask(
        self,
        request: dict[str, Any],
        timeout_s: float,
        told: Callable[[dict[str, Any]], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> dict[str, Any]:
        """The last answer to a request.

        Args:
            request: what is asked.
            timeout_s: how long it may take.
            told: is given all answers but the last.
            stop: asked now and then; True kills the process.

        Raises:
            ChildDied: the process ended or was killed.
        """
        with self._lock:
            process = self._running()
            try:
                assert process.stdin is not None
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
            except OSError as error:
                self._kill()
                raise ChildDied("The process that works on files could not be asked.") from error
            return self._answer(time.monotonic() + timeout_s, told, stop)

    def close(self) -> None:
        """End it; what it works on is lost."""
        self._closed = True
        self._kill()

    def _answer(
        self,
        deadline: float,
        told: Callable[[dict[str, Any]], None] | None,
        stop: Callable[[], bool] | None,
    ) -> dict[str, Any]:
        while True:
            if stop is not None and stop():
                self._kill()
                raise ChildDied("It was cancelled.")
            if time.monotonic() > deadline:
                self._kill()
                raise ChildDied("It took too long and was given up.")
            try:
                answer = self._answers.get(timeout=_ASKING_S)
            except queue.Empty:
                continue
            if answer is None:
                self._kill()
                raise ChildDied("It needed more memory than it may have, or broke the decoder.")
            if answer.get("end"):
                return answer
            if told is not None:
                told(answer)

    def _running(self) -> subprocess.Popen[str]:
        if self._closed:
            raise ChildDied("The server is being ended.")
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._answers = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module, str(self._memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C is the server's to handle
            start_new_session=True,
            env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"},
        )
        threading.Thread(target=_read, args=(self._process, self._answers), daemon=True).start()
        return self._process

    def _kill(self) -> None:
        # another thread may be ending it as well
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def _read(process: subprocess.Popen[str], answers: queue.Queue[dict[str, Any] | None]) -> None:
    """Pass lines on until there are no more; None is the end."""
    try:
        assert process.stdout is not None
        for line in process.stdout:
            answers.put(json.loads(line))
    except (OSError, ValueError):
        pass  # it was killed in the middle of a line
    answers.put(None)
