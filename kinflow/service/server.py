"""`kinflow serve`: the application behind a socket."""

from __future__ import annotations

import socket
from contextlib import closing

from kinflow.errors import InputError
from kinflow.files.destinations import check_folder_destination
from kinflow.files.locks import lock_handle
from kinflow.service.config import Serve

_GRACE_S = 2
_BACKLOG = 256


def run(config: Serve) -> int:
    """Serve until somebody ends it; returns the exit code.

    Raises:
        InputError: packages are missing, the folder or the address cannot be used, or another
            server uses the folder.
    """
    try:
        import uvicorn

        from kinflow.service.app import make_app
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("kinflow"):
            raise
        raise InputError(
            f"Serving needs the package '{error.name}': pip install 'kinflow[serve]'."
        ) from error
    check_folder_destination(config.data)
    try:
        config.data.mkdir(parents=True, exist_ok=True)
        lock = (config.data / "lock").open("a")
    except OSError as error:
        raise InputError(f"'{config.data}' cannot be made ({error.strerror}).") from error
    with closing(lock), closing(_listening(config)) as listener:
        if lock_handle(lock.fileno()) is False:
            raise InputError(f"Another server uses '{config.data}'; name another folder.")
        app = make_app(config)
        name = f"[{config.host}]" if ":" in config.host else config.host
        print(
            f"kinflow serves on http://{name}:{listener.getsockname()[1]} (Ctrl-C ends it)",
            flush=True,
        )
        if not config.is_local and config.token is None:
            print("Everybody who reaches this address can use it: it has no token.", flush=True)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
                h11_max_incomplete_event_size=32 << 10,
                lifespan="on",
            )
        )
        server.run(sockets=[listener])
    return 0


def _listening(config: Serve) -> socket.socket:
    """A socket at the address.

    Raises:
        InputError: it is taken, or is none of this machine's.
    """
    try:
        family = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.host, config.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        raise InputError(
            f"Cannot listen at {config.host}, port {config.port} ({error.strerror or error}); "
            "choose another one.",
            {"another one": "port"},
        ) from error
    return listener
