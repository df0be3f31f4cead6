"""Photos on a Ray cluster of this machine: one worker, two, and two of whom one is killed.

    python benchmarks/scale.py [--photos 1000] [--corrupt 0.01] [--side 256] [--workers 2]
        [--only-killed]

Small photos are cut from one of scikit-image's, each another part of it, and a share of the files
is damaged. Each run works on all of them with an output folder of its own; the last one gets
SIGKILL for a worker once a third of the photos is done. Needs Linux, and Ray (the `ray` extra).

- lost: photos without an outcome, or whose outcome promises files that are not there;
- twice: outcomes beyond one a photo, and folders that are not of one photo;
- wrong: damaged files that have results, good ones that have none;
- begun: seconds until the first photo is begun (Ray starts, workers import and load models);
- photos/s: from then on to the last outcome. The ratio is that of the second run to the first.

- CPU s: of workers and of the process that hands out the work, for each photo.

Workers have one thread each, so the ratio says what a second core brings, if nobody else is using
it: the load of the machine is printed with each run. On a machine that others use, the ratio of
CPU seconds tells what it would be on one that they leave alone.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage.data
import tyro
from PIL import Image

from kinflow.export.writer import ExportOptions
from kinflow.pipeline.cluster import ClusterConfig, ClusterPipeline
from kinflow.pipeline.config import PipelineConfig
from kinflow.pipeline.events import Begun, Outcome

FORMATS = ("npz", "json")
FILES = {"people.npz", "people.json"}


@dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    photos: int = 1000
    """How many there are."""
    corrupt: float = 0.01
    """Share of them that is damaged."""
    side: int = 256
    """Of the photos, in pixels."""
    workers: int = 2
    """Of the second and the third run."""
    seed: int = 0
    """Of what is cut out and of which are damaged."""
    only_killed: bool = False
    """Leave out the two runs that nothing happens to."""


@dataclass(frozen=True)
class Run:
    """What became of one run."""

    name: str
    lost: int
    twice: int
    wrong: int
    begun_s: float
    photos_per_s: float
    worker_cpu_s: float
    own_cpu_s: float
    load: float

    def row(self) -> str:
        """A line of the table."""
        counts = f"{self.lost} | {self.twice} | {self.wrong}"
        times = f"{self.begun_s:.1f} | {self.photos_per_s:.2f} | {self.worker_cpu_s:.2f} | "
        times += f"{self.own_cpu_s:.3f} | {self.load:.1f}"
        return f"| {self.name} | {counts} | {times} |"


def make_photos(folder: Path, config: Config) -> tuple[list[Path], set[Path]]:
    """Write the photos; returns all of them, and those that are damaged."""
    rng = np.random.default_rng(config.seed)
    whole = Image.fromarray(skimage.data.astronaut())
    folder.mkdir()
    photos = [folder / f"{number:05d}.jpg" for number in range(config.photos)]
    for path in photos:
        left, top = (int(value) for value in rng.integers(0, 24, 2))
        part = whole.crop((left, top, left + 488, top + 488))
        part.resize((config.side, config.side)).save(path, quality=90)
    count = round(config.corrupt * config.photos)
    damaged = {photos[int(row)] for row in rng.choice(config.photos, count, replace=False)}
    for path in damaged:
        path.write_bytes(path.read_bytes()[:300])
    return photos, damaged


class Workers:
    """The workers that belong to this process, and what they have computed so far."""

    def __init__(self) -> None:
        self._cpu_s: dict[int, tuple[float, float]] = {}
        self.looking_s = 0.0

    def look(self) -> None:
        """Take down the CPU time of all who live; those who have died keep theirs."""
        begin = time.process_time()
        for process in workers_of_this_process():
            now_s = cpu_s(process)
            first_s = self._cpu_s.get(process, (now_s, now_s))[0]
            self._cpu_s[process] = first_s, now_s
        self.looking_s += time.process_time() - begin

    @property
    def cpu_s(self) -> float:
        """Seconds since each was looked at first."""
        return sum(now_s - first_s for first_s, now_s in self._cpu_s.values())


def workers_of_this_process() -> list[int]:
    """Process numbers."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and title_of(int(folder.name)).startswith("ray::PhotoWorker"):
            found += [int(folder.name)] * (os.getpid() in ancestors(int(folder.name)))
    return found


