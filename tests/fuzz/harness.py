"""Runs damaged files through the real commands in worker processes and judges what came of it.

A worker imports kinflow once and then runs one input after the other as the command line would, so
thousands of inputs take minutes. The parent watches the clock: a worker that does not answer is
killed, counted as a hang and replaced, and so is one that crashed. Memory is the peak of the
resident set while that one input was worked on.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import random
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

MAX_SECONDS = 20.0
MAX_BYTES = 2 << 30
_START_SECONDS = 120.0
"""A new worker imports torch first."""


@dataclass(frozen=True)
class Trial:
    """One input: kind of file and number, which seeds its damage; number 0 is undamaged."""

    kind: str
    number: int


@dataclass(frozen=True)
class Verdict:
    """What became of a trial; `fault` is empty when all was as it should be."""

    trial: Trial
    fault: str
    code: int | None = None
    said: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0


def run_trials(trials: Iterable[Trial], workers: int = 2) -> Iterator[Verdict]:
    """Verdicts in the order in which they come."""
    todo = list(trials)[::-1]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch"])  # for those that take the place of others, too
    crew: list[_Worker] = []
    try:
        while todo or any(w.trial for w in crew):
            crew = [w for w in crew if not w.gone]
            while len(crew) < min(workers, len(todo) + sum(w.trial is not None for w in crew)):
                crew.append(_Worker(context))
            for worker in crew:
                if worker.trial is None and todo:
                    worker.give(todo.pop())
            wait([w.pipe for w in crew if w.trial], timeout=0.5)
            for worker in crew:
                if (verdict := worker.verdict()) is not None:
                    yield verdict
    finally:
        for worker in crew:
            worker.end()


class _Worker:
    """A process and what it is working on."""

    def __init__(self, context) -> None:
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self.trial: Trial | None = None
        self.gone = False
        self._given, self._allowed = 0.0, _START_SECONDS

    def give(self, trial: Trial) -> None:
        self.trial, self._given = trial, time.monotonic()
        self.pipe.send(trial)

    def verdict(self) -> Verdict | None:
        """The verdict on the current trial, once there is one."""
        if self.trial is None:
            return None
        seconds = time.monotonic() - self._given
        fault = ""
        if self.pipe.poll():
            try:
                verdict = self.pipe.recv()
            except EOFError:
                self._process.join(5)
                fault = f"the process died (exit code {self._process.exitcode})"
            else:
                self.trial, self._allowed = None, 3 * MAX_SECONDS
                return verdict
        elif seconds > self._allowed:
            fault = "hangs"
        if not fault:
            return None
        lost, self.trial, self.gone = self.trial, None, True
        self.end()
        return Verdict(lost, fault, seconds=seconds)

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()


def work(pipe: Connection) -> None:
    """What a worker process does: trials in, verdicts out, until it is ended."""
    import torch
    import tyro._unsafe_cache
    from kinds import KINDS
    from seen_before import FittersBefore

    from kinflow.pipeline.reconstructor import Reconstructor

    torch.set_num_threads(1)
    # what is found out about options takes longer than to read a command
    tyro._unsafe_cache.clear_cache = lambda: None
    # and to make the models ready longer than to fit noise
    Reconstructor.fitter._make = FittersBefore(Reconstructor.fitter._make)
    while True:
        trial = pipe.recv()
        folder = Path(tempfile.mkdtemp(prefix="kinflow-fuzz-"))
        try:
            pipe.send(_tried(trial, KINDS[trial.kind], folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _tried(trial: Trial, kind, folder: Path) -> Verdict:
    rng = random.Random(f"{trial.kind} {trial.number}")
    data = kind.good(rng)
    path = folder / kind.file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(kind.damaged(data, rng) if trial.number else data)
    out, err = io.StringIO(), io.StringIO()
    code: int | None = None
    fault = ""
    _reset_peak()
    begin = time.monotonic()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = kind.run(path, folder)
    except BaseException:
        fault = "traceback: " + traceback.format_exc()
    seconds, peak = time.monotonic() - begin, _peak_bytes()
    said = err.getvalue()
    if not fault:
        fault = _fault(trial, code, said, path) or kind.fault(code, folder)
    if seconds > MAX_SECONDS:
        fault = f"took {seconds:.0f} s; {fault}"
    if peak > MAX_BYTES:
        fault = f"took {peak / 2**30:.1f} GB; {fault}"
    return Verdict(trial, fault, code, said, seconds, peak)


def _fault(trial: Trial, code: int | None, said: str, path: Path) -> str:
    if "Traceback" in said:
        return "a traceback was printed: " + said
    if code not in (0, 2):
        return f"exit code {code}: {said}"
    if trial.number == 0 and code != 0:
        return f"a good file was refused: {said}"
    if code == 2 and path.name not in said and path.parent.name not in said:
        return f"the sentence does not name the file: {said!r}"
    return ""


def _reset_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _peak_bytes() -> int:
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
