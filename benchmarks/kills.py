"""What is lost, hidden or left over when `kinflow reconstruct` is killed at random moments.

    python benchmarks/kills.py [--kills 40] [--photos 6] [--seed 0]

Real processes work on small made-up photos with keypoints given, and get SIGKILL between their
first output and their end, half of them while they replace earlier results (`--overwrite`). After
each kill the output folder is looked at, then run again without a kill, and looked at again:

- lost: a result that was complete before the kill and neither is nor has a successor after the next
  run;
- hidden: a result that was under its name before the kill and is not there right after it;
- half-written: a result folder under its name that is not complete, at any time;
- litter: anything but result folders after the next run;
- own files: files that a user put into the result folders and that are gone.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

import kinflow
from kinflow.errors import InputError

FIGURE_PX = (
    *((120, 50), (125, 45), (115, 45), (131, 48), (109, 48), (145, 85), (95, 85), (160, 130)),
    *((80, 130), (165, 170), (75, 170), (135, 170), (105, 170), (137, 230), (103, 230)),
    *((138, 290), (102, 290)),
)
"""A person who stands upright in front of the camera: COCO's 17 keypoints, x and y."""
SIZE = (240, 320)
FORMATS = ("npz", "json", "glb")
FILES = {"people.npz", "people.json", "scene.glb"}
OWN_NAME = "notes.txt"


@dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    kills: int = 40
    """Processes to kill with, and as many without, --overwrite."""
    photos: int = 6
    """Photos of a run."""
    seed: int = 0
    """Another seed gives other moments."""


READ = "keypoints.json: read as COCO annotations"
"""Said by a run that had something left to do."""


def make_photos(folder: Path, count: int) -> list[str]:
    """Small photos and a file of keypoints; returns the arguments that name them."""
    rng = np.random.default_rng(0)
    people, images = [], []
    for number in range(count):
        name = f"photo_{number}.png"
        noise = rng.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
        Image.fromarray(noise).save(folder / name)
        images.append({"id": number, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        shift = 2 * number
        points = [value for x, y in FIGURE_PX for value in (x + shift, y, 2)]
        people.append({"id": number, "image_id": number, "category_id": 1, "keypoints": points})
    keypoints = folder / "keypoints.json"
    keypoints.write_text(json.dumps({"images": images, "annotations": people}))
    photos = [str(folder / image["file_name"]) for image in images]
    return ["reconstruct", *photos, "--keypoints", str(keypoints), "--no-parts"]


def start(arguments: list[str]) -> subprocess.Popen[str]:
    """A process of the command line."""
    return subprocess.Popen(
        [sys.executable, "-m", "kinflow", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(kinflow.__file__).parent.parent)},
    )


def state(out: Path) -> tuple[set[str], set[str], set[str]]:
    """Names of the complete results in a folder, of incomplete ones, and of everything else."""
    complete, partial, other = set(), set(), set()
    for entry in out.iterdir() if out.exists() else ():
        if not entry.is_dir() or entry.name.startswith("."):
            other.add(entry.name)
            continue
        names = {file.name for file in entry.iterdir()}
        try:
            good = names >= FILES and bool(kinflow.load(entry / "people.npz").people)
        except InputError:
            good = False
        (complete if good else partial).add(entry.name)
    return complete, partial, other


def one_kill(arguments: list[str], out: Path, overwrite: bool, rng: random.Random) -> Counter[str]:
    """Kill a run between its first line and its end, run again, and count what went wrong."""
    found: Counter[str] = Counter()
    before = state(out)[0]
    own = {name for name in before if (out / name / OWN_NAME).exists()}
    process = start([*arguments, "--overwrite"] if overwrite else arguments)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(rng.uniform(0.0, 0.2 * len(arguments) / 2))
    found["killed at work"] += process.poll() is None
    process.kill()
    process.communicate()
    complete, partial, other = state(out)
    found["hidden"] += len(before - complete)
    found["half-written"] += len(partial)
    found["litter before the next run"] += len(other)
    found["own files hidden"] += sum(not (out / name / OWN_NAME).exists() for name in own)
    again = start(arguments)
    _, errors = again.communicate()
    complete, partial, other = state(out)
    said = [line for line in errors.splitlines() if not line.startswith(READ)]
    found["next run failed"] += again.returncode != 0 or bool(said)
    found["lost"] += len(before - complete)
    found["not done after the next run"] += sum(a.endswith(".png") for a in arguments) - len(
        complete
    )
    found["half-written"] += len(partial)
    found["litter after the next run"] += len(other)
    found["own files lost"] += sum(not (out / name / OWN_NAME).exists() for name in own)
    return found


def main(config: Config) -> None:
    """Kill, look, and print the counts."""
    rng = random.Random(config.seed)
    for overwrite in (False, True):
        total: Counter[str] = Counter()
        with tempfile.TemporaryDirectory() as temporary:
            photos = make_photos(Path(temporary), config.photos)
            for number in range(config.kills):
                # without --overwrite every kill needs a folder that still has work to do
                out = Path(temporary) / ("out" if overwrite else f"out_{number}")
                arguments = [*photos, "--out", str(out), "--format", *FORMATS]
                if overwrite and number == 0:
                    start(arguments).communicate()
                    for folder in out.iterdir():
                        (folder / OWN_NAME).write_text("mine")
                total += one_kill(arguments, out, overwrite, rng)
                total.update({"kills": 1})
        print(f"{'with' if overwrite else 'without'} --overwrite:")
        keys = ("kills", "killed at work", "lost", "hidden", "half-written", "next run failed")
        keys += ("not done after the next run", "litter before the next run")
        keys += ("litter after the next run", "own files hidden", "own files lost")
        for key in keys:
            print(f"  {key}: {total[key]}")


if __name__ == "__main__":
    main(tyro.cli(Config))
