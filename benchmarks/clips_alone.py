"""People through clips by networks alone: frame by frame, smoothed, and by a temporal network.

python benchmarks/clips_alone.py --motions MOCAP --cache DIR [--sequence WEIGHTS] [--split test]

Clips, errors and the one-euro filter are those of `benchmarks/video.py`, and so is the cache;
nothing is fitted. Bodies lie on their keypoints as with `--fast`. Where the person was missed the
last body stays. The cutoff of the filter is the one at which the acceleration error of smoothed
frames is nearest to that of the temporal network that sees all frames.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
import tyro
from rich.progress import track
from video import _CUTOFFS_HZ, _IN_A_HAND, _NAMES, Moved, _mean, _of_shown, _shown, _truth, smoothed

import kinflow.priors
from kinflow.datasets.poses import Split
from kinflow.evaluation.clip_sets import ClipSetConfig, SeenClip, seen_clips
from kinflow.evidence.detector import EvidenceDetector
from kinflow.fitting.network_alone import NetworkAlone
from kinflow.fitting.over_time import Along
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.predictors import DEFAULT, Predictor
from kinflow.predictors.sequence_predictor import DEFAULT as DEFAULT_SEQUENCE
from kinflow.predictors.sequence_predictor import SequencePredictor
from kinflow.synth.clips import ClipConfig


@dataclass(frozen=True)
class ClipsAloneBenchmark:
    """Which clips, and which networks.

    Attributes:
        motions: folders of motion files, a subject's in a folder of their name.
        cache: folder in which clips and what is seen in them are kept.
        sequence: weights of the temporal network; the shipped one if not given.
        predictor: weights of the frame network; the shipped one if not given.
        split: whose recordings.
        camera: one on a tripod, or one in a hand.
        clips: number of clips.
        frames: of each.
        fit: its `belief.straight_limbs` is whether knees and elbows are straightened.
    """

    motions: tuple[Path, ...]
    cache: Path
    sequence: Path | None = None
    predictor: Path | None = None
    split: Split = "validation"
    camera: Literal["still", "moving"] = "still"
    clips: int = 12
    frames: int = 60
    fit: PhotoFitConfig = field(default_factory=PhotoFitConfig)


def main(config: ClipsAloneBenchmark) -> None:
    torch.set_num_threads(1)
    clips = ClipSetConfig(
        motions=config.motions,
        split=config.split,
        count=config.clips,
        frames=config.frames,
        film=ClipConfig() if config.camera == "still" else _IN_A_HAND,
    )
    photos = PhotoFitter(
        kinflow.priors.load(),
        config.fit,
        "cpu",
        align_parts=False,
        predictor=Predictor.load(config.predictor or DEFAULT),
    )
    sequence = SequencePredictor.load(config.sequence or DEFAULT_SEQUENCE)
    assert photos.predictor is not None and sequence.is_of(photos.predictor)
    manners = {
        "network alone": NetworkAlone(photos),
        "over time, full": NetworkAlone(photos, sequence=sequence),
        "over time, causal": NetworkAlone(photos, sequence=sequence, causal=True),
    }
    rows: dict[str, list[list[float]]] = defaultdict(list)
    seconds, frames = defaultdict[str, float](float), 0
    seen_so_far = seen_clips(clips, EvidenceDetector().detect, config.cache)
    for seen in track(seen_so_far, "clips", total=config.clips):
        truth, rate = _truth(seen), seen.clip.rate_hz
        frames += len(truth.joints_m)
        R_first_cam = _of_shown(seen, seen.R_first_cam)
        for name, alone in manners.items():
            begin = time.process_time()
            moved = replace(_moved(alone, seen), R_first_cam=R_first_cam)
            seconds[name] += time.process_time() - begin
            rows[name].append(moved.errors(truth, rate))
            if name == "network alone":
                best = moved.in_first()
                for cutoff in _CUTOFFS_HZ:
                    errors = smoothed(best, rate, cutoff).errors(truth, rate)
                    rows[f"one-euro, {cutoff:g} Hz"].append(errors)
    print(f"{len(rows['network alone'])} clips, {frames} frames; " + ", ".join(_NAMES))
    for name, errors in rows.items():
        spent = f"  {1000 * seconds[name] / frames:.1f} ms a frame" if name in seconds else ""
        print(f"{name:22s}" + " ".join(f"{value:8.1f}" for value in _mean(errors)) + spent)


def _moved(alone: NetworkAlone, seen: SeenClip) -> Moved:
    """What networks make of a clip."""
    between, found = _shown(seen)
    shown = [row for row, one in enumerate(found) if one is not None and one.look is not None]
    frames = torch.tensor([between[row] for row in shown])
    turns = seen.R_first_cam
    R_still_cam = torch.eye(3).expand(len(shown), 3, 3) if turns is None else turns[frames]
    along = Along((0,) * len(shown), frames / seen.clip.rate_hz, R_still_cam)
    people = [found[row] for row in shown]
    body = alone.predicted(people, [seen.clip.camera] * len(shown), along).body
    posed = alone.model.posed(body.unknowns)
    last = [max(0, sum(row <= frame for row in shown) - 1) for frame in range(len(found))]
    return Moved(body.joints_m[last], posed.keypoints_m()[last, :33])


if __name__ == "__main__":
    main(tyro.cli(ClipsAloneBenchmark))
