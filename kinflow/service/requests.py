"""What a request asks for: options of a job, and an upload that is taken piece by piece."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kinflow.files.names import one_line, printable
from kinflow.service.children import Child, ChildDied
from kinflow.service.config import Serve
from kinflow.service.jobs import Job, JobStore, new_id
from kinflow.service.supervisor import UPLOADS, size_of

_MAX_NAME = 120
_CHECK_S = 30.0
_UPLOAD_S = 600.0
_PAUSE_S = 30.0
_MEASURED_S = 20.0


class JobOptions(BaseModel):
    """How a photo or clip is worked on; what is left out is as on the command line."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("", max_length=1000, description="what the file is called, to be shown")
    max_people: int | None = Field(None, ge=1, le=1000, description="the largest first")
    fov: float | None = Field(None, ge=0.1, lt=170, description="degrees, of the longer side")
    parts: bool = Field(True, description="follow the outlines of body parts")
    fast: bool = Field(False, description="by the network alone: quicker, less close to the image")
    start: float | None = Field(None, ge=0, le=1e6, description="of clips: seconds")
    end: float | None = Field(None, gt=0, le=1e6, description="of clips: seconds")
    fps: float | None = Field(None, gt=0, le=1000, description="of clips: frames a second at most")
    moving_camera: bool = Field(False, description="of clips: the camera turns")

    @model_validator(mode="after")
    def _in_order(self) -> JobOptions:
        if self.end is not None and self.end <= (self.start or 0.0):
            raise ValueError("the end has to be after the start")
        return self

    def settings(self) -> dict[str, Any]:
        """What the worker is told."""
        return self.model_dump(exclude={"name"}, exclude_none=True)


class Uploads:
    """Takes uploads and makes jobs of those that are photos or clips.

    Args:
        config: the server's options.
        store: where jobs are kept.
    """

    def __init__(self, config: Serve, store: JobStore) -> None:
        self._config, self._store = config, store
        self._checker = Child("kinflow.service.checker", config.memory_mb)
        self._checking = asyncio.Lock()
        self._used_bytes, self._measured_s = 0, -_MEASURED_S

    def start(self) -> None:
        """Start the process that looks at uploads."""
        self._checker.start()

    def close(self) -> None:
        """End it."""
        self._checker.close()

    async def take(self, request: Request, owner: str, options: JobOptions) -> Job:
        """Store an upload, look at it, and let it wait.

        Raises:
            HTTPException: 4xx with a sentence, or 429 and 503 with a time to come back.
        """
        self._check_room(owner)
        job_id = new_id()
        folder = self._config.data / "jobs" / job_id
        folder.mkdir(parents=True)
        try:
            path = folder / "upload"
            await self._store_body(request, path)
            kind = await self._kind(path, options)
            path.rename(folder / UPLOADS[kind])
            name = one_line(printable(options.name))[:_MAX_NAME] or kind
            return self._store.add(Job(job_id, owner, name, kind, options=options.settings()))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _check_room(self, owner: str) -> None:
        if self._store.waiting(owner) >= self._config.max_waiting_each:
            raise later(429, "You have as many jobs waiting as one client may have.")
        if self._store.waiting() >= self._config.max_waiting:
            raise later(503, "Too many jobs are waiting.")
        if time.monotonic() - self._measured_s > _MEASURED_S:
            self._used_bytes = size_of(self._config.data)
            self._measured_s = time.monotonic()
        free = shutil.disk_usage(self._config.data).free
        if self._used_bytes > self._config.max_disk_gb * 1e9 or free < 1 << 30:
            raise later(503, "The server's disk is full; delete results that you do not need.")

    async def _store_body(self, request: Request, path: Path) -> None:
        """Write the body of a request to a file; it ends when it is too large or too slow."""
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise HTTPException(
                415,
                "The upload is a form; send the file itself as the request's body (docs/serve.md).",
            )
        most = self._config.max_upload_mb << 20
        promised = request.headers.get("content-length", "")
        if promised.isdigit() and int(promised) > most:
            raise self._too_large()
        size, deadline = 0, time.monotonic() + _UPLOAD_S
        with path.open("wb") as stream:
            async for piece in _pieces(request.stream(), deadline):
                size += len(piece)
                if size > most:
                    raise self._too_large()
                stream.write(piece)
        if size == 0:
            raise HTTPException(400, "The upload is empty; send the file as the request's body.")
        self._used_bytes += size

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"Files of up to {self._config.max_upload_mb} MB are taken.")

    async def _kind(self, path: Path, options: JobOptions) -> str:
        question = {
            "path": str(path.absolute()),
            "max_megapixels": self._config.max_megapixels,
            "max_clip_s": self._config.max_clip_s,
            "start": options.start,
            "end": options.end,
        }
        async with self._checking:
            try:
                answer = await asyncio.to_thread(self._checker.ask, question, _CHECK_S)
            except ChildDied as died:
                raise HTTPException(422, f"The file cannot be decoded. {died}") from died
        if "problem" in answer:
            raise HTTPException(422, answer["problem"])
        return answer["kind"]


async def _pieces(stream: AsyncIterator[bytes], deadline: float) -> AsyncIterator[bytes]:
    """Pieces of a body, as long as they come."""
    while True:
        left = min(_PAUSE_S, deadline - time.monotonic())
        try:
            yield await asyncio.wait_for(stream.__anext__(), max(left, 0.001))
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError as error:
            raise HTTPException(408, "The upload took too long; send it again.") from error


def later(status: int, sentence: str, seconds: int = 10) -> HTTPException:
    """A refusal that says when to come back."""
    return HTTPException(status, sentence, {"Retry-After": str(seconds)})
