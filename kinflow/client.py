"""A program's way to a server that `kinflow serve` started; needs nothing but Python.

client = Client("http://127.0.0.1:8000")
job = client.wait(client.submit("photo.jpg"))
client.download(job, Path("results"))
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from kinflow.errors import InputError, KinflowError

_ENDED = ("done", "failed", "cancelled", "broken")
_ASKING_S = 0.2
_MOST_TRIES = 60


class ServerError(KinflowError):
    """The server refused a request; the message is its sentence.

    Args:
        status: of HTTP; 0 where nobody answered.
        sentence: what the server says.
        retry_after_s: when to come back, where it says so.
    """

    def __init__(self, status: int, sentence: str, retry_after_s: int = 10) -> None:
        super().__init__(sentence)
        self.status, self.retry_after_s = status, retry_after_s


@dataclass(frozen=True)
class RemoteJob:
    """A job as the server tells it.

    Args:
        id: its name.
        name: what its file is called.
        kind: `photo` or `clip`.
        state: `waiting`, `running`, `done`, `failed`, `cancelled` or `broken`.
        message: why it failed, or how far it is.
        progress: share that is done, of clips.
        summary: people with a sentence each, notes, seconds.
        files: names of the results.
    """

    id: str
    name: str
    kind: str
    state: str
    message: str = ""
    progress: float | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    @property
    def is_ended(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.state in _ENDED


class Client:
    """Talks to one server; may be used by one thread at a time.

    Args:
        address: such as `http://127.0.0.1:8000`.
        token: what the server was started with, if it was.
        timeout_s: how long an answer may take.

    Raises:
        InputError: the address is none, or the token cannot be one.
    """

    def __init__(
        self,
        address: str = "http://127.0.0.1:8000",
        token: str | None = None,
        timeout_s: float = 60,
    ) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or not _has_port(parts):
            raise InputError(f"'{address}' is no address; http://127.0.0.1:8000 is one.")
        if token is not None and not (token.isascii() and token.isprintable()):
            raise InputError("A token has to be of plain letters, digits and signs (ASCII).")
        self._parts, self._timeout_s = parts, timeout_s
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def submit(self, path: str | os.PathLike[str], **options: Any) -> RemoteJob:
        """Send a photo or clip; waits while the server is too busy.

        Args:
            path: the file.
            options: `max_people`, `fov`, `parts`, `fast`, `start`, `end`, `fps`, `moving_camera`.

        Raises:
            InputError: the file cannot be read.
            ServerError: the server does not want it, in a sentence.
        """
        path = Path(path)
        given = {"name": path.name, **{k: v for k, v in options.items() if v is not None}}
        query = urlencode(given)
        place = f"/api/jobs?{query}"
        try:
            stream = path.open("rb")
        except OSError as error:
            raise InputError(f"'{path}' cannot be read ({error.strerror}).") from error
        with stream:
            size = {"Content-Length": str(os.fstat(stream.fileno()).st_size)}
            for left in reversed(range(_MOST_TRIES)):
                stream.seek(0)
                try:
                    return _job(self._json("POST", place, stream, size))
                except ServerError as error:
                    if error.status not in (429, 503) or not left:
                        raise
                    time.sleep(error.retry_after_s)
        raise AssertionError("every attempt returns or raises")

    def job(self, job_id: str) -> RemoteJob:
        """How a job is.

        Raises:
            ServerError: there is none of that name.
        """
        return _job(self._json("GET", f"/api/jobs/{quote(job_id, safe='')}"))

    def steps(self, job: RemoteJob) -> Iterator[RemoteJob]:
        """The job whenever it has changed, until it has ended."""
        last = None
        while True:
            now = self.job(job.id)
            if now != last:
                yield now
            if now.is_ended:
                return
            last = now
            time.sleep(_ASKING_S)

    def wait(self, job: RemoteJob) -> RemoteJob:
        """The job when it has ended, well or not."""
        for last in self.steps(job):
            job = last
        return job

    def download(self, job: RemoteJob, folder: str | os.PathLike[str]) -> list[Path]:
        """Save all results of a job that is done.

        Raises:
            ServerError: it is not done.
        """
        if job.state != "done":
            raise ServerError(409, f"'{job.name}' is {job.state}; there are no results of it.")
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        saved = []
        for name in job.files:
            path = folder / Path(name).name
            temporary = path.with_name(f".kinflow-{path.name}.tmp")
            place = f"/api/jobs/{quote(job.id, safe='')}/files/{quote(name, safe='')}"
            with self._answer("GET", place) as answer, temporary.open("wb") as stream:
                shutil.copyfileobj(answer, stream)
            temporary.replace(path)
            saved.append(path)
        return saved

    def retry(self, job: RemoteJob) -> RemoteJob:
        """Let a job wait again that failed, broke off or was cancelled."""
        return _job(self._json("POST", f"/api/jobs/{job.id}/retry"))

    def delete(self, job: RemoteJob) -> None:
        """Cancel a job that has not ended; delete one that has, with its files."""
        with self._answer("DELETE", f"/api/jobs/{job.id}"):
            return

    def _json(
        self, method: str, place: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        with self._answer(method, place, body, headers) as answer:
            return json.load(answer)

    @contextmanager
    def _answer(
        self, method: str, place: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        secure = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        host = self._parts.hostname or ""
        with closing(kind(host, self._parts.port, timeout=self._timeout_s)) as line:
            try:
                line.connect()
            except OSError as error:
                raise ServerError(0, f"Nobody answers at {self._parts.geturl()}.") from error
            with suppress(BrokenPipeError, ConnectionResetError):
                # it may have refused a large file before all of it was sent
                line.request(method, place, body, {**self._headers, **(headers or {})})
            answer = line.getresponse()
            if answer.status >= 400:
                raise _refusal(answer)
            yield answer


def _has_port(parts: SplitResult) -> bool:
    """Whether the port is none or one that can be."""
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def _job(told: dict[str, Any]) -> RemoteJob:
    names = ("id", "name", "kind", "state", "message", "progress", "summary")
    return RemoteJob(**{name: told[name] for name in names}, files=tuple(told["files"]))


def _refusal(answer: http.client.HTTPResponse) -> ServerError:
    try:
        sentence = str(json.load(answer)["detail"])
    except (ValueError, KeyError, TypeError):
        sentence = f"The server answered with status {answer.status}."
    after = answer.headers.get("Retry-After", "")
    return ServerError(answer.status, sentence, int(after) if after.isdigit() else 10)
