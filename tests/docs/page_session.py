"""Types what a page says to type, in one folder, as one user would."""

from __future__ import annotations

import contextlib
import glob
import io
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kinflow.cli.main import main

PAGE_ADDRESS = "http://127.0.0.1:8000"
"""Where pages say that a server listens; it gets a free port here."""


class Session:
    """A folder, what ran in it, and the server that was started there.

    Commands of kinflow run in this process, which has its libraries loaded; each is what its own
    process would do. Options that make work smaller are added at the end of a command's line.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outputs: dict[str, str] = {}
        self._server: Any = None

    def shell(self, line: str, smaller: str = "") -> str:
        """Run one line; a failure shows what was printed. Returns what was."""
        words = [*shlex.split(line), *shlex.split(smaller)]
        with _chdir(self.folder):
            if words[:2] == ["kinflow", "serve"]:
                self._serve(words[2:])
                return ""
            if words[0] == "kinflow":
                ended, said = _kinflow([name for word in words[1:] for name in _named(word)])
            else:
                done = subprocess.run(words, capture_output=True, text=True, check=False)
                ended, said = done.returncode, done.stdout + done.stderr
        self.outputs[line] = said
        assert ended == 0, f"{line}\nended with {ended}:\n{said}"
        return said

    def python(self, code: str, names: dict[str, Any]) -> str:
        """Run a block; names are those of the blocks before it on the page."""
        if self._server is not None:
            code = code.replace(PAGE_ADDRESS, self._server.address)
        said = io.StringIO()
        with _chdir(self.folder), contextlib.redirect_stdout(said):
            exec(compile(code, "<block of a page>", "exec"), names)
        return said.getvalue()

    def _serve(self, options: list[str]) -> None:
        from serving import Served

        data = options[options.index("--data") + 1] if "--data" in options else "kinflow-server"
        self._server = Served(self.folder / data)

    def end(self) -> None:
        """Stop the server, if there is one."""
        if self._server is not None:
            self._server.stop()
            self._server = None


def _kinflow(words: list[str]) -> tuple[int, str]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            ended = main(words)
        except SystemExit as stop:
            ended = stop.code if isinstance(stop.code, int) else 1
    return ended, said.getvalue()


def _named(word: str) -> list[str]:
    """What a shell makes of a word; patterns of numbered images are none of its own."""
    return sorted(glob.glob(word)) if "*" in word else [word]


@contextlib.contextmanager
def _chdir(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
