"""What a user of the main job waits for and pays in memory, beside the targets.

    python benchmarks/main_job.py [--repeats 5] [--photo PHOTO] [--skip-processes]

- Warm stages, in this process: one photo (scikit-image's astronaut, one person, 512 x 512, unless
  another is given) read, searched for people, fitted and written, and each output on its own. The
  fastest of the repeats.
- Whole processes, from start to end: `kinflow --help` and `kinflow demo` (two photos and a clip,
  models loaded from disk), the fastest of a few, and the peak memory of `kinflow reconstruct` on a
  12-megapixel photo with 6 people, composed from the demo's photos.

Beside what a clock says stands processor time, of all threads together, which a busy machine
changes much less.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

import kinflow
from kinflow.cli.demo import demo_photos
from kinflow.evidence.image import Photo, read_photo
from kinflow.export.bodies import Bodies
from kinflow.export.gltf import scene_glb
from kinflow.export.overlay import draw_overlay
from kinflow.export.people_files import json_bytes, npz_bytes
from kinflow.export.people_to_fields import to_fields
from kinflow.export.viewer import viewer_html
from kinflow.export.writer import ExportOptions, png_bytes, write_all

TWELVE_MEGAPIXELS = (4000, 3000)
GRID = (3, 2)


@dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    repeats: int = 5
    """Repeats of warm stages; processes are repeated up to three times."""
    photo: Path | None = None
    """Photo for the warm stages instead of the astronaut."""
    skip_processes: bool = False
    """Only the warm stages."""


@dataclass(frozen=True)
class Row:
    """One line of the result: what, how much, and what it should not exceed."""

    what: str
    value: float
    unit: str
    target: float | None = None
    processor_s: float | None = None


def fastest(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Seconds by the clock and of processors, each of the fastest of several calls, after one to
    warm up."""
    call()
    clock, processor = [], []
    for _ in range(repeats):
        start, spent = time.perf_counter(), processor_s()
        call()
        clock.append(time.perf_counter() - start)
        processor.append(processor_s() - spent)
    return min(clock), min(processor)


def processor_s() -> float:
    """Seconds that processors have spent on this process and on those that it waited for."""
    waited_for = os.times()
    return time.process_time() + waited_for.children_user + waited_for.children_system


def timed_row(
    what: str, call: Callable[[], object], repeats: int, target: float | None = None
) -> Row:
    """How long a call takes."""
    clock_s, spent_s = fastest(call, repeats)
    return Row(what, clock_s, "s", target, spent_s)


def stage_rows(config: Config, folder: Path) -> list[Row]:
    """Every stage of one photo, warm."""
    path = config.photo or demo_photos()[0]
    reconstructor = kinflow.Reconstructor()
    photo = read_photo(path)
    evidence = reconstructor.detector.detect(photo.rgb)
    camera = reconstructor.camera(photo)
    result = reconstructor(photo, evidence=evidence)

    def end_to_end() -> None:
        seen = read_photo(path)
        write_all(reconstructor(seen), seen.rgb, folder / "all", ExportOptions(overwrite=True))

    def timed(what: str, call: Callable[[], object], target: float | None = None) -> Row:
        return timed_row(what, call, config.repeats, target)

    people = f"{len(result.people)} person" + "s" * (len(result.people) != 1)
    return [
        timed("read", lambda: read_photo(path)),
        timed("evidence: people and keypoints", lambda: reconstructor.detector.detect(photo.rgb)),
        timed(f"fit: {people}", lambda: reconstructor.fitter.fit(evidence, camera), 0.25),
        *output_rows(photo, result, timed),
        timed(f"one photo with {people}, all outputs", end_to_end, 1.2),
    ]


def output_rows(
    photo: Photo, result: kinflow.Reconstruction, timed: Callable[..., Row]
) -> list[Row]:
    """Each output alone; `bodies` is shared by the last three."""
    bodies = Bodies.of(result.people)
    return [
        timed("bodies: full meshes", lambda: Bodies.of(result.people)),
        timed("people.npz", lambda: npz_bytes(to_fields(result))),
        timed("people.json", lambda: json_bytes(to_fields(result))),
        timed("overlay.png", lambda: png_bytes(draw_overlay(photo.rgb, result, bodies))),
        timed("scene.glb", lambda: scene_glb(result, bodies, "smpl")),
        timed("viewer.html", lambda: viewer_html(photo.rgb, result, bodies)),
    ]


def process_rows(config: Config, folder: Path) -> list[Row]:
    """Whole runs of the command line."""
    repeats = min(config.repeats, 3)
    demo = ("demo", "--out", str(folder / "demo"), "--overwrite")
    crowd = folder / "crowd.jpg"
    cv2.imwrite(str(crowd), crowd_photo())
    out = folder / "crowd"
    peak_gb = run_cli("reconstruct", str(crowd), "--out", str(out))
    people = len(kinflow.load(out / "crowd").people)
    return [
        timed_row("kinflow --help", lambda: run_cli("--help"), repeats, 0.5),
        timed_row("kinflow demo", lambda: run_cli(*demo), repeats, 15.0),
        Row(f"peak memory, 12 megapixels, {people} people found", peak_gb, "GB", 1.5),
    ]


STARTER = (sys.executable, "-I", "-S", "-c", """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
""")  # fmt: skip
"""Runs a command and prints the most memory that it took. (The system's count begins with that of
the process that starts another, and of this one that is much.)"""


def run_cli(*arguments: str) -> float:
    """Run the command line in a process of its own; returns its peak memory in gigabytes."""
    command = [*STARTER, sys.executable, "-m", "kinflow.cli.main", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)} failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return int(done.stdout) * unit / 1e9


def crowd_photo() -> np.ndarray:
    """A photo of 12 megapixels with 6 people, as BGR: the demo's photos in a grid, every other
    one mirrored."""
    photos = [cv2.cvtColor(read_photo(path).rgb, cv2.COLOR_RGB2BGR) for path in demo_photos()]
    size = (TWELVE_MEGAPIXELS[0] // GRID[0], TWELVE_MEGAPIXELS[1] // GRID[1])
    tiles = [
        cv2.resize(photo[:, ::direction], size, interpolation=cv2.INTER_CUBIC)
        for photo, direction in zip(photos * 3, (1, 1, -1, -1, 1, 1), strict=True)
    ]
    return cv2.vconcat([cv2.hconcat(tiles[i : i + GRID[0]]) for i in (0, GRID[0])])


def main(config: Config) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        rows = stage_rows(config, Path(name))
        if not config.skip_processes:
            rows += process_rows(config, Path(name))
    table = Table("what", "measured", "target", "processor", title=f"{os.cpu_count()} CPU cores")
    for row in rows:
        target = "" if row.target is None else f"≤ {row.target:g} {row.unit}"
        processor = "" if row.processor_s is None else f"{row.processor_s:.3f} s"
        table.add_row(row.what, f"{row.value:.3f} {row.unit}", target, processor)
    Console().print(table)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
