"""Who is who when people pass each other: rendered walkers, the real detectors, trackers compared.

    python benchmarks/crossings.py --motions MOCAP --cache DIR [--count 50]

Two people of recorded walks pass each other before a camera that stands still, one hiding the
other, at several distances, angles and depths between them; small pictures, 15 frames a second.
Every frame is looked at as the product does. Printed are crossings after which somebody has another
number than before (of all), how often numbers change, for a moment too, sightings of people that
are there, sightings of nobody, and how many people were counted beyond the two.

`frame by frame` gives each person the number of the nearest one in the frame before, within half a
size; norfair (if it is installed) and the tracker of kinflow get the very same detections. These
are those of the product's own run, in which the tracker says where to look. norfair has its Kalman
filter, keypoints normalised by the person's size, and two seconds of patience; the best of several
thresholds is printed.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import tyro
from rich.progress import track

from kinflow.evaluation.crossings import (
    Counts,
    CrossingConfig,
    counted,
    crossing,
    true_people,
    true_points_px,
    walks,
)
from kinflow.evaluation.value_files import read_values, write_values
from kinflow.evidence.clip_people import ClipPeople
from kinflow.evidence.detector import DetectorConfig, EvidenceDetector
from kinflow.evidence.tracking import Sighting, Tracker
from kinflow.evidence.video_files import ClipFrame
from kinflow.evidence.weights import RuntimeConfig
from kinflow.synth.clip_picture import ClipPainter
from kinflow.synth.clips import Clip

_THRESHOLDS = (0.15, 0.25, 0.4, 0.7)
_PATIENCE_S = 2.0


@dataclass(frozen=True)
class CrossingBenchmark:
    """Which crossings.

    Attributes:
        motions: folders of motion files, a subject's in a folder of their name.
        cache: folder in which what is seen is kept.
        count: number of crossings.
        show: folder for pictures of the crossings in which numbers change.
        crossings: what they are like.
    """

    motions: tuple[Path, ...]
    cache: Path
    count: int = 50
    show: Path | None = None
    crossings: CrossingConfig = field(default_factory=CrossingConfig)


@dataclass(frozen=True)
class Seen:
    """All sightings of a clip, the product's numbers, and who is who."""

    times_s: list[float]
    frames: list[list[Sighting]]
    who: list[list[int | None]]
    product: Counts


Track = Callable[[Seen], list[list[int]]]


def main(config: CrossingBenchmark) -> None:
    walkers = walks(config.motions, config.crossings)
    print(f"{len(walkers)} walks of the {config.crossings.split} split")
    seen = [_seen(config, walkers, i) for i in track(range(config.count), description="seeing")]
    print("tracker                 crossings wrong  switches  seen  nobody  extra people")
    _print("product", [one.product for one in seen])
    trackers: dict[str, Track] = {"frame by frame": _nearest, "kinflow": _kinflow}
    if find_spec("norfair"):
        logging.disable(logging.WARNING)  # it asks for faster distances, once a clip
        trackers |= {f"norfair, {t}": _norfair(t) for t in _THRESHOLDS}
    for name, tracker in trackers.items():
        counts = [counted(zip(tracker(one), one.who, strict=True)) for one in seen]
        _print(name, counts)
        wrong = [i for i, count in enumerate(counts) if count.changed]
        print(f"    numbers change in {wrong}" if wrong else "")


def _print(name: str, counts: Sequence[Counts]) -> None:
    wrong = sum(count.changed > 0 for count in counts)
    switches, seen, made_up = (
        sum(getattr(count, of) for count in counts) for of in ("switches", "seen", "made_up")
    )
    extra = sum(max(0, count.numbers - 2) for count in counts)
    share = f"{wrong} of {len(counts)}"
    print(f"{name:<24}{share:>15}{switches:>10}{seen:>6}{made_up:>8}{extra:>14}")


