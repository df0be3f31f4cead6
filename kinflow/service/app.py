"""The HTTP API and the page: routes, and nothing that takes long."""

from __future__ import annotations

import asyncio
import json
import tempfile
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from pydantic import BaseModel, Field

from kinflow.assets import asset_path
from kinflow.service.config import Serve
from kinflow.service.guard import RESULT_POLICY, TOKEN_COOKIE, Guard, cookie, digest_of
from kinflow.service.jobs import ENDED, Job, JobStore
from kinflow.service.requests import JobOptions, Uploads
from kinflow.service.supervisor import Supervisor, remove_strays
from kinflow.version import __version__

_LOOK_S = 0.25
_SIGN_OF_LIFE_S = 15.0
_TYPES = {
    ".png": "image/png",
    ".webm": "video/webm",
    ".glb": "model/gltf-binary",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".npz": "application/octet-stream",
    ".bvh": "text/plain; charset=utf-8",
}
"""Files of results that are handed out."""
_SHOWN = frozenset({".png", ".webm", ".html", ".json"})
"""Those of them that a browser shows; others are saved."""
_SCRIPT = "text/javascript; charset=utf-8"
_PAGE = {
    "page.css": "text/css; charset=utf-8",
    "page.js": _SCRIPT,
    "results.js": _SCRIPT,
    "uploads.js": _SCRIPT,
}


class JobAnswer(BaseModel):
    """A job as it is told."""

    id: str
    name: str
    kind: str
    state: str
    options: dict[str, Any]
    created_s: float
    ended_s: float | None
    progress: float | None
    message: str
    summary: dict[str, Any]
    change: int
    files: list[str]


class Token(BaseModel):
    """What somebody types to be let in."""

    token: Annotated[str, Field(max_length=1024)]


def make_app(config: Serve) -> Guard:
    """The server as an ASGI application.

    Raises:
        InputError: the folder's list of jobs cannot be used.
    """
    config.data.mkdir(parents=True, exist_ok=True)
    store = JobStore(config.data / "jobs.sqlite3")
    store.recover()
    remove_strays(config.data / "jobs", store)
    supervisor, uploads = Supervisor(config, store), Uploads(config, store)

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        supervisor.start()
        uploads.start()
        try:
            yield
        finally:
            uploads.close()
            supervisor.close()
            store.close()

    # the pages that would show the API load scripts from elsewhere; the description itself does not
    app = FastAPI(
        title="kinflow",
        version=__version__,
        summary="Photos and clips of people in, posed and shaped 3D bodies out.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=running,
    )
    app.add_exception_handler(RequestValidationError, _malformed)
    _add_jobs(app, store, supervisor, uploads)
    _add_results(app, store, supervisor)
    guard = Guard(app, config)
    _add_page(app, guard)
    return guard


def _add_jobs(app: FastAPI, store: JobStore, supervisor: Supervisor, uploads: Uploads) -> None:
    def told(job: Job) -> dict[str, Any]:
        return {**job.public(), "files": _files_of(supervisor.results(job))}

    @app.post("/api/jobs", status_code=202, response_model=JobAnswer)
    async def create(request: Request, options: Annotated[JobOptions, Query()]) -> dict[str, Any]:
        """Send a photo or clip as the body of the request; it waits for its turn."""
        return told(await uploads.take(request, request.state.client, options))

    @app.get("/api/jobs", response_model=list[JobAnswer])
    def listing(request: Request) -> list[dict[str, Any]]:
        """Your jobs, the newest first."""
        return [told(job) for job in store.of_owner(request.state.client)]

    @app.get("/api/jobs/{job_id}", response_model=JobAnswer)
    def one(job_id: str) -> dict[str, Any]:
        """One job."""
        return told(_existing(store, job_id))

    @app.post("/api/jobs/{job_id}/retry", response_model=JobAnswer)
    def retry(job_id: str) -> dict[str, Any]:
        """Let a job that failed, broke or was cancelled wait again."""
        _existing(store, job_id)
        if not store.again(job_id):
            raise HTTPException(409, "Only jobs that did not end well can be tried again.")
        return told(_existing(store, job_id))

    @app.delete("/api/jobs/{job_id}", status_code=204)
    def delete(job_id: str) -> None:
        """Cancel a job that has not ended; delete one that has, with its files."""
        job = _existing(store, job_id)
        if job.state in ENDED:
            supervisor.remove(job_id)
        else:
            store.cancel(job_id)

    @app.get("/api/events")
    async def events(request: Request) -> StreamingResponse:
        """Changes of your jobs as server-sent events, beginning with all of them."""
        stream = _events(request, store, told)
        return StreamingResponse(stream, media_type="text/event-stream")


