"""The inside of a child process: its limits, and requests in, answers out."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from typing import Any

Answer = Callable[[dict[str, Any]], None]
_MAX_FILE_BYTES = 8 << 30


def run(handle: Callable[[dict[str, Any], Answer], dict[str, Any]], memory_mb: int) -> None:
    """Answer requests until the server is gone.

    Args:
        handle: works on a request; may answer on the way, and returns the last answer.
        memory_mb: what may be allocated from now on, where the system knows such a limit.
    """
    # libraries print to standard output now and then; answers have a channel of their own
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    limit(memory_mb)
    requests: Queue[str] = Queue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()

    def answer(value: dict[str, Any]) -> None:
        channel.write(json.dumps(value) + "\n")
        channel.flush()

    while True:
        last = handle(json.loads(requests.get()), answer)
        answer({**last, "end": True})


def _listen(requests: Queue[str]) -> None:
    """Pass requests on; without a server there is nobody to work for."""
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)


def limit(memory_mb: int) -> None:
    """Let the system refuse memory beyond a limit, and files that cannot be meant."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return
    for name, size in (("RLIMIT_DATA", memory_mb << 20), ("RLIMIT_FSIZE", _MAX_FILE_BYTES)):
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        if hard == resource.RLIM_INFINITY or size < hard:
            resource.setrlimit(kind, (size, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def without_paths(sentence: str, path: Path) -> str:
    """A sentence for clients, who know their file by another name.

    Folders of the server are not theirs to see.
    """
    sentence = sentence.replace(f"'{path}'", "the file")
    if path.is_absolute():
        sentence = sentence.replace(str(path), "the file")
    return re.sub(r"'/[^']*'", "a file of the server", sentence[:1].upper() + sentence[1:])
