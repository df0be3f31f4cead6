"""What a photo and a frame of a clip cost: processor time, memory, bytes of results.

    python benchmarks/costs.py [--clip FILE] [--frames 90] [--fps 10]

One process with one thread, models loaded; times are processor time, which depends little on who
else uses the machine. The photo is the astronaut of scikit-image (512 px), the clip is yours;
without one, the photo moves. `docs/scale.md` reckons with these numbers.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import torch
import tyro
from PIL import Image

from kinflow.evidence.clip_range import ClipRange
from kinflow.evidence.video_files import Clip
from kinflow.export.clip_writer import CLIP_FORMATS, ClipFormat
from kinflow.export.writer import FORMATS, ExportOptions, Format
from kinflow.pipeline.clips import ClipConfig
from kinflow.pipeline.config import PipelineConfig
from kinflow.pipeline.events import Outcome
from kinflow.pipeline.photos import Pipeline
from kinflow.pipeline.ray_worker import with_one_thread

PHOTOS = 6


@dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    clip: Path | None = None
    """A clip of yours."""
    frames: int = 90
    """How many of its frames are looked at, at most."""
    fps: float | None = None
    """Frames a second that are looked at; all of them unless given."""


def made_clip(path: Path, frames: int) -> Path:
    """A clip in which the photo moves sideways."""
    rgb = skimage.data.astronaut()
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), codec, 30.0, (480, 480))
    for number in range(frames):
        left = round(16 + 14 * np.sin(number / 10))
        writer.write(rgb[16:496, left : left + 480, ::-1].copy())
    writer.release()
    return path


def measured(config: PipelineConfig, inputs: list[Path], out: Path) -> tuple[float, list[Outcome]]:
    """Processor time of the run, and what became of the inputs."""
    pipeline = Pipeline(with_one_thread(config))
    list(pipeline.run(inputs[:1], out / "first"))  # loads everything
    begin = time.process_time()
    events = list(pipeline.run(inputs, out / "measured"))
    seconds = time.process_time() - begin
    outcomes = [event for event in events if isinstance(event, Outcome)]
    for outcome in outcomes:
        if outcome.problem:
            raise SystemExit(outcome.problem)
    return seconds, outcomes


def bytes_of(outcome: Outcome) -> int:
    """Size of a result folder."""
    return sum(entry.stat().st_size for entry in os.scandir(outcome.folder))


def main(config: Config) -> None:
    """Run the benchmark and print the table."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    data: tuple[tuple[str, tuple[Format, ...], tuple[ClipFormat, ...]], ...] = (
        ("npz", ("npz",), ("npz",)),
        ("all files", FORMATS, CLIP_FORMATS),
    )
    print("| input | files | CPU s | KB of results |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = [folder / f"{number}.jpg" for number in range(PHOTOS)]
        for path in photos:
            Image.fromarray(skimage.data.astronaut()).save(path, quality=92)
        clip = config.clip or made_clip(folder / "made.avi", config.frames)
        info = Clip.open(clip).info
        fps = min(info.fps, config.fps or info.fps)
        range_ = ClipRange(0.0, config.frames / fps, config.fps)
        for said, formats, clip_formats in data:
            options = PipelineConfig(export=ExportOptions(formats), clip_formats=clip_formats)
            seconds, outcomes = measured(options, photos, folder / f"photos {said}")
            size = bytes_of(outcomes[0]) / 1e3
            print(f"| a photo | {said} | {seconds / PHOTOS:.3f} | {size:.1f} |", flush=True)
            options = replace(options, clips=ClipConfig(range=range_))
            seconds, outcomes = measured(options, [clip], folder / f"clip {said}")
            result = outcomes[0].result
            assert result is not None
            count = len(result.frames)
            each, size = seconds / count, bytes_of(outcomes[0]) / count / 1e3
            people = len(result.people) / count
            what = f"a frame of {count} at {fps:g}/s, {people:.1f} people"
            print(f"| {what} | {said} | {each:.3f} | {size:.1f} |", flush=True)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak memory {peak_gb:.2f} GB")


if __name__ == "__main__":
    main(tyro.cli(Config))
