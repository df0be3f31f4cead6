"""Hands waiting jobs to processes, notes what they say, and tidies up behind old jobs."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from kinflow.service.children import Child, ChildDied
from kinflow.service.config import Serve
from kinflow.service.jobs import Job, JobStore

UPLOADS = {"photo": "photo", "clip": "clip"}
"""What the file of a job is called in its folder; its own name stays in the list of jobs."""
_ASKING_S = 0.1
_TIDYING_S = 600.0


class Supervisor:
    """The work of a server: one thread and one child for each worker.

    Args:
        config: the server's options.
        store: its jobs.
    """

    def __init__(self, config: Serve, store: JobStore) -> None:
        self._config, self._store = config, store
        self._ending = threading.Event()
        self._children = [
            Child("kinflow.service.worker", config.memory_mb) for _ in range(config.workers)
        ]
        self._threads = [
            threading.Thread(target=self._work, args=(child,), daemon=True)
            for child in self._children
        ]
        self._threads.append(threading.Thread(target=self._tidy, daemon=True))

    def start(self) -> None:
        """Load models and take up what waits."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the children; jobs in work wait again."""
        self._ending.set()
        for child in self._children:
            child.close()
        for thread in self._threads:
            thread.join(5)

    def folder(self, job_id: str) -> Path:
        """Where a job's upload and results are."""
        return self._config.data / "jobs" / job_id

    def results(self, job: Job) -> Path | None:
        """The result folder of a job that is done."""
        folder = self.folder(job.id) / "results" / UPLOADS[job.kind]
        return folder if job.state == "done" and folder.is_dir() else None

    def remove(self, job_id: str) -> None:
        """Forget a job and delete its files."""
        self._store.remove(job_id)
        shutil.rmtree(self.folder(job_id), ignore_errors=True)

    def _work(self, child: Child) -> None:
        try:
            child.start()
        except ChildDied:
            return
        while not self._ending.is_set():
            job = self._store.take()
            if job is None:
                self._ending.wait(_ASKING_S)
            else:
                self._do(job, child)

    def _do(self, job: Job, child: Child) -> None:
        """Work on a job to its end."""
        folder = self.folder(job.id)
        request = {
            "path": str((folder / UPLOADS[job.kind]).absolute()),
            "out": "results",
            "options": job.options,
        }

        def note(answer: dict[str, Any]) -> None:
            self._store.step(job, answer.get("progress"), answer.get("message", ""))

        def given_up() -> bool:
            return not self._store.is_going_on(job)

        try:
            answer = child.ask(request, self._config.job_timeout_s, note, given_up)
        except ChildDied as died:
            if self._ending.is_set():
                self._store.release(job)
            else:
                self._store.end(job, "failed", str(died))
            return
        if "problem" in answer:
            self._store.end(job, "failed", answer["problem"])
        else:
            self._store.end(job, "done", summary=answer["summary"])

    def _tidy(self) -> None:
        """Delete jobs that are older than they are kept, and folders that are nobody's."""
        while not self._ending.is_set():
            before_s = time.time() - self._config.keep_days * 86400
            for job in self._store.ended_before(before_s):
                self.remove(job.id)
            self._ending.wait(_TIDYING_S)


def remove_strays(folder: Path, store: JobStore) -> None:
    """Delete uploads that never became jobs; the server was killed while they came in."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if store.get(path.name) is None:
            shutil.rmtree(path, ignore_errors=True)


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:  # it was deleted in the meantime
                continue
    return total
