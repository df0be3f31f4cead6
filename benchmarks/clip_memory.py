"""How much memory does a long clip take, against a short one?

    python benchmarks/clip_memory.py --clip walk.mp4 [--minutes 10] [--rate-hz 30]

Two processes reconstruct the clip and write all files but the overlay (which is drawn frame by
frame). The first is done with it; for the second the clip goes on until it is as long as is asked
for: what was seen and fitted is seen and fitted again, as values of their own, at later times, so
that everything that is kept, put together and written is as long as it is said to be, and looking
and fitting, whose memory does not grow, take no hours. Printed is the most memory that each took
(peak resident set), and what is on disk.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import tyro

from kinflow.evidence.clip_people import ClipPeople, SeenFrame
from kinflow.export.writer import ExportOptions
from kinflow.fitting.clip import ClipFitter, FittedFrame, SeenPeople
from kinflow.pipeline.config import PipelineConfig
from kinflow.pipeline.events import Outcome
from kinflow.pipeline.photos import Pipeline
from kinflow.pipeline.reconstructor import ReconstructorConfig
from kinflow.results import Person, stored


@dataclass(frozen=True)
class ClipMemoryBenchmark:
    """What to measure.

    Attributes:
        clip: a clip of some seconds.
        minutes: how long the second one is.
        rate_hz: frames a second of what is repeated.
        parts: whether body parts are looked for.
        frames: of one process, instead of both; 0 for the clip as it is.
    """

    clip: Path
    minutes: float = 10.0
    rate_hz: float = 30.0
    parts: bool = True
    frames: int | None = None


class Repeated:
    """What was seen and fitted of a clip, and the same again until there are enough frames."""

    def __init__(self, frames: int, rate_hz: float) -> None:
        self._frames, self._rate_hz = frames, rate_hz
        self._seen: list[SeenFrame] = []
        self._fitted: list[FittedFrame] = []
        self._again = 0
        self._watch, self._add = ClipPeople.watch_with_states, ClipFitter.add

    def watch(
        self, people: ClipPeople, frames: Any, every: int
    ) -> Iterator[tuple[SeenFrame, dict[str, Any] | None]]:
        state = None
        for seen, state in self._watch(people, frames, every):
            self._seen.append(seen)
            yield seen, state
        last, count = self._seen[-1], len(self._seen)
        for i in range(self._frames - count):
            one = self._seen[i % count]
            later = replace(one, index=last.index + 1 + i, shot=last.shot + 1)
            later = replace(later, time_s=last.time_s + (1 + i) / self._rate_hz)
            yield later, None if i % every else people.state()

    def add(self, fitter: ClipFitter, frame: SeenPeople) -> list[FittedFrame]:
        if frame.shot == self._seen[0].shot:
            done = self._add(fitter, frame)
            self._fitted += done
            return done
        done = fitter.finish()
        self._fitted += done
        one = self._fitted[self._again % len(self._fitted)]
        self._again += 1
        return [*done, replace(one, people=tuple(map(_copied, one.people)))]


def _copied(person: Person) -> Person:
    """The same body in memory of its own, as the fitter gives it."""
    return stored(replace(person, energy=dict(person.energy)))


def main(config: ClipMemoryBenchmark) -> None:
    if config.frames is not None:
        _measured(config, config.frames)
        return
    peaks = []
    for frames in (0, round(60 * config.minutes * config.rate_hz)):
        given = [f"--{name}={getattr(config, name)}" for name in ("clip", "minutes")]
        given += [f"--rate-hz={config.rate_hz}", f"--frames={frames}"]
        given += ["--parts" if config.parts else "--no-parts"]
        told = subprocess.run(
            [sys.executable, __file__, *given], stdout=subprocess.PIPE, check=True
        )
        line = told.stdout.decode().strip().splitlines()[-1]
        print(line, flush=True)
        peaks.append(float(line.split(" MB")[0].split()[-1]))
    print(f"{100 * (peaks[1] / peaks[0] - 1):.1f} % more")


def _measured(config: ClipMemoryBenchmark, frames: int) -> None:
    torch.set_num_threads(1)
    begin = time.perf_counter()
    repeated = Repeated(frames, config.rate_hz)
    models = ReconstructorConfig(parts=config.parts)
    export = ExportOptions(("npz",))
    options = PipelineConfig(models, export, clip_formats=("npz", "json", "glb", "bvh", "viewer"))
    with (
        tempfile.TemporaryDirectory() as out,
        patch.object(ClipPeople, "watch_with_states", lambda *args: repeated.watch(*args)),
        patch.object(ClipFitter, "add", lambda *args: repeated.add(*args)),
    ):
        *_, outcome = Pipeline(options).run([config.clip], out)
        assert isinstance(outcome, Outcome) and outcome.result is not None, outcome
        bodies = len(outcome.result.people)
        written = _size(outcome.folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    count = len(outcome.result.frames)
    print(
        f"{count} frames, {bodies} bodies: at most {peak:.0f} MB of memory; files of "
        f"{written / 1e6:.1f} MB; {time.perf_counter() - begin:.0f} s"
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main(tyro.cli(ClipMemoryBenchmark))