def title_of(process: int) -> str:
    """What a process calls itself; nothing if it has just ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


def figures_of(process: int) -> list[str]:
    """What Linux knows of a process, from its state on."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["X", *["0"] * 50]


def cpu_s(process: int) -> float:
    """Seconds that a process has computed."""
    figures = figures_of(process)
    return (int(figures[11]) + int(figures[12])) / os.sysconf("SC_CLK_TCK")


def ancestors(process: int) -> set[int]:
    """The processes above one."""
    found: set[int] = set()
    while process > 1:
        process = int(figures_of(process)[1])
        found.add(process)
    return found


def run(
    name: str, photos: list[Path], damaged: set[Path], out: Path, workers: int, kill: bool
) -> Run:
    """Work on all photos, and look at what came out."""
    pipeline = ClusterPipeline(
        PipelineConfig(export=ExportOptions(FORMATS)), ClusterConfig(workers)
    )
    load, begin, begun = os.getloadavg()[0], time.perf_counter(), 0.0
    outcomes: list[Outcome] = []
    team, own_s = Workers(), 0.0
    for event in pipeline.run(photos, out):
        if isinstance(event, Begun):
            if not begun:
                begun, own_s = time.perf_counter(), time.process_time()
            team.look()
        elif isinstance(event, Outcome):
            outcomes.append(event)
            team.look()
            if kill and 3 * len(outcomes) >= len(photos):
                os.kill(workers_of_this_process()[0], signal.SIGKILL)
                kill = False
        last, last_own_s = time.perf_counter(), time.process_time()
    counts = Counter(outcome.photo for outcome in outcomes)
    good = [outcome for outcome in outcomes if not outcome.problem]
    complete = [o for o in good if o.folder.is_dir() and set(os.listdir(o.folder)) >= FILES]
    lost = len(set(photos) - set(counts)) + len(good) - len(complete)
    folders = len([entry for entry in out.iterdir() if entry.is_dir()])
    twice = sum(count - 1 for count in counts.values()) + abs(folders - len(good))
    wrong = len({o.photo for o in outcomes if o.problem} ^ damaged)
    count = len(photos)
    own_s = (last_own_s - own_s - team.looking_s) / count
    speed, each_s = count / (last - begun), team.cpu_s / count
    return Run(name, lost, twice, wrong, begun - begin, speed, each_s, own_s, load)


def main(config: Config) -> None:
    """Run the benchmark and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        photos, damaged = make_photos(Path(folder) / "photos", config)
        print(f"{len(photos)} photos, {len(damaged)} damaged, {os.cpu_count()} cores")
        titles = "lost | twice | wrong | begun s | photos/s | CPU s, workers | CPU s, own | load"
        print(f"| workers | {titles} |")
        print("|---" * 9 + "|")
        runs = []
        several = config.workers
        for name, workers, kill in (
            ("1", 1, False),
            (f"{several}", several, False),
            (f"{several}, one killed", several, True),
        ):
            if config.only_killed and not kill:
                continue
            out = Path(folder) / f"out{len(runs)}"
            runs.append(run(name, photos, damaged, out, workers, kill))
            print(runs[-1].row(), flush=True)
        if config.only_killed:
            return
        ratio = runs[1].photos_per_s / runs[0].photos_per_s
        ideal = several * runs[0].worker_cpu_s / runs[1].worker_cpu_s
        print(f"{several} workers are {ratio:.2f} times as fast as one; by CPU time {ideal:.2f}")


if __name__ == "__main__":
    main(tyro.cli(Config))