async def _events(request: Request, store: JobStore, told: Any) -> AsyncIterator[str]:
    """Each change of a client's jobs; a comment now and then, so that lines stay open."""
    seen, silent_s, known = -1, 0.0, set()
    while not await request.is_disconnected():
        jobs = store.of_owner(request.state.client, seen)
        for job in reversed(jobs):
            seen = max(seen, job.change)
            yield f"event: job\ndata: {json.dumps(told(job))}\n\n"
        ids = store.ids_of_owner(request.state.client)
        for gone in known - ids:
            yield f"event: gone\ndata: {json.dumps(gone)}\n\n"
        silent_s = 0.0 if jobs or known - ids else silent_s + _LOOK_S
        known = ids
        if silent_s >= _SIGN_OF_LIFE_S:
            silent_s = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(_LOOK_S)


def _add_results(app: FastAPI, store: JobStore, supervisor: Supervisor) -> None:
    @app.get("/api/jobs/{job_id}/files/{name}")
    def file(job_id: str, name: str) -> FileResponse:
        """A file of the results; `files` of the job lists them."""
        folder = supervisor.results(_existing(store, job_id))
        if name not in _files_of(folder) or folder is None:
            raise HTTPException(404, "There is no such file; the job lists those there are.")
        suffix = Path(name).suffix
        headers = {"content-security-policy": RESULT_POLICY}
        disposition = "inline" if suffix in _SHOWN else "attachment"
        return FileResponse(
            folder / name,
            media_type=_TYPES[suffix],
            filename=name,
            content_disposition_type=disposition,
            headers=headers,
        )

    @app.get("/api/jobs/{job_id}/results.zip")
    def archive(job_id: str) -> StreamingResponse:
        """All files of the results."""
        folder = supervisor.results(_existing(store, job_id))
        if folder is None:
            raise HTTPException(409, "There are no results yet.")
        disposition = {"content-disposition": 'attachment; filename="kinflow-results.zip"'}
        pieces = _zipped(folder)
        return StreamingResponse(pieces, media_type="application/zip", headers=disposition)


def _zipped(folder: Path) -> Iterator[bytes]:
    """A ZIP of a result folder; most of its files are compressed already."""
    with tempfile.TemporaryFile() as stream:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name in _files_of(folder):
                archive.write(folder / name, name)
        stream.seek(0)
        while piece := stream.read(1 << 20):
            yield piece


def _add_page(app: FastAPI, guard: Guard) -> None:
    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(asset_path("page/index.html"), media_type="text/html; charset=utf-8")

    @app.get("/{name}", include_in_schema=False)
    def part(name: str) -> FileResponse:
        if name not in _PAGE:
            raise HTTPException(404, "There is no such page.")
        return FileResponse(asset_path(f"page/{name}"), media_type=_PAGE[name])

    @app.get("/api/health")
    def health() -> dict[str, str]:
        """Whether the server is there, and its version."""
        return {"kinflow": __version__}

    @app.post("/api/session", status_code=204)
    def session(given: Token) -> Response:
        """Let a browser in that knows the token."""
        if not guard.knows_token({"authorization": f"Bearer {given.token}"}, {}):
            raise HTTPException(401, "That is not the token.")
        digest = digest_of(given.token)
        return Response(status_code=204, headers={"set-cookie": cookie(TOKEN_COOKIE, digest)})


def _existing(store: JobStore, job_id: str) -> Job:
    job = store.get(job_id)
    if job is None:
        raise HTTPException(404, "There is no such job; it may have been deleted.")
    return job


def _files_of(folder: Path | None) -> list[str]:
    """Files of results that may be handed out; temporary and hidden ones are not."""
    if folder is None:
        return []
    found = (path for path in folder.iterdir() if path.is_file() and path.suffix in _TYPES)
    return sorted(path.name for path in found if not path.name.startswith("."))


def _malformed(_: Request, error: Exception) -> JSONResponse:
    """Options that cannot be, in a sentence."""
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    where = [str(step) for step in first.get("loc", ()) if step not in ("query", "body")]
    name = f"'{'.'.join(where)}': " if where else ""
    sentence = str(first.get("msg", "the request is malformed")).removeprefix("Value error, ")
    return JSONResponse({"detail": f"{name}{sentence}."}, 422)
