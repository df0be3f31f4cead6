"""Functions in processes of their own that have torch at hand, which takes seconds to import.

They are forked from a process that has imported these libraries and nothing else: nothing of
kinflow, and nothing of the tests.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["torch.utils.tensorboard", "torch._dynamo"])  # optimizers ask for it


def start(
    function: Callable[..., Any], *arguments: Any, told: Path, **environment: str
) -> ForkServerProcess:
    """Start a module's function; what it prints is written to the file `told`."""
    process = FORKED.Process(target=_run, args=(function, arguments, told, environment))
    process.start()
    return process


def _run(
    function: Callable[..., Any], arguments: tuple, told: Path, environment: dict[str, str]
) -> None:
    os.environ.update(environment)
    with told.open("w") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    function(*arguments)
