"""How quickly are people followed through a clip, and where does the time go?

Without a clip one is drawn: scikit-image's astronaut moves over a grey background of 640 x 480
pixels. Every frame is seen twice: with people followed from frame to frame, and searched for as in
photos (`--photos 0` leaves that out). Times are those of the processor, so that other work on the
machine does not count; the networks run on one thread.

    python benchmarks/clip_evidence.py --frames 90
    python benchmarks/clip_evidence.py --clip walk.mp4 --frames 300
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import torch
import tyro

from kinflow.evidence.clip_people import ClipPeople, SeenFrame
from kinflow.evidence.detector import DetectorConfig, EvidenceDetector
from kinflow.evidence.people import person_size
from kinflow.evidence.types import ImageEvidence, PersonEvidence
from kinflow.evidence.video_files import Clip, ClipFrame
from kinflow.evidence.weights import Network, RuntimeConfig

_SIZE = (640, 480)


@dataclass(frozen=True)
class ClipEvidenceBenchmark:
    clip: Path | None = None
    """A clip of your own."""
    frames: int = 90
    """At most this many of its frames."""
    photos: int = 20
    """So many frames are also seen as photos."""


def drawn(path: Path, count: int) -> Path:
    """A clip of somebody who moves from the left to the right."""
    from skimage.data import astronaut

    person = cv2.resize(astronaut(), (360, 360), interpolation=cv2.INTER_AREA)
    code = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, 30, _SIZE)
    for x in np.linspace(0, _SIZE[0] - 360, count).round().astype(int):
        frame = np.full((_SIZE[1], _SIZE[0], 3), 90, np.uint8)
        frame[-360:, x : x + 360] = person[..., ::-1]
        writer.write(frame)
    writer.release()
    return path


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of processor time, and what came of them."""
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def main(options: ClipEvidenceBenchmark) -> None:
    torch.set_num_threads(1)
    networks: dict[str, list[float]] = defaultdict(list)
    run = Network.run

    def timed(network: Network, image: np.ndarray) -> dict[str, np.ndarray]:
        seconds, outputs = spent(lambda: run(network, image))
        networks[f"{network._name.split('.')[0]} {image.shape[2]} x {image.shape[1]}"].append(
            seconds
        )
        return outputs

    detector = EvidenceDetector(DetectorConfig(runtime=RuntimeConfig(threads=1)))
    with tempfile.TemporaryDirectory() as folder:
        path = options.clip or drawn(Path(folder) / "drawn.avi", options.frames)
        clip = Clip.open(path)
        decoding_s, frames = spent(lambda: list(islice(clip.frames(), options.frames)))
        follow(detector, frames[:3])  # loads the networks
        with patch.object(Network, "run", timed):
            followed_s, people = spent(lambda: follow(detector, frames))
        count = len(frames)
        bodies = sum(len(frame.identities) for frame in people)
        print(f"{clip.info.size[0]} x {clip.info.size[1]}, {count} frames, {bodies} bodies")
        print(f"decoding  {1000 * decoding_s / count:6.1f} ms a frame")
        print(f"following {1000 * followed_s / count:6.1f} ms a frame, {count / followed_s:.1f}/s")
        for name, times in sorted(networks.items(), key=lambda item: -sum(item[1])):
            each, often = 1000 * np.mean(times), len(times) / count
            print(f"  {name:32} {each:6.1f} ms, {often:.2f} times a frame")
        if options.photos:
            chosen = frames[:: max(1, count // options.photos)]
            photos_s, found = spent(lambda: [detector.detect(frame.rgb) for frame in chosen])
            each_s = photos_s / len(chosen)
            print(f"as photos {1000 * each_s:6.1f} ms a frame, {1 / each_s:.1f}/s")
            seen = {frame.index: frame.evidence for frame in people}
            compare([seen[frame.index] for frame in chosen], found)


def follow(detector: EvidenceDetector, frames: Iterable[ClipFrame]) -> list[SeenFrame]:
    """Every frame with its people."""
    return list(ClipPeople(detector).watch(frames))


def compare(followed: list[ImageEvidence], photos: list[ImageEvidence]) -> None:
    """Print how far keypoints of the largest people are from those of the same frames as photos."""
    apart, spread, missed = [], [], 0
    for seen, photo in zip(followed, photos, strict=True):
        if not photo.people:
            continue
        person = photo.people[0]
        others = [_apart(person, other) for other in seen.people]
        others = [other for other in others if other is not None]
        if others:
            nearest = min(others)
            apart.append(nearest[0])
            spread.append(nearest[1])
        missed += not others
    if apart:
        print(
            f"keypoints differ by {100 * np.median(apart):.1f} % of the person's size (median), "
            f"their spreads by a factor of {np.median(spread):.2f}; {missed} people are missed"
        )


def _apart(one: PersonEvidence, other: PersonEvidence) -> tuple[float, float] | None:
    """Median distance of keypoints that both are sure of, in sizes, and ratio of their spreads."""
    sure = torch.minimum(one.keypoints_px[:, 2], other.keypoints_px[:, 2]) > 0.5
    if sure.sum() < 5:
        return None
    px = (one.keypoints_px - other.keypoints_px)[sure, :2].norm(dim=1).median()
    ratio = (other.keypoint_std_px / one.keypoint_std_px).median()
    return float(px) / person_size(one.box_px.numpy()), float(ratio)


if __name__ == "__main__":
    main(tyro.cli(ClipEvidenceBenchmark))
