"""What every request has to pass, and headers that every answer carries.

Browsers send requests to 127.0.0.1 on behalf of any page that asks for it, so a page of another
origin, or one whose name was made to point here (DNS rebinding), is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse

from kinflow.service.config import Serve

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Any, Send], Awaitable[None]]

CLIENT_COOKIE, TOKEN_COOKIE = "kinflow_client", "kinflow_token"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; frame-src 'self'; media-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
RESULT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
"""The viewer carries its own script; it runs in an origin of its own and reaches nothing."""
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
_OPEN = (
    *("/", "/page.css", "/page.js", "/results.js", "/uploads.js"),
    *("/api/session", "/api/health"),
)
"""What is told without a token; none of it is anybody's."""
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_MAX_COOKIE = 4096


class Guard:
    """Refuses what other pages ask for and who does not know the token; names clients.

    Args:
        app: what is guarded.
        config: the server's options.
    """

    def __init__(self, app: App, config: Serve) -> None:
        self._app, self._config = app, config

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin1"): text.decode("latin1") for name, text in scope["headers"]}
        cookies = cookies_of(headers.get("cookie", ""))
        client = cookies.get(CLIENT_COOKIE, "")
        is_new = not _is_client(client)
        if is_new:  # programs that keep no cookies are one client for each address
            address = scope["client"][0] if scope.get("client") else "somewhere"
            scope.setdefault("state", {})["client"] = f"at {address}"
            client = secrets.token_hex(16)
        else:
            scope.setdefault("state", {})["client"] = client
        refusal = self._refusal(scope["path"], headers, cookies)

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                there = {name for name, _ in message["headers"]}
                added = {**_HEADERS, "content-security-policy": PAGE_POLICY}
                if is_new:
                    added["set-cookie"] = cookie(CLIENT_COOKIE, client)
                message["headers"] = list(message["headers"]) + [
                    (name.encode(), text.encode())
                    for name, text in added.items()
                    if name == "set-cookie" or name.encode() not in there
                ]
            await send(message)

        if refusal is not None:
            await refusal(scope, receive, with_headers)
        else:
            await self._app(scope, receive, with_headers)

    def _refusal(
        self, path: str, headers: dict[str, str], cookies: dict[str, str]
    ) -> JSONResponse | None:
        host = headers.get("host", "")
        if self._config.is_local and _without_port(host) not in _LOCAL_HOSTS:
            return _no(421, "This server answers to localhost alone.")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return _no(403, "Pages of other sites may not ask.")
        if path not in _OPEN and not self.knows_token(headers, cookies):
            return _no(401, "This server needs its token.", {"WWW-Authenticate": "Bearer"})
        return None

    def knows_token(self, headers: dict[str, str], cookies: dict[str, str]) -> bool:
        """Whether a request carries the token, or none is needed."""
        if self._config.token is None:
            return True
        given = digest_of(headers.get("authorization", "").removeprefix("Bearer "))
        expected = digest_of(self._config.token)
        known = (given, cookies.get(TOKEN_COOKIE, ""))
        return any(hmac.compare_digest(text.encode(), expected.encode()) for text in known)


def digest_of(token: str) -> str:
    """What cookies hold in place of a token, which may have any characters."""
    return hashlib.sha256(token.encode("utf8", "replace")).hexdigest()


def cookies_of(header: str) -> dict[str, str]:
    """The cookies of a request; none where the header is nonsense."""
    try:
        return {name: part.value for name, part in SimpleCookie(header[:_MAX_COOKIE]).items()}
    except CookieError:
        return {}


def cookie(name: str, value: str) -> str:
    """A header that sets a cookie which no other site can use and no script can read."""
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000"


def _is_client(text: str) -> bool:
    return len(text) == 32 and all(char in "0123456789abcdef" for char in text)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _no(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": sentence}, status, headers)
