"""A server under load: many clients, hostile files, and kills at random moments.

    python benchmarks/service.py start      # from the start of the server to a picture
    python benchmarks/service.py clients --clients 50 --photos 4
    python benchmarks/service.py hostile --files 200
    python benchmarks/service.py kills --kills 20

Needs the extras `serve` and `demo`. Photos are pieces of one that comes with scikit-image.
"""

from __future__ import annotations

import http.client
import io
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import skimage.data
import tyro
from PIL import Image
from tyro.conf import Positional

from kinflow.client import Client, RemoteJob, ServerError


@dataclass(frozen=True)
class ServiceBenchmark:
    """What is tried.

    Args:
        what: which part.
        clients: that send at the same time.
        photos: of each; one in ten is hostile.
        files: hostile ones.
        kills: of the server, at random moments while jobs are worked on.
        seed: of everything random.
    """

    what: Annotated[Literal["start", "clients", "hostile", "kills"], Positional]
    clients: int = 50
    photos: int = 4
    files: int = 200
    kills: int = 20
    seed: int = 0


class Server:
    """`kinflow serve` in a process of its own, which may be killed and started again."""

    def __init__(self, data: Path, *options: str) -> None:
        self._data, self._options = data, options
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = [sys.executable, "-m", "kinflow", "serve", "--data", str(self._data)]
        self.process = subprocess.Popen(
            [*command, "--port", "0", *self._options], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        found = re.search(r"http://\S+", self.process.stdout.readline())
        if found is None:
            raise SystemExit("The server did not start.")
        self.address = found[0]

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def memory_mb(self) -> float:
        """Resident memory of the server itself, without its children."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        return int(found[1]) / 1024 if found else float("nan")


def main(config: ServiceBenchmark) -> None:
    """Print what came of it."""
    rng = random.Random(config.seed)
    with tempfile.TemporaryDirectory() as folder:
        run = {"start": start, "clients": clients, "hostile": hostile, "kills": kills}
        run[config.what](config, Path(folder), rng)


def start(config: ServiceBenchmark, folder: Path, rng: random.Random) -> None:
    """From the start of the server to the picture of a photo."""
    photo = folder / "photo.jpg"
    photo.write_bytes(photo_bytes(rng))
    begin = time.monotonic()
    server = Server(folder / "data")
    client = Client(server.address)
    job = client.wait(client.submit(photo))
    client.download(job, folder / "saved")
    took = time.monotonic() - begin
    server.kill()
    print(f"start to picture: {took:.1f} s ({job.state}, {job.summary.get('seconds')} s of work)")


def clients(config: ServiceBenchmark, folder: Path, rng: random.Random) -> None:
    """Clients that send at once, some of them hostile files."""
    server = Server(folder / "data", "--max-waiting", "60", "--max-waiting-each", "60")
    outcomes: Counter[str] = Counter()
    lock, peak_mb = threading.Lock(), 0.0
    work = [
        [hostile_file(rng) if rng.random() < 0.1 else None for _ in range(config.photos)]
        for _ in range(config.clients)
    ]
    photos = [photo_bytes(rng) for _ in range(config.clients)]

    def one(number: int) -> None:
        client = Client(server.address)
        for i, bad in enumerate(work[number]):
            path = folder / f"{number}_{i}"
            path.write_bytes(photos[number] if bad is None else bad[1])
            outcome = sent(client, path)
            with lock:
                outcomes[("good" if bad is None else "hostile") + ": " + outcome] += 1

    begin = time.monotonic()
    threads = [threading.Thread(target=one, args=(n,)) for n in range(config.clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        peak_mb = max(peak_mb, server.memory_mb())
        time.sleep(0.5)
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:4d} {outcome}")
    print(f"{time.monotonic() - begin:.0f} s; the server itself took {peak_mb:.0f} MB at most")
    server.kill()


def sent(client: Client, path: Path) -> str:
    """What becomes of a file: the state of its job, or the status of the refusal."""
    try:
        return client.wait(client.submit(path, max_people=1)).state
    except ServerError as error:
        return f"refused with {error.status}"


def hostile(config: ServiceBenchmark, folder: Path, rng: random.Random) -> None:
    """Files that are no photos, sent as they are."""
    server = Server(folder / "data", "--max-upload-mb", "20")
    answers: Counter[tuple[str, int]] = Counter()
    wrong = []
    for _ in range(config.files):
        kind, body = hostile_file(rng)
        line = http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=120)
        line.request("POST", "/api/jobs?name=%3Cscript%3E..%2F..%2Fx.jpg", body)
        answer = line.getresponse()
        text = answer.read().decode()
        line.close()
        answers[kind, answer.status] += 1
        if not 400 <= answer.status < 500 or '"detail"' not in text or str(folder) in text:
            wrong.append((kind, answer.status, text[:200]))
    for (kind, status), count in sorted(answers.items()):
        print(f"{count:4d} {kind}: {status}")
    print(f"{len(wrong)} of {config.files} without a sentence and a 4xx", *wrong[:5], sep="\n")
    with urllib.request.urlopen(f"{server.address}/api/health") as answer:
        print("the server answers:", answer.read().decode())
    server.kill()


def kills(config: ServiceBenchmark, folder: Path, rng: random.Random) -> None:
    """Kills while jobs come in and are worked on; what was told to be done stays done."""
    server = Server(folder / "data")
    photo = folder / "photo.jpg"
    photo.write_bytes(photo_bytes(rng))
    jobs: dict[str, RemoteJob] = {}
    finished: set[str] = set()
    lost, half, broken = 0, 0, 0
    for _ in range(config.kills):
        client = Client(server.address)
        for _ in range(4):
            job = client.submit(photo, max_people=1)
            jobs[job.id] = job
        until = time.monotonic() + rng.uniform(0.0, 12.0)
        while time.monotonic() < until:
            finished |= {name for name in jobs if client.job(name).state == "done"}
            time.sleep(0.2)
        server.kill()
        server.start()
        client = Client(server.address)
        for name in jobs:
            job = client.job(name)
            lost += name in finished and job.state != "done"
            half += job.state == "done" and len(job.files) < 5
            if job.state == "broken":
                broken += 1
                client.retry(job)
    client = Client(server.address)
    ended = Counter(client.wait(job).state for job in jobs.values())
    print(f"{len(jobs)} jobs, {config.kills} kills: {lost} finished ones lost, {half} half shown,")
    print(f"{broken} marked as broken and tried again; in the end: {dict(ended)}")
    server.kill()


def photo_bytes(rng: random.Random) -> bytes:
    """A photo of somebody, of a size of its own."""
    image = Image.fromarray(skimage.data.astronaut())
    side = rng.randrange(300, 512)
    stream = io.BytesIO()
    image.resize((side, side)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def hostile_file(rng: random.Random) -> tuple[str, bytes]:
    """A file that is no photo, and what is wrong with it."""
    kind = rng.choice(tuple(_HOSTILE))
    return kind, _HOSTILE[kind](rng)


def _encoded(kind: str, size: tuple[int, int] = (640, 480)) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(stream, kind)
    return stream.getvalue()


def _cut(kind: str, rng: random.Random) -> bytes:
    data = _encoded(kind)
    return data[: rng.randrange(4, min(120, len(data) // 3))]


def _bomb(rng: random.Random) -> bytes:
    """Many megapixels in few bytes."""
    stream = io.BytesIO()
    Image.new("1", (rng.randrange(20_000, 60_000), 20_000)).save(stream, "PNG")
    return stream.getvalue()


def _sides(rng: random.Random) -> bytes:
    """A header that promises sides of 100,000 pixels."""
    data = bytearray(_encoded("PNG"))
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    return bytes(data)


_HOSTILE = {
    "noise": lambda rng: rng.randbytes(rng.randrange(1, 5000)),
    "empty": lambda rng: b"",
    "page": lambda rng: b"<html><script>alert(1)</script><img src=x onerror=alert(2)>",
    "drawing": lambda rng: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/>',
    "script": lambda rng: b"#!/bin/sh\nrm -rf /\n",
    "archive": lambda rng: b"PK\x03\x04" + b"../../../../evil" * 40,
    "pickle": lambda rng: b"\x80\x04cos\nsystem\n(S'touch /tmp/evil'\ntR.",
    "cut jpeg": lambda rng: _cut("JPEG", rng),
    "cut png": lambda rng: _cut("PNG", rng),
    "cut webp": lambda rng: _cut("WEBP", rng),
    "head of mp4": lambda rng: b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + rng.randbytes(3000),
    "head of mkv": lambda rng: b"\x1aE\xdf\xa3" + rng.randbytes(3000),
    "head of avi": lambda rng: b"RIFF\xff\xff\xff\x7fAVI LIST" + rng.randbytes(3000),
    "head of gif": lambda rng: b"GIF89a\xff\xff\xff\xff" + rng.randbytes(500),
    "head of tiff": lambda rng: b"II*\0\x08\0\0\0" + rng.randbytes(500),
    "bomb": _bomb,
    "sides": _sides,
    "polyglot": lambda rng: b"GIF89a/*" + b"<script>alert(1)</script>" * 10 + b"*/",
    "too large": lambda rng: os.urandom(1 << 20) * 21,
}


if __name__ == "__main__":
    main(tyro.cli(ServiceBenchmark))