def _seen(config: CrossingBenchmark, walkers: Sequence[Any], number: int) -> Seen:
    path = config.cache / f"crossing-{_key(config, number)}.safetensors"
    clip = crossing(walkers, config.crossings, number)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_values(path, _looked_at(clip, number))
    times_s, frames, product = read_values(path)
    truth = true_points_px(clip)
    who = [_who([s.keypoints_px for s in f], truth, i) for i, f in enumerate(frames)]
    shown = [_who(points, truth, i) for i, (_, points) in enumerate(product)]
    numbers = [given for given, _ in product]
    return Seen(times_s, frames, who, counted(zip(numbers, shown, strict=True)))


def _who(points: list[np.ndarray], truth: Any, frame: int) -> list[int | None]:
    return true_people(points, truth[:, frame])


def _looked_at(clip: Clip, number: int) -> list[Any]:
    """Times, all sightings, and the numbers and keypoints of the people that come out."""
    detector = EvidenceDetector(DetectorConfig(runtime=RuntimeConfig(threads=1)))
    pictures = ClipPainter.load().paint(clip, np.random.default_rng((number, 1)))
    frames = [ClipFrame(i, i / clip.rate_hz, rgb) for i, rgb in enumerate(pictures)]
    sightings: list[list[Sighting]] = []
    update = Tracker.update

    def listening(tracker: Tracker, time_s: float, seen: Sequence[Sighting]) -> list[int]:
        sightings.append(list(seen))
        return update(tracker, time_s, seen)

    with patch.object(Tracker, "update", listening):
        out = list(ClipPeople(detector).watch(frames))
    product = [
        ([*f.identities], [person.keypoints_px.numpy() for person in f.evidence.people])
        for f in out
    ]
    return [[frame.time_s for frame in frames], sightings, product]


def _kinflow(seen: Seen) -> list[list[int]]:
    tracker = Tracker()
    return [tracker.update(t, frame) for t, frame in zip(seen.times_s, seen.frames, strict=True)]


def _nearest(seen: Seen) -> list[list[int]]:
    """By the place in the frame before alone."""
    before: list[tuple[int, Sighting]] = []
    given, count = [], 0
    for frame in seen.frames:
        numbers: list[int] = []
        for one in frame:
            free = [(n, other) for n, other in before if n not in numbers]
            gaps = [float(np.linalg.norm(one.center_px - o.center_px)) for _, o in free]
            if gaps and min(gaps) < 0.5 * one.size_px:
                numbers.append(free[int(np.argmin(gaps))][0])
            else:
                numbers.append(count)
                count += 1
        given.append(numbers)
        before = list(zip(numbers, frame, strict=True))
    return given


def _norfair(threshold: float) -> Track:
    def tracked(seen: Seen) -> list[list[int]]:
        import norfair  # pyright: ignore[reportMissingImports]

        def apart(detection: Any, track: Any) -> float:
            sure = (detection.scores > 0.3) & (track.last_detection.scores > 0.3)
            gap = np.linalg.norm(detection.points - track.estimate, axis=1)
            return float(gap[sure].mean()) / detection.data.size_px if sure.any() else np.inf

        rate_hz = 1 / (seen.times_s[1] - seen.times_s[0])
        tracker = norfair.Tracker(
            apart, threshold, hit_counter_max=round(_PATIENCE_S * rate_hz), initialization_delay=0
        )
        given = []
        for frame in seen.frames:
            detections = [
                norfair.Detection(s.keypoints_px[:, :2], scores=s.keypoints_px[:, 2], data=s)
                for s in frame
            ]
            tracker.update(detections)
            # people are told by the detection that they were matched with
            by_sighting = {id(o.last_detection): o.id for o in tracker.tracked_objects}
            given.append([by_sighting.get(id(one), -1 - i) for i, one in enumerate(detections)])
        return given

    return tracked


def _key(config: CrossingBenchmark, number: int) -> str:
    """Changes with whatever may change what is seen."""
    digest = hashlib.sha256(repr((config.crossings, number)).encode())
    package = Path(true_people.__code__.co_filename).parent.parent
    for name in ("body", "evidence", "geometry", "synth"):
        for source in sorted((package / name).rglob("*.py")):
            digest.update(source.read_bytes())
    digest.update((package / "evaluation" / "crossings.py").read_bytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    main(tyro.cli(CrossingBenchmark))
