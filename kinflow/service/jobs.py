"""Jobs and the SQLite file that they live in.

Every change is on disk before anybody is told of it, so that a server that is killed forgets
nothing. Jobs are named by 128 random bits: whoever has the name may see the job.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from kinflow.errors import InputError

State = Literal["waiting", "running", "done", "failed", "cancelled", "broken"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled", "broken")
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
    state TEXT NOT NULL, options TEXT NOT NULL, created_s REAL NOT NULL, ended_s REAL,
    progress REAL, message TEXT NOT NULL, summary TEXT NOT NULL, change INTEGER NOT NULL,
    attempt INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS by_state ON jobs (state, created_s);
CREATE INDEX IF NOT EXISTS by_owner ON jobs (owner, change);
"""
BROKEN = "The server was ended while it worked on this; try it again."


@dataclass(frozen=True)
class Job:
    """One upload and what became of it.

    Attributes:
        id: its name in addresses and folders.
        owner: the client that sent it.
        name: what its file was called there; never used as a path.
        kind: `photo` or `clip`.
        state: waiting, running, or how it ended; `broken` is one whose server was killed.
        options: how it is worked on.
        created_s, ended_s: seconds since 1970.
        progress: share that is done, of clips.
        message: a sentence: why it failed, or how far it is.
        summary: what was found: number of people, sentences on each, notes.
        change: counts all changes of all jobs.
        attempt: counts how often it was begun; who works on an earlier one has nothing to say.
    """

    id: str
    owner: str
    name: str
    kind: str
    state: State = "waiting"
    options: dict[str, Any] = field(default_factory=dict)
    created_s: float = 0.0
    ended_s: float | None = None
    progress: float | None = None
    message: str = ""
    summary: dict[str, Any] = field(default_factory=dict)
    change: int = 0
    attempt: int = 0

    def public(self) -> dict[str, Any]:
        """What is told of it."""
        told = asdict(self)
        del told["owner"], told["attempt"]
        return told


def new_id() -> str:
    """A name that nobody guesses."""
    return secrets.token_hex(16)


