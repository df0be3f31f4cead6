"""Functions in processes of their own that have torch at hand, which takes seconds to import.

They are forked from a process that has imported these libraries and nothing else: nothing of
kinflow, and nothing of the tests.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["torch.utils.tensorboard", "torch._dynamo"])  # optimizers ask for it


def start(
    function: Callable[..., Any],
    *arguments: Any,
    told: Path,
    complained: Path | None = None,
    **environment: str,
) -> ForkServerProcess:
    """Start a module's function; what it prints is written to the file `told`, and so is what it
    complains of unless that has a file of its own."""
    places = (told, complained or told)
    process = FORKED.Process(target=_run, args=(function, arguments, places, environment))
    process.start()
    return process


def _run(
    function: Callable[..., Any],
    arguments: tuple,
    places: tuple[Path, Path],
    environment: dict[str, str],
) -> None:
    os.environ.update(environment)
    for descriptor, place in enumerate(places, 1):
        with place.open("a") as file:
            os.dup2(file.fileno(), descriptor)
    function(*arguments)


def kinflow(words: list[str]) -> None:
    """The command line, as a process of its own runs it."""
    from kinflow.cli.main import entry_point

    sys.argv = ["kinflow", *words]
    entry_point()
