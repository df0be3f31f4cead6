"""What a worker of a Ray cluster does, in a process of its own."""

from __future__ import annotations

import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import torch

from kinflow.errors import InputError
from kinflow.files.atomic import PREFIX, PendingFile, explained
from kinflow.pipeline.config import PipelineConfig
from kinflow.pipeline.crew import Assignment
from kinflow.pipeline.events import Event, Progress
from kinflow.pipeline.photos import Task, Work
from kinflow.pipeline.reconstructor import Reconstructor
from kinflow.version import __version__

_PROGRESS_S = 0.5
"""How often a worker tells how far a clip is, at most."""


@dataclass(frozen=True)
class Place:
    """Where the run was begun, which has to look the same on all machines."""

    working_folder: Path
    out: Path
    beacon: str
    """A file in `out` that is there as long as the run lasts."""
    version: str = __version__

    @staticmethod
    @contextmanager
    def of(out: Path) -> Iterator[Place]:
        """This machine's, for as long as the block lasts; the folder for results is made.

        Raises:
            InputError: nothing can be written there.
        """
        beacon = out / f"{PREFIX}{secrets.token_hex(8)}"
        with explained(out):
            out.mkdir(parents=True, exist_ok=True)
            pending = PendingFile(beacon)
        try:
            yield Place(Path.cwd(), out.absolute(), pending.temporary.name)
        finally:
            pending.discard()

    def enter(self) -> None:
        """Make paths mean the same in this process as where the run was begun.

        Raises:
            InputError: this machine has another kinflow, or not the same files.
        """
        here = f"A worker on '{socket.gethostname()}'"
        if self.version != __version__:
            raise InputError(
                f"{here} has kinflow {__version__} in place of {self.version}; install the same "
                "one on all machines of the cluster."
            )
        try:
            os.chdir(self.working_folder)
            is_shared = self.beacon in os.listdir(self.out)
        except OSError:
            is_shared = False
        if not is_shared:
            raise InputError(
                f"{here} does not see the same '{self.out}'; photos, results and the folder you "
                "are in have to be on a file system that all machines of the cluster share."
            )


class PhotoWorker:
    """Works on photos and clips with one thread, and keeps its models loaded.

    Args:
        task: what the work on all of them shares.
        place: where the run was begun.
    """

    def __init__(self, task: Task, place: Place) -> None:
        self._task, self._place = task, place
        self._halted = threading.Event()
        self._work: Work | None = None

    def work(self, assignments: Sequence[Assignment]) -> Generator[Event, None, None]:
        """What is to be told of these photos, until all are done or `halt` is called.

        Raises:
            InputError: nothing can be worked on here.
            AssetError: a file of kinflow itself is missing or damaged.
        """
        if self._work is None:
            self._place.enter()
            self._work = self._begun()
        for assignment in assignments:
            if self._halted.is_set():
                return
            photo, folder = assignment.photo, assignment.folder
            yield from thinned(self._work.told(photo, folder, assignment.patience_s))

    def halt(self) -> None:
        """Begin nothing more, and stop at the next frame of a clip."""
        self._halted.set()

    def _begun(self) -> Work:
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        config = with_one_thread(self._task.config)
        reconstructor = Reconstructor(config.reconstructor)
        _ = reconstructor.fitter  # a bad prior is no fault of any photo
        task = replace(self._task, config=config)
        return task.work(reconstructor, self._halted.is_set)


def thinned(events: Iterable[Event]) -> Iterator[Event]:
    """Events without those of progress that come too soon after another one.

    Whoever hands out the work listens to all workers.
    """
    told_s = -math.inf
    for event in events:
        if isinstance(event, Progress):
            if time.monotonic() - told_s < _PROGRESS_S:
                continue
            told_s = time.monotonic()
        yield event


def with_one_thread(config: PipelineConfig) -> PipelineConfig:
    """The same options, but networks with one thread, unless a number was asked for."""
    detector = config.reconstructor.detector
    runtime = replace(detector.runtime, threads=detector.runtime.threads or 1)
    detector = replace(detector, runtime=runtime)
    return replace(config, reconstructor=replace(config.reconstructor, detector=detector))