class JobStore:
    """All jobs of a server; may be used by several threads.

    Args:
        path: the SQLite file; made if it is not there.

    Raises:
        InputError: it is no list of jobs, or of another version of kinflow.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                raise InputError(f"'{path}' is of another version of kinflow; use a new folder.")
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version={_VERSION}")
        except sqlite3.Error as error:
            raise InputError(f"'{path}' cannot be used as a list of jobs ({error}).") from error
        (self._change,) = self._db.execute("SELECT COALESCE(MAX(change), 0) FROM jobs").fetchone()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def add(self, job: Job) -> Job:
        """Keep a new job; gives it back with its time."""
        with self._transaction() as change:
            values = {**asdict(job), "created_s": time.time(), "change": change}
            values["options"] = json.dumps(job.options)
            values["summary"] = json.dumps(job.summary)
            names = ", ".join(values)
            marks = ", ".join(f":{name}" for name in values)
            self._db.execute(f"INSERT INTO jobs ({names}) VALUES ({marks})", values)
        return self.get(job.id) or job

    def get(self, job_id: str) -> Job | None:
        """The job of a name."""
        rows = self._select("SELECT * FROM jobs WHERE id = ?", job_id)
        return rows[0] if rows else None

    def of_owner(self, owner: str, since: int = -1) -> list[Job]:
        """A client's jobs that changed after `since`, the newest first."""
        query = "SELECT * FROM jobs WHERE owner = ? AND change > ? ORDER BY created_s DESC"
        return self._select(query, owner, since)

    def ids_of_owner(self, owner: str) -> set[str]:
        """Names of all of a client's jobs."""
        with self._lock:
            rows = self._db.execute("SELECT id FROM jobs WHERE owner = ?", (owner,))
            return {row["id"] for row in rows}

    def ended_before(self, time_s: float) -> list[Job]:
        """Jobs that ended before a time."""
        return self._select("SELECT * FROM jobs WHERE ended_s < ?", time_s)

    def waiting(self, owner: str | None = None) -> int:
        """How many jobs wait or are worked on, of everybody or of one client."""
        query = "SELECT COUNT(*) FROM jobs WHERE state IN ('waiting', 'running')"
        with self._lock:
            if owner is None:
                return self._db.execute(query).fetchone()[0]
            return self._db.execute(f"{query} AND owner = ?", (owner,)).fetchone()[0]

    def take(self) -> Job | None:
        """The job that has waited longest, which is running from now on."""
        with self._lock:
            if not self._db.execute("SELECT 1 FROM jobs WHERE state = 'waiting'").fetchone():
                return None
        with self._transaction() as change:
            row = self._db.execute(
                "UPDATE jobs SET state = 'running', progress = NULL, message = '', change = ?, "
                "attempt = attempt + 1 "
                "WHERE id = (SELECT id FROM jobs WHERE state = 'waiting' "
                "ORDER BY created_s LIMIT 1) RETURNING *",
                (change,),
            ).fetchone()
        return _job(row) if row is not None else None

    def step(self, job: Job, progress: float | None, message: str) -> None:
        """Note how far an attempt is."""
        changes = "progress = ?, message = ?"
        self._update(job.id, ("running",), changes, (progress, message), job.attempt)

    def cancel(self, job_id: str) -> bool:
        """End a job that has not ended; returns whether it had not."""
        changes = "state = 'cancelled', message = 'It was cancelled.', ended_s = ?"
        return self._update(job_id, ("waiting", "running"), changes, (time.time(),))

    def end(
        self, job: Job, state: State, message: str = "", summary: dict[str, Any] | None = None
    ) -> bool:
        """End an attempt; returns whether it was still going on."""
        changes = "state = ?, message = ?, summary = ?, ended_s = ?"
        values = (state, message, json.dumps(summary or {}), time.time())
        return self._update(job.id, ("running",), changes, values, job.attempt)

    def is_going_on(self, job: Job) -> bool:
        """Whether an attempt has neither ended nor been cancelled."""
        now = self.get(job.id)
        return now is not None and (now.state, now.attempt) == ("running", job.attempt)

    def again(self, job_id: str) -> bool:
        """Let a job wait again that failed, broke or was cancelled; returns whether it had."""
        return self._update(
            job_id,
            ("failed", "broken", "cancelled"),
            "state = 'waiting', message = '', progress = NULL, ended_s = NULL",
            (),
        )

    def release(self, job: Job) -> bool:
        """Let a job wait again whose attempt was given up; returns whether it was going on."""
        changes = "state = 'waiting', message = '', progress = NULL"
        return self._update(job.id, ("running",), changes, (), job.attempt)

    def recover(self) -> int:
        """Mark jobs that nobody works on any more, after a start; returns how many."""
        with self._transaction() as change:
            return self._db.execute(
                "UPDATE jobs SET state = 'broken', message = ?, ended_s = ?, change = ? "
                "WHERE state = 'running'",
                (BROKEN, time.time(), change),
            ).rowcount

    def remove(self, job_id: str) -> None:
        """Forget a job."""
        with self._transaction():
            self._db.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    def _update(
        self,
        job_id: str,
        states: tuple[State, ...],
        changes: str,
        values: tuple[Any, ...],
        attempt: int | None = None,
    ) -> bool:
        marks = ", ".join("?" for _ in states)
        query = f"UPDATE jobs SET {changes}, change = ? WHERE id = ? AND state IN ({marks})"
        wanted: tuple[Any, ...] = (job_id, *states)
        if attempt is not None:
            query, wanted = f"{query} AND attempt = ?", (*wanted, attempt)
        with self._transaction() as change:
            return self._db.execute(query, (*values, change, *wanted)).rowcount == 1

    def _select(self, query: str, *values: Any) -> list[Job]:
        with self._lock:
            return [_job(row) for row in self._db.execute(query, values)]

    @contextmanager
    def _transaction(self) -> Iterator[int]:
        """All or nothing; gives the number of the change."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._change += 1
                yield self._change
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def _job(row: sqlite3.Row) -> Job:
    values = dict(row)
    values["options"] = json.loads(values["options"])
    values["summary"] = json.loads(values["summary"])
    assert values["state"] in get_args(State)
    return Job(**values)
