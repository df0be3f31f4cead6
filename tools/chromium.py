"""A headless Chromium that is told what to do, for tests and benchmarks of the pages.

It speaks the DevTools protocol over a pipe (`--remote-debugging-pipe`), so that nothing but the
browser is needed: no driver, no port, no WebSocket.

    with Chromium() as browser:
        page = browser.page(size=(1100, 820))
        page.open(path.as_uri())
        page.run("document.title")
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--remote-debugging-pipe",
    # WebGL by the processor, the same on every machine
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
_ANSWER_S = 60.0


def chromium_path() -> str | None:
    """Where a Chromium or Chrome is; None where none is installed."""
    chosen = os.environ.get("KINFLOW_CHROMIUM")
    return chosen or next((path for name in _NAMES if (path := shutil.which(name))), None)


class Chromium:
    """A browser with a profile of its own, until the end of the `with` block.

    Raises:
        FileNotFoundError: there is none.
    """

    def __init__(self) -> None:
        path = chromium_path()
        if path is None:
            raise FileNotFoundError("no Chromium is installed (KINFLOW_CHROMIUM may name one)")
        self._path = path

    def __enter__(self) -> Chromium:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        (theirs_in, self._out), (self._in, theirs_out) = os.pipe(), os.pipe()
        command = [self._path, *_OPTIONS, f"--user-data-dir={self._profile.name}", "about:blank"]
        # the browser reads file descriptor 3 and writes 4; a shell puts ours there
        line = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", line, "bash", *command],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._count, self._rest, self._events = 0, b"", []
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError, ChromiumError):
            self.ask("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._out)
        os.close(self._in)
        self._profile.cleanup()

    def ask(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """What the browser answers to a command of the protocol.

        Raises:
            ChromiumError: it refuses, or does not answer.
        """
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        for answer in self._messages(_ANSWER_S):
            if answer.get("id") == message["id"]:
                if "error" in answer:
                    raise ChromiumError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self._events.append(answer)
        raise ChromiumError(f"{method}: no answer")

    def events(self, session: str) -> list[dict[str, Any]]:
        """What a page said by itself since this was asked last."""
        self.ask("Browser.getVersion")  # whatever was sent before comes first
        own = [event for event in self._events if event.get("sessionId") == session]
        self._events = [event for event in self._events if event.get("sessionId") != session]
        return own

    def page(self, size: tuple[int, int] = (1100, 820), **features: str) -> Page:
        """A new page.

        Args:
            size: width and height of the window; narrow ones are phones with touch.
            features: media features with underscores, such as `prefers_color_scheme="dark"`.
        """
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, session, size, features)

    def _messages(self, at_most_s: float) -> Iterator[dict[str, Any]]:
        deadline = time.monotonic() + at_most_s
        while True:
            while b"\0" in self._rest:
                text, self._rest = self._rest.split(b"\0", 1)
                yield json.loads(text)
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._in], [], [], max(0.0, left))
            piece = os.read(self._in, 1 << 20) if ready else b""
            if not piece:
                return
            self._rest += piece


class ChromiumError(Exception):
    """The browser refuses, or a script in it fails."""


class Page:
    """A page of a browser, see `Chromium.page`."""

    def __init__(
        self, browser: Chromium, session: str, size: tuple[int, int], features: Mapping[str, str]
    ) -> None:
        self._browser, self._session = browser, session
        for domain in ("Page", "Runtime", "Log", "Network", "DOM", "Accessibility"):
            self.ask(f"{domain}.enable")
        self.resize(size)
        named = [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()]
        self.ask("Emulation.setEmulatedMedia", features=named)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the page answers to a command of the protocol."""
        return self._browser.ask(method, self._session, **parameters)

    def resize(self, size: tuple[int, int]) -> None:
        """Another window."""
        phone = size[0] < 600
        self.ask("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1],
                 deviceScaleFactor=1, mobile=phone)  # fmt: skip
        self.ask("Emulation.setTouchEmulationEnabled", enabled=phone)

    def before_scripts(self, script: str) -> None:
        """Run a script in every document from now on, before its own."""
        self.ask("Page.addScriptToEvaluateOnNewDocument", source=script)

    def open(self, url: str) -> None:
        """Go somewhere, and wait until it is loaded."""
        self.ask("Page.navigate", url=url)
        self.wait("location.href !== 'about:blank' && document.readyState === 'complete'")

    def run(self, expression: str) -> Any:
        """The value of an expression in the page; of a promise, what it becomes.

        Raises:
            ChromiumError: it throws.
        """
        answer = self.ask(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise ChromiumError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def wait(self, expression: str, at_most_s: float = 30.0) -> None:
        """Until an expression is true.

        Raises:
            ChromiumError: it never was.
        """
        deadline = time.monotonic() + at_most_s
        while not self.run(f"Boolean({expression})"):
            if time.monotonic() > deadline:
                raise ChromiumError(f"not within {at_most_s:g} s: {expression}")
            time.sleep(0.05)

    def settled(self) -> None:
        """Wait until two pictures were drawn."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def press(self, *keys: str) -> None:
        """Press keys, named as `KeyboardEvent.key` does, one after another; or `Shift+Tab`."""
        for name in keys:
            shift = name.startswith("Shift+")
            key = name.removeprefix("Shift+")
            event: dict[str, Any] = {"key": key, "modifiers": 8 if shift else 0}
            if len(key) == 1:
                event["text"] = key
            elif key in _CODES:
                event["windowsVirtualKeyCode"] = _CODES[key]
                event["code"] = key
                if key == "Enter":
                    event["text"] = "\r"
            self.ask("Input.dispatchKeyEvent", type="keyDown", **event)
            self.ask("Input.dispatchKeyEvent", type="keyUp", key=key)

    def drag(self, *places: tuple[float, float]) -> None:
        """Press the mouse at the first place, move over the others, let go at the last."""
        kinds = ["mousePressed", *["mouseMoved"] * (len(places) - 1), "mouseReleased"]
        for kind, (x, y) in zip(kinds, [*places, places[-1]], strict=True):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left",
                     buttons=0 if kind == "mouseReleased" else 1, clickCount=1)  # fmt: skip

    def touch(self, *moments: Sequence[tuple[float, float]]) -> None:
        """Put fingers down at the places of the first moment, move them, and lift them."""
        kinds = ["touchStart", *["touchMove"] * (len(moments) - 1)]
        for kind, places in zip(kinds, moments, strict=True):
            points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
            self.ask("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        self.ask("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def choose_files(self, selector: str, *paths: Path) -> None:
        """Put files into an input."""
        root = self.ask("DOM.getDocument")["root"]["nodeId"]
        node = self.ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.ask("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def picture(self) -> bytes:
        """A PNG of the window."""
        self.settled()
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])

    def tree(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Role, accessible name and properties of all that assistive programs are told of."""
        found = []
        for node in self.ask("Accessibility.getFullAXTree")["nodes"]:
            if node.get("ignored"):
                continue
            properties = {p["name"]: p["value"].get("value") for p in node.get("properties", [])}
            name = node.get("name", {}).get("value", "")
            found.append((node.get("role", {}).get("value", ""), name, properties))
        return found

    def complaints(self) -> list[str]:
        """Errors and warnings of the console, scripts that failed, and requests to other hosts,
        since this was asked last."""
        found = []
        for event in self._browser.events(self._session):
            method, told = event["method"], event["params"]
            if method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
                found.append(told["entry"]["text"])
            elif method == "Runtime.exceptionThrown":
                details = told["exceptionDetails"]
                found.append(details.get("exception", {}).get("description", details["text"]))
            elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
                found.append(str([a.get("value") for a in told["args"]]))
            elif method == "Network.requestWillBeSent":
                url = told["request"]["url"]
                if not url.startswith(("http://127.0.0.1", "file:", "data:", "blob:", "about:")):
                    found.append(f"asks {url}")
        return found


_CODES = {"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowLeft": 37,
          "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}  # fmt: skip
