"""How quickly one reader gets samples out of shards, and how long a training waits for them.

    python benchmarks/shards.py [--samples 2000] [--step-ms 160]

Made-up people with keypoints, joints, a body and a mask, in JPEGs cut from one of scikit-image's
photos; the shards are written to a temporary folder and read in shuffled order, from the memory of
the operating system. A sample is read, checked, decoded and cropped to 256 px around its box.

- samples/s: of one process with one thread, by the clock and by its CPU time. The latter is what a
  core does that nobody else uses.
- wait: share of a training's time in which no batch is there, with two reader processes and steps
  that take `--step-ms` for 32 samples.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import tyro
from PIL import Image

from kinflow.body.skeleton import JOINT_NAMES
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import BodyLabel, Joints3D, Keypoints2D, Mask, Picture
from kinflow.datasets.shards import Loader, LoaderConfig, ShardSet, Stream, write_shards
from kinflow.datasets.shards.writing import ShardConfig

SIDE_PX = 256
BATCH = 32
STEPS = 40


@dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    samples: int = 2000
    """In the shards of each size."""
    step_ms: float = 160.0
    """What a step of a training takes."""


def made_up(folder: Path, size: tuple[int, int], count: int) -> Iterator[Sample]:
    """Somebody in pictures of a size (width, height); a few files serve all."""
    rng = np.random.default_rng(0)
    whole = Image.fromarray(skimage.data.astronaut()).resize((720, 720))
    paths = [folder / f"{size[0]}x{size[1]}_{number}.jpg" for number in range(20)]
    for path in paths:
        left, top = (int(value) for value in rng.integers(0, 80, 2))
        whole.crop((left, top, left + size[0], top + size[1])).save(path, quality=90)
    joints = len(JOINT_NAMES)
    side = 0.8 * min(size)
    for number in range(count):
        yield Sample(
            "made",
            str(number),
            picture=Picture(paths[number % len(paths)], size),
            box_px=(0.1 * size[0], 0.1 * size[1], side, side),
            keypoints=Keypoints2D(
                JOINT_NAMES,
                (side * rng.random((joints, 2))).astype(np.float32),
                np.ones(joints, np.float32),
            ),
            joints=Joints3D(
                JOINT_NAMES,
                rng.random((joints, 3)).astype(np.float32),
                np.ones(joints, bool),
                "camera",
                "smpl",
            ),
            body=BodyLabel(
                "smpl",
                JOINT_NAMES,
                np.tile(np.eye(3, dtype=np.float32), (joints, 1, 1)),
                np.ones(3, np.float32),
                "camera",
                np.zeros(10, np.float32),
            ),
            mask=Mask(size, runs=(size[0] * size[1] // 2, size[0] * size[1] // 2)),
        )


def crop(sample: Sample) -> np.ndarray:
    """The person in a square of `SIDE_PX`."""
    assert sample.picture is not None and sample.box_px is not None
    rgb = sample.picture.read()
    left, top, width, height = sample.box_px
    scale = SIDE_PX / max(width, height)
    middle = np.array([left + width / 2, top + height / 2])
    A = np.concatenate([scale * np.eye(2), (SIDE_PX / 2 - scale * middle)[:, None]], 1)
    return cv2.warpAffine(rgb, A, (SIDE_PX, SIDE_PX))


def speed(shards: ShardSet, make: Callable[[Sample], object]) -> tuple[float, float]:
    """Samples a second by the clock and by CPU time."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    count = 0
    for sample in Stream(shards, epochs=1):
        make(sample)
        count += 1
    return count / (time.perf_counter() - begin), count / (time.process_time() - begin_cpu)


def wait_share(shards: ShardSet, step_s: float) -> float:
    """Share of the time that a training waits, once the readers have begun."""
    loader = Loader(shards, LoaderConfig(batch_size=BATCH, workers=2), crop)
    batches = iter(loader)
    for _ in range(8):  # what is read ahead at first
        next(batches)
        time.sleep(step_s)
    begin, before_s = time.perf_counter(), loader.waited_s
    for _ in range(STEPS):
        next(batches)
        time.sleep(step_s)
    return (loader.waited_s - before_s) / (time.perf_counter() - begin)


def main(config: Config) -> None:
    """Run the benchmark and print the table."""
    cv2.setNumThreads(1)
    print("| pictures | what | samples/s | samples/s of CPU time | load |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for size in ((SIDE_PX, SIDE_PX), (640, 480)):
            name = f"{size[0]} x {size[1]}"
            out = Path(folder) / name
            begin, begin_cpu = time.perf_counter(), time.process_time()
            write_shards(made_up(Path(folder), size, config.samples), out, "made", ShardConfig(500))
            wrote = (time.perf_counter() - begin, time.process_time() - begin_cpu)
            shards = ShardSet(out)
            rows = {
                "written": tuple(config.samples / seconds for seconds in wrote),
                "labels alone": speed(shards, lambda sample: sample),
                "cropped to 256 px": speed(shards, crop),
            }
            for what, (clock, cpu) in rows.items():
                load = os.getloadavg()[0]
                print(f"| {name} | {what} | {clock:.0f} | {cpu:.0f} | {load:.1f} |", flush=True)
            share = wait_share(shards, config.step_ms / 1000)
            print(f"| {name} | wait: {100 * share:.1f} % | | | {os.getloadavg()[0]:.1f} |")


if __name__ == "__main__":
    main(tyro.cli(Config))
