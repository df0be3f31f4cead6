"""Options of `kinflow serve`; nothing heavy is imported here, so that help is instant."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from kinflow.checks import number, refuse, whole

_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Serve:
    """Serve a page, and an HTTP API, that take photos and clips and give bodies back.

    Everything stays on this machine: the page asks nothing of the network, and only programs of
    this machine reach it unless --host says otherwise. Ctrl-C ends it; jobs that wait are taken up
    when it is started again on the same folder. Needs pip install 'kinflow[serve]'.
    """

    data: Annotated[Path, arg(metavar="DIR")] = Path("kinflow-server")
    """Folder for uploads, results and the list of jobs."""
    host: Annotated[str, arg(metavar="ADDRESS")] = "127.0.0.1"
    """Address to listen at; 0.0.0.0 is every one this machine has."""
    port: Annotated[int, arg(metavar="N")] = 8000
    """Port to listen at; 0 takes a free one."""
    token: Annotated[str | None, arg(metavar="TEXT")] = None
    """Whoever asks has to know it: as a bearer token, or typed into the page."""
    workers: Annotated[int, arg(metavar="N")] = 1
    """Processes that work on jobs at the same time; each takes about 1 GB."""
    max_upload_mb: Annotated[int, arg(metavar="N")] = 200
    """Largest file that is taken."""
    max_megapixels: Annotated[int, arg(metavar="N")] = 60
    """Largest photo that is taken."""
    max_clip_s: Annotated[float, arg(metavar="SECONDS")] = 120.0
    """Longest stretch of a clip that is worked on."""
    max_waiting: Annotated[int, arg(metavar="N")] = 500
    """Jobs that wait at most; beyond it clients are asked to come back later."""
    max_waiting_each: Annotated[int, arg(metavar="N")] = 50
    """Jobs of one client that wait at most."""
    max_disk_gb: Annotated[float, arg(metavar="N")] = 10.0
    """What uploads and results may take together."""
    keep_days: Annotated[float, arg(metavar="N")] = 7.0
    """Finished jobs are deleted after so many days."""
    job_timeout_s: Annotated[float, arg(metavar="SECONDS")] = 1800.0
    """A job that takes longer is given up."""
    memory_mb: Annotated[int, arg(metavar="N")] = 4096
    """What a process that works on files may allocate; more costs the job."""

    def __post_init__(self) -> None:
        whole(self, "port", at_most=65535, flags=True)
        whole(self, "workers", at_least=1, at_most=64, flags=True)
        whole(self, "max_upload_mb", "max_megapixels", at_least=1, flags=True)
        whole(self, "max_waiting", "max_waiting_each", at_least=1, flags=True)
        whole(self, "memory_mb", at_least=1024, flags=True)
        number(self, "max_clip_s", "max_disk_gb", "job_timeout_s", "keep_days", above=0, flags=True)
        if self.token is not None and len(self.token) < 8:
            refuse("A token needs at least 8 characters, for it may be guessed otherwise.")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            refuse("A token has to be of plain letters, digits and signs (ASCII).")
        if not self.host:
            refuse("A server needs an address to listen at, such as 127.0.0.1.")

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine can ask."""
        if self.host in _LOCAL_NAMES:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
